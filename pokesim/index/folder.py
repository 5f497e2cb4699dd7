"""A folder as a store: FAISS searches the files of its snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pokesim.index import items, structure, vectors
from pokesim.index.items import Items
from pokesim.index.knn import Part
from pokesim.index.scan import Scan
from pokesim.index.selection import Selection
from pokesim.index.snapshot import Hold, Snapshot, open_snapshot

if TYPE_CHECKING:
    from pokesim.index.metadata import Metadata
    from pokesim.index.where import Condition


class Folder:
    """A `pokesim.index.store.Store`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def snapshot(self) -> Snapshot:
        """Return the snapshot that counts, its manifest and its files' sizes verified."""
        return open_snapshot(self._path)

    def search_for(self, asked: str, dimension: int) -> str:
        """Return what was asked, which FAISS must know."""
        structure.check_asked(asked, dimension)
        return asked

    @contextmanager
    def folder(self, *, write: bool) -> Iterator[Path]:
        """Give the folder itself."""
        yield self._path


class OpenedFolder:
    """A `pokesim.index.store.Opened`; vectors are mapped, not read, whatever their number."""

    def __init__(self, snapshot: Snapshot) -> None:
        manifest = snapshot.manifest
        self._hold = Hold(snapshot)
        self._count, self._record = manifest.count, manifest.metadata
        self._flat: Any = vectors.open_vectors(
            snapshot.file(vectors.FILE), manifest.count, manifest.dimension
        )
        self.projection = snapshot.projection()
        self._structure = structure.open_structure(
            snapshot.path, manifest.search, manifest.count, manifest.dimension
        )
        self.items = Items(snapshot.file(items.FILE))

    @cached_property
    def metadata(self) -> Metadata | None:
        """What a table tells of the pictures, if the index has one."""
        if self._record is None:
            return None
        from pokesim.index.metadata import Metadata

        return Metadata(self.items, self._record)

    def part(self, asked: Condition | None) -> Part:
        """Return the vectors of the pictures that are as asked; None: of all."""
        chosen = self.metadata.passing(asked) if asked and self.metadata else None
        return Scan(self._flat, self._structure, Selection(self._count, chosen))

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of some ids (n,)."""
        rows: NDArray[np.float32] = self._flat.reconstruct_batch(ids)
        return rows

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield all vectors in the order of their ids, float32 (≤ 8192, d) at a time."""
        return vectors.rows_of(self._flat)

    def close(self) -> None:
        """Close the files."""
        self.items.close()
        self._hold.release()
