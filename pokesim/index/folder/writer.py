"""Write a snapshot into an index folder and make it the current one, completely or not at all.

A build writes into ``.building``, which `SnapshotDraft.commit` flushes to the disk and renames. A
reader never sees half a build, and a crash or a power cut at any moment leaves the last good index
in place.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import IndexFolderError
from pokesim.files import atomic_write, open_regular, publish_folder, remove, sha256_of
from pokesim.index.folder.contents import check_contents
from pokesim.index.folder.items import ITEMS_FILE, ItemWriter
from pokesim.index.folder.lock import SNAPSHOTS, try_lock, write_lock
from pokesim.index.folder.metadata import MetadataWriter
from pokesim.index.folder.snapshot import CURRENT, FolderSnapshot, IndexFolder
from pokesim.index.item import Item
from pokesim.index.manifest import MANIFEST_FILE, Manifest, MetadataRecord, Tuning
from pokesim.index.metadata.table import Table
from pokesim.index.vectors.candidates import KeptRows, build_candidates
from pokesim.index.vectors.flat import BASE_FILE, VECTORS_FILE, VectorWriter, project_file
from pokesim.metric import PROJECTION_FILE, Projection

_BUILDING = ".building"


class SnapshotWriter:
    """Writes vectors and items together, so that row n of each belongs to the same picture."""

    def __init__(self, path: Path, dimension: int, table: Table | None = None) -> None:
        """Start the files of a snapshot in the folder ``path``."""
        self._vectors = VectorWriter(path / VECTORS_FILE, dimension)
        self._items = ItemWriter(path / ITEMS_FILE)
        self._metadata = MetadataWriter(self._items.db, table) if table else None

    @property
    def count(self) -> int:
        """Number of rows so far; the id of the next item."""
        return self._vectors.count

    def add(self, rows: NDArray[np.float32], items: Sequence[Item]) -> None:
        """Append vectors, float32 (n, d), and their n items."""
        if [item.id for item in items] != list(range(self.count, self.count + len(rows))):
            raise ValueError("item ids do not match the rows of their vectors")
        self._items.add(items)
        if self._metadata:
            self._metadata.add([item.path for item in items])
        self._vectors.add(rows)

    def finish(self) -> MetadataRecord | None:
        """Write what is left and close; return the record of the table, if any. Raises OSError."""
        if self._metadata:
            self._metadata.finish()
        self._items.finish()
        self._vectors.finish()
        return self._metadata.record if self._metadata else None

    def close(self) -> None:
        """Close the files without finishing them."""
        self._items.close()
        self._vectors.close()


class SnapshotDraft:
    """A snapshot being written, which no reader sees before `commit`.

    Attributes:
        path: the folder that its files are written into.
    """

    def __init__(self, index: IndexFolder, path: Path) -> None:
        self._index, self.path = index, path

    def link(self, source: Path, name: str) -> None:
        """Take over a file of an older snapshot, as a hard link if possible, under ``name``.

        Raises:
            OSError: it is missing, or a link of another kind, or the disk is full.
        """
        target = self.path / name
        with open_regular(source) as file:
            try:
                target.hardlink_to(source)
            except OSError:  # a file system without links
                with target.open("xb") as copy:
                    shutil.copyfileobj(file, copy)

    def project(self, manifest: Manifest, projection: Projection, tuning: Tuning) -> Manifest:
        """Project the draft's vectors, and keep the base vectors in another file.

        Returns:
            the manifest of the tuned snapshot.
        """
        base = (self.path / VECTORS_FILE).rename(self.path / BASE_FILE)
        project_file(base, self.path / VECTORS_FILE, manifest.count, projection)
        projection.save(self.path / PROJECTION_FILE)
        return replace(manifest, dimension=projection.dimension, tuning=tuning)

    def commit(self, manifest: Manifest, kept: KeptRows | None = None) -> FolderSnapshot:
        """Build the candidate index, seal the draft, and make it the current snapshot.

        Args:
            manifest: what the snapshot is; its time, version, files and search are filled in here.
            kept: the vectors that the current snapshot has already, whose codes need no computing.

        Raises:
            PokesimError: FAISS cannot build the candidate index for these vectors, or the manifest
                would be one that nothing opens.
            OSError: the disk is full, or the folder is not writable.
        """
        from importlib.metadata import version  # not needed for a query

        search = build_candidates(self.path, manifest, kept)
        now = datetime.datetime.now(datetime.UTC)
        files = {
            file.name: {
                "bytes": file.stat().st_size,
                "sha256": sha256_of(file, follow_links=False),
            }
            for file in sorted(self.path.iterdir())
        }
        manifest = replace(
            manifest,
            search=search,
            created=now.isoformat(timespec="microseconds"),
            pokesim=version("pokesim"),
            files=files,
        )
        text = manifest.to_json().encode()
        try:
            check_contents(Manifest.from_json(text))
        except ValueError as error:
            raise IndexFolderError(
                f"The index {self._index.path} cannot be written (of its manifest, {error}); what "
                "was there before is unchanged."
            ) from error
        (self.path / MANIFEST_FILE).write_bytes(text)
        name = f"{now:%Y%m%dT%H%M%S.%fZ}-{hashlib.sha256(text).hexdigest()[:16]}"
        path = self._index.path / SNAPSHOTS / name
        publish_folder(self.path, path)
        set_current(self._index, name)
        return FolderSnapshot(path, manifest)


@contextmanager
def new_snapshot(index: IndexFolder) -> Iterator[SnapshotDraft]:
    """Hold the write lock and give a draft; one that is not committed leaves no trace.

    Raises:
        IndexFolderError: the folder is not writable, or another build is writing it.
    """
    with write_lock(index.path):
        path = index.path / _BUILDING
        remove(path)  # from a build that was killed
        path.mkdir()
        try:
            yield SnapshotDraft(index, path)
        finally:
            remove(path)
        _remove_old(index)


def set_current(index: IndexFolder, name: str) -> None:
    """Make the snapshot called ``name`` the current one. Raises OSError."""
    atomic_write(index.path / CURRENT, f"{name}\n".encode("ascii"))


def _remove_old(index: IndexFolder) -> None:
    """Keep the current snapshot, the newest intact one before it, and those that readers lock."""
    try:
        current = index.current().name
    except IndexFolderError:
        return  # nothing was committed, and a damaged index is left for `check --repair`
    before = next((one.name for one in index.intact_snapshots(but=current)), current)
    for name in set(index.names()) - {current, before}:
        path = index.path / SNAPSHOTS / name
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # it may be half removed already
                manifest = stack.enter_context(open_regular(path / MANIFEST_FILE))
                if not try_lock(manifest.fileno(), exclusive=True):
                    continue
            remove(path)
