"""Exact k-NN: FAISS nominates, float64 arithmetic on the few candidates decides and orders.

FAISS computes in float32 and differs from itself in the last digits between single and batched
search, so near-ties and the order of equal pictures would depend on the batch. It is therefore
asked for a few neighbours more than wanted, until all that could belong are among them. Only a
search structure that the user chose as approximate may miss some; a search among a part of the
vectors never asks that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.clock import lap
from pokesim.index.selection import Selection
from pokesim.index.structure import Structure, nominations

# Candidates beyond k at first; doubled until the last is clearly farther than the k-th.
_SPARE = 8
# float32 rounding of a squared distance, relative to the squared lengths that it is made from.
_ROUNDING = 4e-6
# Rows brought to float64 at a time.
_BLOCK = 4096
# Queries searched at a time, and the most neighbours that FAISS is to hold for them.
_QUERIES, _HELD = 256, 1 << 22
# From so many queries on, one scan with matrix products is quicker than Panorama for each.
_MANY = 64
# Rows gathered at a time for matrix products.
_GATHERED = 2048
# From so many queries on FAISS scans with matrix products, but not with a selector.
_FEW = 20


class Neighbours:
    """Finds the nearest among a flat index's vectors, with the help of a structure if any."""

    def __init__(self, flat: Any, structure: Structure | None) -> None:  # noqa: ANN401
        self._flat, self._structure = flat, structure

    @lap("search")
    def search(
        self, xq: NDArray[np.float32], k: int, among: Selection
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Find the k nearest of a selection, equal distances in the order of their ids.

        Args:
            xq: query vectors, (nq, d).
            k: how many, at most as many as the selection has.
            among: which vectors count.

        Returns:
            D: Euclidean distances, float64 (nq, k), ascending.
            I: ids, int64 (nq, k). An approximate structure may find fewer: infinity and -1 follow.
        """
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
        self, xq: NDArray[np.float32], k: int, among: Selection
    ) -> Iterator[NDArray[np.int64]]:
        """Yield for each row of (nq, d) ids, among them its true k nearest, ties included.

        An approximate structure gives those it finds, and -1 in the places of those it does not.
        """
        if self._structure and not self._structure.exact and not among.is_asked:
            wanted = min(nominations(k), self._structure.most)
            yield from self._structure.nominate(xq, wanted, among)[1]
            return
        wanted = k + _SPARE
        if wanted >= len(among):
            yield from [among.ids] * len(xq)
            return
        D, I = self._nominated(xq, wanted, among)  # noqa: E741
        for row, ids in enumerate(I):
            query = xq[row : row + 1]
            clear = _clear(query, D[row], k)
            yield ids if clear else self._more_candidates(query, k, 2 * wanted, among)

    def _nominated(
        self, xq: NDArray[np.float32], wanted: int, among: Selection
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances and ids, (nq, wanted), of the nearest as float32 sees them."""
        structure = self._structure
        if structure and structure.exact and len(xq) < _MANY and wanted <= structure.most:
            return structure.nominate(xq, wanted, among)
        if not among.is_all and len(xq) >= _FEW:
            return self._nominated_in_blocks(xq, wanted, among)
        D, I = self._flat.search(xq, wanted, params=among.parameters())  # noqa: E741
        return D, I

    def _nominated_in_blocks(
        self, xq: NDArray[np.float32], wanted: int, among: Selection
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Do the same for many queries, by matrix products with the selected rows."""
        import faiss

        D = np.full((len(xq), 0), np.inf, np.float32)
        I = np.full((len(xq), 0), -1, np.int64)  # noqa: E741
        for start in range(0, len(among), _GATHERED):
            ids = among.ids[start : start + _GATHERED]
            near: Any = faiss.knn(xq, self.vectors(ids), min(wanted, len(ids)))
            D = np.concatenate([D, near[0]], axis=1)
            I = np.concatenate([I, ids[near[1]]], axis=1)  # noqa: E741
            order = np.argsort(D, axis=1, kind="stable")[:, :wanted]
            D, I = np.take_along_axis(D, order, 1), np.take_along_axis(I, order, 1)  # noqa: E741
        return D, I

    def _more_candidates(
        self, query: NDArray[np.float32], k: int, wanted: int, among: Selection
    ) -> NDArray[np.int64]:
        """Ask for ever more neighbours of one query (1, d), until no tie is cut."""
        while wanted < len(among):
            (D,), (ids,) = self._nominated(query, wanted, among)
            if _clear(query, D, k):
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

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of some ids (n,)."""
        rows: NDArray[np.float32] = self._flat.reconstruct_batch(ids)
        return rows


def _clear(query: NDArray[np.float32], D: NDArray[np.float32], k: int) -> bool:
    """Say whether the last of the nominated is farther than the k-th beyond all rounding.

    query is (1, d), D (> k,) its squared distances, ascending.
    """
    length = float(np.linalg.norm(query))
    slack = _ROUNDING * (length**2 + (length + float(np.sqrt(max(D[-1], 0)))) ** 2)
    return bool(D[-1] - D[k - 1] > 2 * slack)
