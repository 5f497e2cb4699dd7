"""Which vectors of an index a search covers."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


class IdSelector:
    """Selects all of ``count`` vectors, or those where ``mask``, bool (count,), is true.

    Attributes:
        total: ``count``.
    """

    def __init__(self, count: int, mask: NDArray[np.bool_] | None = None) -> None:
        self.total, self._mask = count, mask
        self._selected = count if mask is None else int(mask.sum())

    def __len__(self) -> int:
        return self._selected

    @property
    def is_filter(self) -> bool:
        """Whether a mask was given, even one that selects all."""
        return self._mask is not None

    @property
    def is_all(self) -> bool:
        """Whether every vector is selected."""
        return self._selected == self.total

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """The selected ids, ascending."""
        return np.arange(self.total) if self._mask is None else np.flatnonzero(self._mask)

    def parameters(self, start: int = 0) -> Any:
        """Return FAISS's search parameters; its id 0 is our id ``start``, a multiple of 8."""
        if self.is_all:
            return None
        import faiss

        selector: Any = faiss.IDSelectorBitmap
        parameters: Any = faiss.SearchParameters
        return parameters(sel=selector(self._bits[start // 8 :]))

    @cached_property
    def _bits(self) -> NDArray[np.uint8]:
        assert self._mask is not None
        return np.packbits(self._mask, bitorder="little")
