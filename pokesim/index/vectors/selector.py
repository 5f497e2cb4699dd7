"""Which vectors of an index a search is among."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


class IdSelector:
    """All of ``count`` vectors, or those whose place in ``chosen``, bool (count,), is true."""

    def __init__(self, count: int, chosen: NDArray[np.bool_] | None = None) -> None:
        self._count, self._chosen = count, chosen
        self._chosen_count = count if chosen is None else int(chosen.sum())

    def __len__(self) -> int:
        return self._chosen_count

    @property
    def is_asked(self) -> bool:
        """Somebody chose, be it all."""
        return self._chosen is not None

    @property
    def is_all(self) -> bool:
        """Nothing is left out."""
        return self._chosen_count == self._count

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """The chosen ids, ascending."""
        return np.arange(self._count) if self._chosen is None else np.flatnonzero(self._chosen)

    def parameters(self, start: int = 0) -> Any:  # noqa: ANN401 - faiss is untyped
        """Return what tells FAISS; ``start``, a multiple of 8, is the id that it counts from."""
        if self.is_all:
            return None
        import faiss

        selector: Any = faiss.IDSelectorBitmap
        parameters: Any = faiss.SearchParameters
        return parameters(sel=selector(self._bits[start // 8 :]))

    @cached_property
    def _bits(self) -> NDArray[np.uint8]:
        assert self._chosen is not None
        return np.packbits(self._chosen, bitorder="little")
