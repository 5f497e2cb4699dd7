"""A folder as a store of an index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pokesim.index.folder.snapshot import FolderSnapshot, IndexFolder
from pokesim.index.vectors.candidates import check_search


class FolderStore:
    """A `pokesim.index.store.Store`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def snapshot(self) -> FolderSnapshot:
        """Return the current snapshot, its manifest and the sizes of its files verified."""
        return IndexFolder(self._path).current()

    def resolve_search(self, requested: str, dimension: int) -> str:
        """Return the requested search. Raises UsageError if FAISS does not know it."""
        check_search(requested, dimension)
        return requested

    @contextmanager
    def folder(self, *, write: bool) -> Iterator[Path]:
        """Give the folder itself."""
        yield self._path
