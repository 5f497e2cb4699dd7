"""A file of an index that is mapped into memory, and the FAISS index in it."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import CorruptIndexError, UsageError
from pokesim.files import open_regular
from pokesim.timing import span


class MappedFile:
    """A regular file, mapped for reading; it may be removed while it is used.

    What is checked is what is read: FAISS is given this memory, not the file's name.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        """Map a file. Raises OSError, or ValueError if it is empty."""
        self.path = path
        with open_regular(path) as file:
            self._map: mmap.mmap | None = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def held(self) -> NDArray[np.uint8]:
        """Return the bytes, uint8 (size,), which stay mapped for as long as they are referenced.

        Raises:
            UsageError: it has been closed.
            CorruptIndexError: the file has been truncated since it was opened. The system ends a
                process that reads mapped memory beyond the end of its file.
        """
        mapped = self._map
        if mapped is None:
            raise UsageError(f"{self.path} is closed; open the index again.")
        if mapped.size() < len(mapped):
            raise CorruptIndexError(
                f"{self.path} was truncated while it was open; build the index again."
            )
        return np.frombuffer(mapped, np.uint8)

    def close(self) -> None:
        """Close the file, once no call refers to its bytes."""
        self._map = None

    def read_faiss(self) -> Any:
        """Return the FAISS index in the file. Whoever uses it must hold the bytes meanwhile.

        Its bytes must have been checked: FAISS trusts them.

        Raises:
            RuntimeError: FAISS does not read it.
        """
        with span("import FAISS"):
            import faiss
        library: Any = faiss  # its stubs lack the reader
        data = self.held()
        reader = library.ZeroCopyIOReader(library.swig_ptr(data), len(data))
        # Neither table is needed for a search, and they may be larger than the file.
        tables = faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE | faiss.IO_FLAG_PQ_SKIP_SDC_TABLE
        return faiss.read_index(reader, tables)
