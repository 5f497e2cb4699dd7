"""A folder as a store of an index."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pokesim.errors import IndexFolderError, UsageError
from pokesim.index.folder.snapshot import FolderSnapshot, IndexFolder
from pokesim.index.vectors.candidates import checked_search


class FolderStore:
    """A `pokesim.index.store.Store`."""

    def __init__(self, path: str | Path) -> None:
        """Take the folder of an index, which need not exist yet.

        Raises:
            UsageError: no folder can be called so, or no index can be in it.
            IndexFolderError: it cannot be reached.
        """
        self._path = _checked(path)

    @property
    def location(self) -> str:
        """The folder."""
        return str(self._path)

    def snapshot(self) -> FolderSnapshot:
        """Return the current snapshot, its manifest and the sizes of its files verified."""
        return IndexFolder(self._path).current()

    def resolve_search(self, requested: str, dimension: int) -> str:
        """Return the requested search. Raises UsageError if FAISS does not know it."""
        return checked_search(requested, dimension)

    @contextmanager
    def folder(self, *, write: bool) -> Iterator[Path]:
        """Give the folder itself."""
        yield self._path


def _checked(path: str | Path) -> Path:
    if not str(path) or "\0" in str(path):
        raise UsageError("The index has no name; give its folder, such as --index indexes/mine.")
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:  # FAISS takes no other names
        raise UsageError(
            f"The index cannot be in {path}, whose name is not UTF-8; choose another --index."
        ) from error
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        pass  # for whoever opens it to say, or to make
    except OSError as error:
        raise IndexFolderError(
            f"The index {path} cannot be read ({error.strerror}); choose another --index."
        ) from error
    return Path(path)
