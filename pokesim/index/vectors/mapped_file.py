"""A file of an index that is mapped into memory, and the FAISS index in it."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np

from pokesim.errors import CorruptIndexError
from pokesim.files import open_regular
from pokesim.timing import span


class MappedFile:
    """A regular file, mapped for reading; it may be removed while it is used.

    What is checked is what is read: FAISS is given this memory, not the file's name.

    Attributes:
        path: the file.
        data: its bytes, uint8 (size,).
    """

    def __init__(self, path: Path) -> None:
        """Map a file. Raises OSError, or ValueError if it is empty."""
        self.path = path
        with open_regular(path) as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.data = np.frombuffer(self._map, np.uint8)

    def check_size(self) -> None:
        """Raise CorruptIndexError if the file has been truncated since it was opened.

        The system ends a process that reads mapped memory beyond the end of the file.
        """
        if self._map.size() < len(self._map):
            raise CorruptIndexError(
                f"{os.fspath(self.path)} was truncated while it was open; build the index again."
            )

    def read_faiss(self) -> Any:
        """Return the FAISS index in the file. Keep this object for as long as it is used.

        Its bytes must have been checked: FAISS trusts them.

        Raises:
            RuntimeError: FAISS does not read it.
        """
        with span("import FAISS"):
            import faiss
        library: Any = faiss  # its stubs lack the reader
        reader = library.ZeroCopyIOReader(library.swig_ptr(self.data), len(self.data))
        # Neither table is needed for a search, and they may be larger than the file.
        tables = faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE | faiss.IO_FLAG_PQ_SKIP_SDC_TABLE
        return faiss.read_index(reader, tables)
