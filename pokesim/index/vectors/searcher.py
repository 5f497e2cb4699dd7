"""What FAISS nominates from: a flat index, with the help of a structure if it has one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.index.vectors.candidates import CandidateIndex
from pokesim.index.vectors.selector import IdSelector

# From so many queries on, one scan with matrix products is quicker than Panorama for each.
_MANY = 64

# Rows gathered at a time for matrix products.
_GATHERED = 2048

# From so many queries on FAISS scans with matrix products, but not with a selector.
_FEW = 20


class FlatSearcher:
    """A selection of a flat index's vectors; a `pokesim.index.vectors.knn.VectorView`.

    An approximate structure is only ever asked for all vectors.
    """

    def __init__(self, flat: Any, structure: CandidateIndex | None, among: IdSelector) -> None:  # noqa: ANN401
        self._flat, self._structure, self._among = flat, structure, among
        self.exact = structure is None or structure.exact or among.is_asked
        self.max_k = len(among) if structure is None or self.exact else structure.max_k

    def __len__(self) -> int:
        return len(self._among)

    @property
    def ids(self) -> NDArray[np.int64]:
        """The selected ids, ascending."""
        return self._among.ids

    def candidates(
        self, xq: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances and ids, (nq, k), of the nearest as float32 sees them."""
        structure, among = self._structure, self._among
        if structure and not self.exact:
            return structure.candidates(xq, k, among)
        if structure and structure.exact and len(xq) < _MANY and k <= structure.max_k:
            return structure.candidates(xq, k, among)
        if not among.is_all and len(xq) >= _FEW:
            return self._nominate_in_blocks(xq, k)
        D, I = self._flat.search(xq, k, params=among.parameters())  # noqa: E741
        return D, I

    def _nominate_in_blocks(
        self, xq: NDArray[np.float32], wanted: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Do the same for many queries, by matrix products with the selected rows."""
        import faiss

        D = np.full((len(xq), 0), np.inf, np.float32)
        I = np.full((len(xq), 0), -1, np.int64)  # noqa: E741
        for start in range(0, len(self), _GATHERED):
            ids = self.ids[start : start + _GATHERED]
            near: Any = faiss.knn(xq, self._flat.reconstruct_batch(ids), min(wanted, len(ids)))
            D = np.concatenate([D, near[0]], axis=1)
            I = np.concatenate([I, ids[near[1]]], axis=1)  # noqa: E741
            order = np.argsort(D, axis=1, kind="stable")[:, :wanted]
            D, I = np.take_along_axis(D, order, 1), np.take_along_axis(I, order, 1)  # noqa: E741
        return D, I
