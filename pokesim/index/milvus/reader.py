"""A snapshot on a Milvus server, searched.

A search sends its vectors and gets ids and distances, then the rows of the few candidates, vectors
with them, because float64 arithmetic on these decides here as it does in a folder. Rows that came
once are kept for a while; a snapshot never changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pokesim.index.metadata.filter import Condition
from pokesim.index.milvus.collection import MilvusSnapshot
from pokesim.index.milvus.filter_expression import filter_expression
from pokesim.index.milvus.rows import CollectionItems, CollectionMetadata, RowCache
from pokesim.index.milvus.schema import MOST

_HITS = 1 << 16  # neighbours that a request brings


class CollectionReader:
    """A `pokesim.index.store.Reader`."""

    def __init__(self, snapshot: MilvusSnapshot) -> None:
        self._snapshot, self._dimension = snapshot, snapshot.manifest.dimension
        self.projection = snapshot.projection()
        self._rows = RowCache(snapshot)
        self.items = CollectionItems(snapshot, self._rows)

    @cached_property
    def metadata(self) -> CollectionMetadata | None:
        """What a table tells of the pictures, if the index has one."""
        record = self._snapshot.manifest.metadata
        return CollectionMetadata(self._snapshot, self._rows, record) if record else None

    def view(self, asked: Condition | None) -> CollectionView:
        """Return the vectors of the pictures that are as asked; None: of all."""
        if asked is None or self.metadata is None:
            return CollectionView(self._snapshot, "", self._snapshot.manifest.count)
        passing = filter_expression(asked, list(self.metadata.record.columns))
        return CollectionView(self._snapshot, passing, self._snapshot.count(passing))

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of some ids (n,)."""
        rows = self._rows.vectors(ids.tolist())
        return np.array(rows, np.float32).reshape(-1, self._dimension)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield all vectors in the order of their ids, float32 (≤ 8192, d) at a time."""
        return self._snapshot.blocks(self._snapshot.name, self._dimension)

    def close(self) -> None:
        """Keep the connection; it is the store's."""


class CollectionView:
    """A `VectorView` of the rows that pass an expression."""

    exact = True
    max_k = MOST

    def __init__(self, snapshot: MilvusSnapshot, passing: str, count: int) -> None:
        self._snapshot, self._passing, self._count = snapshot, passing, count

    def __len__(self) -> int:
        return self._count

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """Their ids, ascending."""
        snapshot, passing = self._snapshot, self._passing
        if not passing:
            return np.arange(self._count)
        ranges = [""]
        if self._count > MOST:
            starts = range(0, snapshot.manifest.count, MOST)
            ranges = [f" and id >= {start} and id < {start + MOST}" for start in starts]
        found = [
            row["id"]
            for part in ranges
            for row in snapshot.rows(snapshot.name, passing + part, ["id"])
        ]
        return np.sort(np.array(found, np.int64))

    def candidates(
        self, xq: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances, ascending, and ids, (nq, k), of the nearest."""
        D = np.full((len(xq), k), np.inf, np.float32)
        I = np.full((len(xq), k), -1, np.int64)  # noqa: E741
        size = max(1, _HITS // k)
        for start in range(0, len(xq), size):
            found = self._snapshot.server.ask(
                "search",
                self._snapshot.name,
                data=list(xq[start : start + size]),
                filter=self._passing,
                limit=k,
                search_params={"metric_type": "L2"},
                consistency_level="Eventually",
            )
            for at, hits in enumerate(found, start):
                D[at, : len(hits)] = [hit["distance"] for hit in hits]
                I[at, : len(hits)] = [hit["id"] for hit in hits]
        return D, I
