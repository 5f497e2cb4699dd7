"""Exact k-NN: a store returns candidates in float32, and float64 arithmetic refines them.

FAISS and Milvus compute in float32, and their last digits differ between single and batched search,
so near-ties and the order of equal pictures would depend on the batch. We therefore request a few
more candidates than k, and more again until every vector that may belong to the k nearest is among
them, and rank the candidates by their float64 distances, as FAISS's IndexRefine does by exact ones.
Only a candidate index that the user chose as approximate may miss some, and it is never used with a
filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import UsageError
from pokesim.timing import span

K_FACTOR, K_EXTRA = 4, 10
"""An approximate search refines ``K_FACTOR * k + K_EXTRA`` candidates to k neighbours."""

# An exact search starts with this many candidates beyond k, and doubles their number until the last
# candidate is clearly farther than the k-th.
_SPARE = 8

# float32 rounding error of a squared distance, relative to the squared lengths it is computed from.
_ROUNDING = 4e-6

# Rows converted to float64 at a time.
_BLOCK = 4096

# Queries searched at a time, and the most neighbours held for them.
_QUERIES, _MAX_HELD = 256, 1 << 22


class VectorView(Protocol):
    """The vectors that a search covers: all vectors of an index, or those that pass a filter.

    Attributes:
        exact: whether `candidates` returns the true nearest vectors, up to float32 rounding. An
            approximate view may miss some.
        max_k: the largest k that `candidates` accepts. It may be smaller than the view.
    """

    exact: bool
    max_k: int

    def __len__(self) -> int:
        """Return the number of vectors."""

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids of the vectors, ascending, (len,)."""

    def candidates(
        self, xq: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the nearest vectors of each query, as float32 arithmetic ranks them.

        Args:
            xq: query vectors, (nq, d).
            k: number of candidates, at most ``max_k``.

        Returns:
            D: squared Euclidean distances, (nq, k), ascending.
            I: ids, (nq, k). Where an approximate search finds fewer than k, -1 pads the row.
        """


class Nearest(NamedTuple):
    """The nearest vectors of each query, in arrays (nq, k), by ascending distance.

    Attributes:
        distances: Euclidean, float64; infinity where an approximate search found fewer.
        ids: int64; -1 there.
        cosines: float32; 0 there, and for a vector of zeros.
    """

    distances: NDArray[np.float64]
    ids: NDArray[np.int64]
    cosines: NDArray[np.float32]


def candidate_count(k: int) -> int:
    """Return how many candidates to refine when an approximate search returns k neighbours.

    With more candidates than k, refining corrects the order that a compressed index gives.
    """
    return K_FACTOR * k + K_EXTRA


def merge_nearest(
    parts: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Merge the nearest neighbours found in each part of an index.

    Of equal distances, those of the earlier part come first; so if the parts and their results are
    in the order of ids, ties are too.

    Args:
        parts: squared distances, ascending, and ids, both (nq, ≤ k), of each part.
        k: number of neighbours to keep.

    Returns:
        squared distances, ascending, and ids, both (nq, ≤ k).
    """
    D = np.concatenate([D for D, _ in parts], axis=1)
    I = np.concatenate([ids for _, ids in parts], axis=1)
    order = np.argsort(D, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(D, order, 1), np.take_along_axis(I, order, 1)


class ExactSearcher:
    """Finds the nearest vectors of a view: candidates in float32, refined in float64.

    Attributes:
        vectors: returns the vectors, float32 (n, d), of ids (n,).
    """

    def __init__(self, vectors: Callable[[NDArray[np.int64]], NDArray[np.float32]]) -> None:
        self.vectors = vectors

    @span("search")
    def search(self, xq: NDArray[np.float32], k: int, view: VectorView) -> Nearest:
        """Find the k nearest vectors of a view, equal distances in the order of their ids.

        If more vectors than ``view.max_k`` tie at the k-th distance, the store chooses among them.

        Args:
            xq: query vectors, (nq, d).
            k: number of neighbours, at most ``len(view)``.
            view: the vectors to search.

        Raises:
            UsageError: k is larger than the store allows.
        """
        if view.exact and k > view.max_k:
            raise UsageError(f"The index returns at most {view.max_k:,} neighbours, not {k:,}.")
        D = np.full((len(xq), k), np.inf)  # (nq, k)
        I = np.full((len(xq), k), -1, dtype=np.int64)  # (nq, k)
        cosines = np.zeros((len(xq), k), np.float32)  # (nq, k)
        size = max(1, min(_QUERIES, _MAX_HELD // (k + _SPARE)))
        for start in range(0, len(xq) if k else 0, size):
            found = self._candidates(xq[start : start + size], k, view)
            for row, ids in enumerate(found, start):
                candidates = ids[ids >= 0]
                distances, similar = self._compare(xq[row], candidates)
                order = np.lexsort((candidates, distances))[:k]
                D[row, : len(order)] = distances[order]
                I[row, : len(order)] = candidates[order]
                cosines[row, : len(order)] = similar[order]
        return Nearest(D, I, cosines)

    def search_any(self, xq: NDArray[np.float32], k: int, view: VectorView) -> Nearest:
        """Find the k vectors of a view that are nearest to any of several, as one query.

        Args:
            xq: the vectors of the query, (m, d) with m > 0.
            k: number of neighbours, at most ``len(view)``.
            view: the vectors to search.

        Returns:
            as `search` for one query, (1, k): each vector by the nearest of the m.
        """
        every = self.search(xq, k, view)  # what is near to any is among the k nearest of that one
        D, I, cosines = every.distances.ravel(), every.ids.ravel(), every.cosines.ravel()
        order = np.lexsort((I, D))
        _, first = np.unique(I[order], return_index=True)  # of equal ids, the nearest
        kept = order[np.sort(first)][:k]
        return Nearest(D[kept][None], I[kept][None], cosines[kept][None])

    def _candidates(
        self, xq: NDArray[np.float32], k: int, view: VectorView
    ) -> Iterator[NDArray[np.int64]]:
        """Yield for each query, a row of (nq, d), ids that include its k nearest and all ties.

        From an approximate view, yield the ids that it finds, padded with -1.
        """
        if not view.exact:
            yield from view.candidates(xq, min(candidate_count(k), view.max_k))[1]
            return
        count = k + _SPARE
        if count >= len(view):
            yield from [view.ids] * len(xq)
            return
        D, I = view.candidates(xq, min(count, view.max_k))
        for row, ids in enumerate(I):
            query = xq[row : row + 1]
            complete = _is_complete(query, D[row], k)
            yield ids if complete else self._more_candidates(query, k, 2 * count, view)

    def _more_candidates(
        self, query: NDArray[np.float32], k: int, count: int, view: VectorView
    ) -> NDArray[np.int64]:
        """Request more and more candidates for one query (1, d), until no tie is cut off."""
        while count < len(view):
            (D,), (ids,) = view.candidates(query, min(count, view.max_k))
            if _is_complete(query, D, k) or count >= view.max_k:
                return np.asarray(ids)
            count *= 2
        return view.ids

    def _compare(
        self, query: NDArray[np.float32], ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return Euclidean distances and cosines, (len(ids),) each, from the stored vectors."""
        q = query.astype(np.float64)
        distances, cosines = np.empty(len(ids)), np.empty(len(ids))
        for at in range(0, len(ids), _BLOCK):
            block = slice(at, at + _BLOCK)
            rows = self.vectors(ids[block]).astype(np.float64)
            distances[block] = np.linalg.norm(rows - q, axis=1)
            lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(q)
            cosines[block] = rows @ q / np.where(lengths > 0, lengths, 1)
        return distances, cosines


def _is_complete(query: NDArray[np.float32], D: NDArray[np.float32], k: int) -> bool:
    """Say whether the last candidate is farther than the k-th by more than any rounding error.

    query is (1, d), D (> k,) its squared distances, ascending.
    """
    length = float(np.linalg.norm(query))
    slack = _ROUNDING * (length**2 + (length + float(np.sqrt(max(D[-1], 0)))) ** 2)
    return bool(D[-1] - D[k - 1] > 2 * slack)
