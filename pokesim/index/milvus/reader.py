"""Search a snapshot on a Milvus server.

Milvus returns ids and float32 distances of the candidates. Their rows are then fetched with their
vectors, because float64 arithmetic decides among them here, as in a folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pokesim.index.metadata.filter import Condition
from pokesim.index.milvus.collection import Collection
from pokesim.index.milvus.filter_expression import filter_expression
from pokesim.index.milvus.rows import CollectionItems, CollectionMetadata, RowCache
from pokesim.index.milvus.schema import MAX_ROWS
from pokesim.index.vectors.checks import checked_ids

_HITS = 1 << 16  # neighbours that are fetched at a time


class CollectionReader:
    """A `pokesim.index.store.Reader`.

    Attributes:
        items: what each vector is a picture of.
        projection: the learned metric of a tuned index.
    """

    def __init__(self, collection: Collection) -> None:
        """Read the manifest and the projection. Raises PokesimError."""
        self._collection, self._dimension = collection, collection.manifest.dimension
        self._rows = RowCache(collection)
        self.projection = collection.projection()
        self.items = CollectionItems(collection, self._rows)

    @cached_property
    def metadata(self) -> CollectionMetadata | None:
        """The table that describes the pictures, if the index has one."""
        record = self._collection.manifest.metadata
        return CollectionMetadata(self._collection, self._rows, record) if record else None

    def view(self, condition: Condition | None) -> CollectionView:
        """Return the vectors of the pictures that meet a condition; None means all."""
        if condition is None or self.metadata is None:
            return CollectionView(self._collection, "", self._collection.manifest.count)
        expression = filter_expression(condition, list(self.metadata.record.columns))
        return CollectionView(self._collection, expression, self._collection.count(expression))

    def vectors(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of ids (n,). Raises UsageError for an unknown id."""
        found = checked_ids(ids, self._collection.manifest.count)
        rows = self._rows.vectors(found.tolist())
        return np.array(rows, np.float32).reshape(-1, self._dimension)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield all vectors in the order of their ids, float32 (≤ 1024, d) at a time."""
        return self._collection.blocks()

    def close(self) -> None:
        """Do nothing: the connection belongs to the store."""


class CollectionView:
    """A `pokesim.index.vectors.knn.VectorView` of the rows that match an expression.

    Attributes:
        exact: Milvus compares all vectors, so no neighbour is missed.
        max_k: the most neighbours that Milvus returns.
    """

    exact = True
    max_k = MAX_ROWS

    def __init__(self, collection: Collection, expression: str, count: int) -> None:
        self._collection, self._expression, self._count = collection, expression, count

    def __len__(self) -> int:
        return self._count

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """Their ids, int64 (n,), ascending."""
        if not self._expression:
            return np.arange(self._count)
        ranges = [""]
        if self._count > MAX_ROWS:
            starts = range(0, self._collection.manifest.count, MAX_ROWS)
            ranges = [f" and id >= {start} and id < {start + MAX_ROWS}" for start in starts]
        found = [
            row["id"]
            for id_range in ranges
            for row in self._collection.rows(self._expression + id_range, ["id"])
        ]
        ids = np.unique(np.array(found, np.int64))
        known = ids.min(initial=0) >= 0 and ids.max(initial=0) < self._collection.manifest.count
        if len(ids) != self._count or not known:
            raise self._collection.damaged("gives other ids than it counts")
        return ids

    def candidates(
        self, xq: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances, ascending, and ids, (nq, k), of the nearest.

        Where fewer than k vectors match, the rest is inf and -1.
        """
        D = np.full((len(xq), k), np.inf, np.float32)
        I = np.full((len(xq), k), -1, np.int64)
        collection = self._collection
        size = max(1, _HITS // k)
        for start in range(0, len(xq), size):
            found = collection.client.search(
                collection.name, xq[start : start + size], k, self._expression
            )
            if len(found) != len(xq[start : start + size]) or any(len(hits) > k for hits in found):
                raise collection.damaged("gives other neighbours than requested")
            for query, hits in enumerate(found, start):
                D[query, : len(hits)] = [hit["distance"] for hit in hits]
                I[query, : len(hits)] = [hit["id"] for hit in hits]
        if I.min() < -1 or I.max() >= collection.manifest.count or np.isnan(D).any():
            raise collection.damaged("gives neighbours that are none")
        return D, I
