"""Write a snapshot, whole or not at all, and make it the one that counts.

A build writes into ``.building`` and renames it, so a reader never sees half a build and a crash
at any moment leaves the last good index in place.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim import metric
from pokesim.cache import sha256_of
from pokesim.errors import IndexFolderError
from pokesim.index import items, vectors
from pokesim.index.items import Item, ItemWriter
from pokesim.index.lock import writing
from pokesim.index.manifest import Manifest, MetadataRecord, Tuning
from pokesim.index.metadata import MetadataWriter
from pokesim.index.snapshot import (
    CURRENT,
    MANIFEST,
    SNAPSHOTS,
    Snapshot,
    lock_file,
    open_snapshot,
    snapshot_names,
    sound_snapshots,
)
from pokesim.index.structure import build_structure
from pokesim.index.table import Table
from pokesim.index.vectors import VectorWriter
from pokesim.metric import Projection

_BUILDING = ".building"


class SnapshotWriter:
    """Takes vectors and items in step, so that they cannot drift apart."""

    def __init__(self, folder: Path, dimension: int, table: Table | None = None) -> None:
        self._vectors = VectorWriter(folder / vectors.FILE, dimension)
        self._items = ItemWriter(folder / items.FILE)
        self._metadata = MetadataWriter(self._items.db, table) if table else None

    @property
    def count(self) -> int:
        """How many rows there are so far; the next item's id."""
        return self._vectors.count

    def add(self, rows: NDArray[np.float32], batch: Sequence[Item]) -> None:
        """Append vectors, float32 (n, d), and their n items."""
        if [item.id for item in batch] != list(range(self.count, self.count + len(rows))):
            raise ValueError("items and vectors are out of step")
        self._items.add(batch)
        if self._metadata:
            self._metadata.add([item.path for item in batch])
        self._vectors.add(rows)

    def finish(self) -> MetadataRecord | None:
        """Bring everything to the disk; return what the table came to. Raises OSError."""
        if self._metadata:
            self._metadata.finish()
        self._items.finish()
        self._vectors.finish()
        return self._metadata.record if self._metadata else None

    def close(self) -> None:
        """Close the files as they are."""
        self._items.close()
        self._vectors.close()


@contextmanager
def new_snapshot(index: Path) -> Iterator[Path]:
    """Give a folder to write a new snapshot into; what is not published leaves no trace.

    Raises:
        IndexFolderError: the folder cannot be written, or another build is writing there.
    """
    with writing(index):
        folder = index / _BUILDING
        shutil.rmtree(folder, ignore_errors=True)  # of a build that was killed
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        _clear_old(index)


def tuned(folder: Path, manifest: Manifest, projection: Projection, tuning: Tuning) -> Manifest:
    """Turn a new snapshot's plain vectors into projected ones; the plain ones are kept beside.

    Returns:
        the manifest of the tuned snapshot.
    """
    plain = (folder / vectors.FILE).rename(folder / vectors.PLAIN_FILE)
    vectors.project_file(plain, folder / vectors.FILE, manifest.count, projection)
    projection.save(folder / metric.FILE)
    return replace(manifest, dimension=projection.dimension, tuning=tuning)


def share_file(source: Path, target: Path) -> None:
    """Give a file of an older snapshot to a new one: by a link where that is possible."""
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def publish(folder: Path, index: Path, manifest: Manifest) -> Snapshot:
    """Seal a folder from `new_snapshot` and make it the snapshot that counts.

    Args:
        folder: holds the snapshot's files, all on disk; becomes the snapshot.
        index: the index's folder.
        manifest: what the snapshot is; its time, version and files are filled in here, and the
            search structure that it asks for is built.

    Raises:
        PokesimError: the search structure cannot be built of these vectors.
        OSError: the disk is full, or the folder cannot be written.
    """
    from importlib.metadata import version  # a query has no use for it

    asked = manifest.search.asked
    search = build_structure(folder, manifest.count, manifest.dimension, asked)
    now = datetime.datetime.now(datetime.UTC)
    files = {
        file.name: {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
        for file in sorted(folder.iterdir())
    }
    manifest = replace(
        manifest,
        search=search,
        created=now.isoformat(timespec="microseconds"),
        pokesim=version("pokesim"),
        files=files,
    )
    text = manifest.to_json().encode()
    _write_durably(folder / MANIFEST, text)
    name = f"{now:%Y%m%dT%H%M%S.%fZ}-{hashlib.sha256(text).hexdigest()[:16]}"
    home = index / SNAPSHOTS / name
    home.parent.mkdir(exist_ok=True)
    folder.rename(home)
    _sync_folder(home.parent)
    point_to(index, name)
    return Snapshot(home, manifest)


def point_to(index: Path, name: str) -> None:
    """Make a snapshot, by its folder's name, the one that counts. Raises OSError."""
    part = index / f".{CURRENT}.part"
    _write_durably(part, f"{name}\n".encode("ascii"))
    part.replace(index / CURRENT)
    _sync_folder(index)


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _clear_old(index: Path) -> None:
    """Keep the snapshot that counts, the newest good one before it, and any that a reader holds."""
    try:
        current = open_snapshot(index).path.name
    except IndexFolderError:
        return  # nothing was published, and what is damaged is not ours to judge
    before = next((one.path.name for one in sound_snapshots(index, but=current)), current)
    for name in set(snapshot_names(index)) - {current, before}:
        folder = index / SNAPSHOTS / name
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # it may be half cleared away already
                handle = os.open(folder / MANIFEST, os.O_RDONLY)
                stack.callback(os.close, handle)
                if not lock_file(handle, exclusive=True):
                    continue
            shutil.rmtree(folder, ignore_errors=True)
