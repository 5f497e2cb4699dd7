"""Exact k-NN: a store nominates, float64 arithmetic on the few candidates decides and orders.

FAISS and Milvus compute in float32 and differ in the last digits between single and batched
search, so near-ties and the order of equal pictures would depend on the batch. They are therefore
asked for a few neighbours more than wanted, until all that could belong are among them. Only a
search structure that the user chose as approximate may miss some; a search among a part of the
vectors never asks that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import UsageError
from pokesim.timing import span

# Candidates beyond k at first; doubled until the last is clearly farther than the k-th.
_SPARE = 8

# float32 rounding of a squared distance, relative to the squared lengths that it is made from.
_ROUNDING = 4e-6

# Rows brought to float64 at a time.
_BLOCK = 4096

# Queries searched at a time, and the most neighbours that are to be held for them.
_QUERIES, _HELD = 256, 1 << 22


class VectorView(Protocol):
    """All of an index's vectors or some, as what a search is among.

    Attributes:
        exact: it nominates the true nearest, but for rounding.
        max_k: how many neighbours it can return.
    """

    exact: bool
    max_k: int

    def __len__(self) -> int:
        """How many vectors."""

    @property
    def ids(self) -> NDArray[np.int64]:
        """Their ids, ascending."""

    def candidates(
        self, xq: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances, ascending, and ids, (nq, k), of the nearest.

        Both as float32 sees them; -1 in place of an id that an approximate search does not find.
        """


def candidate_count(k: int) -> int:
    """Return how many candidates an approximate search is asked for, of which k remain.

    Their true distances decide, so that what it rounds away does no harm.
    """
    return 4 * k + 10


class ExactSearcher:
    """Finds the nearest of a part of an index's vectors.

    Attributes:
        vectors: returns the vectors, float32 (n, d), of some ids (n,).
    """

    def __init__(self, vectors: Callable[[NDArray[np.int64]], NDArray[np.float32]]) -> None:
        self.vectors = vectors

    @span("search")
    def search(
        self, xq: NDArray[np.float32], k: int, among: VectorView
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Find the k nearest of a part, equal distances in the order of their ids.

        Where more are as near as the k-th than the store can be asked for, which of these come is
        the store's choice.

        Args:
            xq: query vectors, (nq, d).
            k: how many, at most as many as the part has.
            among: which vectors count.

        Returns:
            D: Euclidean distances, float64 (nq, k), ascending.
            I: ids, int64 (nq, k). An approximate search may find fewer: infinity and -1 follow.

        Raises:
            UsageError: the store cannot be asked for so many.
        """
        if among.exact and k > among.max_k:
            raise UsageError(
                f"The index can be asked for {among.max_k:,} neighbours at most, not {k:,}."
            )
        D = np.full((len(xq), k), np.inf)  # (nq, k)
        I = np.full((len(xq), k), -1, dtype=np.int64)  # (nq, k)  # noqa: E741
        size = max(1, min(_QUERIES, _HELD // (k + _SPARE)))
        for start in range(0, len(xq) if k else 0, size):
            found = self._candidates(xq[start : start + size], k, among)
            for row, ids in enumerate(found, start):
                candidates = ids[ids >= 0]
                distances = self._distances(xq[row], candidates)
                order = np.lexsort((candidates, distances))[:k]
                D[row, : len(order)] = distances[order]
                I[row, : len(order)] = candidates[order]
        return D, I

    def _candidates(
        self, xq: NDArray[np.float32], k: int, among: VectorView
    ) -> Iterator[NDArray[np.int64]]:
        """Yield for each row of (nq, d) ids, among them its true k nearest, ties included.

        An approximate search gives those it finds, and -1 in the places of those it does not.
        """
        if not among.exact:
            yield from among.candidates(xq, min(candidate_count(k), among.max_k))[1]
            return
        wanted = k + _SPARE
        if wanted >= len(among):
            yield from [among.ids] * len(xq)
            return
        D, I = among.candidates(xq, min(wanted, among.max_k))  # noqa: E741
        for row, ids in enumerate(I):
            query = xq[row : row + 1]
            clear = _clear(query, D[row], k)
            yield ids if clear else self._more_candidates(query, k, 2 * wanted, among)

    def _more_candidates(
        self, query: NDArray[np.float32], k: int, wanted: int, among: VectorView
    ) -> NDArray[np.int64]:
        """Ask for ever more neighbours of one query (1, d), until no tie is cut."""
        while wanted < len(among):
            (D,), (ids,) = among.candidates(query, min(wanted, among.max_k))
            if _clear(query, D, k) or wanted >= among.max_k:
                return np.asarray(ids)
            wanted *= 2
        return among.ids

    def _distances(self, query: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return Euclidean distances, float64 (len(ids),), from the stored vectors."""
        parts = [
            np.linalg.norm(self.vectors(ids[at : at + _BLOCK]) - query.astype(np.float64), axis=1)
            for at in range(0, len(ids), _BLOCK)
        ]
        return np.concatenate(parts)


def _clear(query: NDArray[np.float32], D: NDArray[np.float32], k: int) -> bool:
    """Say whether the last of the nominated is farther than the k-th beyond all rounding.

    query is (1, d), D (> k,) its squared distances, ascending.
    """
    length = float(np.linalg.norm(query))
    slack = _ROUNDING * (length**2 + (length + float(np.sqrt(max(D[-1], 0)))) ** 2)
    return bool(D[-1] - D[k - 1] > 2 * slack)
