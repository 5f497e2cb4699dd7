"""Candidates: by scanning a flat index, or from its candidate index if it has one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import CorruptIndexError
from pokesim.index.vectors.candidates import CandidateIndex
from pokesim.index.vectors.knn import merge_nearest
from pokesim.index.vectors.selector import IdSelector

# From this many queries on, one scan with matrix products is faster than codes for each query.
_MANY = 64

# From this many coordinates of selected vectors on, and this share of all vectors, codes are faster
# than scanning the vectors.
_LARGE, _SHARE = 8 << 20, 1 / 6

# Up to this many coordinates to compare, NumPy takes a millisecond; importing FAISS takes thirty.
_SMALL = 2 << 20

# Selected rows per matrix product.
_BLOCK = 2048

# From this many queries on, FAISS scans with matrix products, but not if it is given a selector.
_FEW = 20


class FlatSearcher:
    """The selected vectors of a flat index; a `pokesim.index.vectors.knn.VectorView`.

    An approximate candidate index is used only if there is no filter.
    """

    def __init__(
        self,
        flat: Any,
        candidate_index: CandidateIndex | None,
        selector: IdSelector,
    ) -> None:
        self._flat, self._candidate_index, self._selector = flat, candidate_index, selector
        if candidate_index is None or candidate_index.exact or selector.is_filter:
            self.exact, self.max_k = True, len(selector)
        else:
            self.exact, self.max_k = False, candidate_index.max_k

    def __len__(self) -> int:
        return len(self._selector)

    @property
    def ids(self) -> NDArray[np.int64]:
        """The selected ids, ascending."""
        return self._selector.ids

    def candidates(
        self, xq: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared float32 distances, ascending, and ids, both (nq, k); see `VectorView`."""
        candidate_index, selector = self._candidate_index, self._selector
        if candidate_index is not None:
            is_large = selector.is_all or (
                len(selector) * self._flat.d >= _LARGE and len(selector) >= _SHARE * selector.total
            )
            many = len(xq) >= _MANY or k > candidate_index.max_k
            faster = candidate_index.exact and is_large and not many
            if faster or not self.exact:
                D, I = candidate_index.candidates(xq, k, selector)
                if I.size and not -1 <= I.min() <= I.max() < selector.total:
                    raise CorruptIndexError(
                        "The candidate index names vectors that do not exist; build the index "
                        "again with --search flat."
                    )
                return D, I
        if len(xq) * len(selector) * self._flat.d <= _SMALL:
            D = np.stack([self._flat.distances(query, self.ids) for query in xq])
            return merge_nearest([(D, np.broadcast_to(self.ids, D.shape))], k)
        if not selector.is_all and len(xq) >= _FEW:
            return self._scan_in_blocks(xq, k)
        D, I = self._flat.search(xq, k, params=selector.parameters())
        return D, I

    def _scan_in_blocks(
        self, xq: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scan the selected rows for many queries at once, with matrix products."""
        import faiss

        D = np.empty((len(xq), 0), np.float32)
        I = np.empty((len(xq), 0), np.int64)
        for start in range(0, len(self), _BLOCK):
            ids = self.ids[start : start + _BLOCK]
            block: Any = faiss.knn(xq, self._flat.reconstruct_batch(ids), min(k, len(ids)))
            D, I = merge_nearest([(D, I), (block[0], ids[block[1]])], k)
        return D, I
