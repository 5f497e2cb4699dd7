"""What is on disk: immutable snapshots, and the pointer to the one that counts.

    indexes/NAME/
      CURRENT                       name of the snapshot that counts, replaced in one step
      lock                          held by the one writer
      snapshots/TIME-HASH/          HASH begins the SHA-256 of manifest.json
        manifest.json               what the index is, and size and SHA-256 of the other files
        items.sqlite
        vectors.faiss

A build writes into ``.building`` and renames it, so a reader never sees half a build and a crash
at any moment leaves the last good index in place. The layout is described in indexes/README.md.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim import metric
from pokesim.cache import sha256_of
from pokesim.errors import IndexFolderError
from pokesim.index import items, vectors
from pokesim.index.items import Item, ItemWriter
from pokesim.index.structure import SearchRecord, build_structure
from pokesim.index.vectors import VectorWriter
from pokesim.metric import Projection

FORMAT = 1
"""Version of the layout on disk; a newer one is refused with a sentence."""

_CURRENT = "CURRENT"
_MANIFEST = "manifest.json"
_BUILDING = ".building"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that claims to be a picture but could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class EmbedderRecord:
    """Which embedder made the vectors; a query must use the same.

    Attributes:
        name: in the catalogue.
        weights_sha256: of the weights.
        export_version: of the export that made the model file.
        side: of the square input, in pixels.
        reading: how a picture becomes that square.
        normalized: vectors were scaled to length 1.
    """

    name: str
    weights_sha256: str
    export_version: int
    side: int
    reading: str
    normalized: bool


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a learned metric was fitted on, and what it was worth on labels held out from the fit.

    Attributes:
        labels, pictures: what it was fitted on.
        held_out: pictures of held-out labels that it was measured with.
        before, after: percent of these whose right label came first, and among the first five.
    """

    labels: int
    pictures: int
    held_out: int
    before: tuple[float, float]
    after: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index is.

    Attributes:
        images: the picture folder, absolute; item paths are relative to it.
        embedder: what made the vectors.
        dimension, count: shape of the vectors.
        skipped: files that could not be read.
        created: UTC, ISO 8601.
        metric: how vectors are compared; always "L2".
        tuning: the learned metric that the vectors were projected by, if any.
        search: how the vectors are searched.
        runtime, precision: what computed the vectors; any other may compute a query's.
        files: size in bytes and SHA-256 of each other file of the snapshot.
        pokesim: version that wrote it.
        format: version of the layout.
    """

    images: str
    embedder: EmbedderRecord
    dimension: int
    count: int
    skipped: tuple[Skipped, ...]
    created: str = ""
    metric: str = "L2"
    tuning: Tuning | None = None
    search: SearchRecord = SearchRecord()  # noqa: RUF009 - it is frozen
    runtime: str = "litert"
    precision: str = "float32"
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    pokesim: str = ""
    format: int = FORMAT

    def to_json(self) -> str:
        """Return the manifest as indented JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @staticmethod
    def from_json(text: str | bytes) -> Manifest:
        """Read what `to_json` wrote. Raises ValueError, KeyError or TypeError on anything else."""
        data = json.loads(text)
        data["embedder"] = EmbedderRecord(**data["embedder"])
        if tuning := data["tuning"]:
            pairs = {name: tuple(tuning[name]) for name in ("before", "after")}
            data["tuning"] = Tuning(**tuning | pairs)
        data["search"] = SearchRecord(**data.get("search", {}))
        data["skipped"] = tuple(Skipped(**entry) for entry in data["skipped"])
        return Manifest(**data)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A published snapshot whose manifest is whole and whose files have the right sizes."""

    path: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        """Return the path of one of its files."""
        return self.path / name

    def projection_shape(self) -> tuple[int, int]:
        """Return the lengths of a vector before and after the learned metric."""
        projection = self.projection()
        plain = len(projection.matrix) - 1 if projection else self.manifest.dimension
        return plain, self.manifest.dimension

    def projection(self) -> Projection | None:
        """Return the learned metric of a tuned index, None of another.

        Raises:
            IndexFolderError: its file is damaged.
            OSError: it cannot be read.
        """
        if self.manifest.tuning is None:
            return None
        try:
            return Projection.load(self.file(metric.FILE))
        except ValueError as error:
            raise _damaged(self.file(metric.FILE), "is damaged") from error


class SnapshotWriter:
    """Takes vectors and items in step, so that they cannot drift apart."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self._vectors = VectorWriter(folder / vectors.FILE, dimension)
        self._items = ItemWriter(folder / items.FILE)

    @property
    def count(self) -> int:
        """How many rows there are so far; the next item's id."""
        return self._vectors.count

    def add(self, rows: NDArray[np.float32], batch: Sequence[Item]) -> None:
        """Append vectors, float32 (n, d), and their n items."""
        if [item.id for item in batch] != list(range(self.count, self.count + len(rows))):
            raise ValueError("items and vectors are out of step")
        self._items.add(batch)
        self._vectors.add(rows)

    def finish(self) -> None:
        """Bring everything to the disk. Raises OSError."""
        self._items.finish()
        self._vectors.finish()

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
    import filelock  # a query has no use for it

    try:
        index.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(index / "lock", timeout=0):
            folder = index / _BUILDING
            shutil.rmtree(folder, ignore_errors=True)  # of a build that was killed
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            _clear_old(index)
    except filelock.Timeout as error:
        raise IndexFolderError(
            f"Another build is writing {index} now; wait for it, or give another --index."
        ) from error
    except (OSError, sqlite3.Error) as error:
        raise IndexFolderError(
            f"The index {index} cannot be written ({getattr(error, 'strerror', '') or error}); "
            "what was there before is unchanged."
        ) from error


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
    _write_durably(folder / _MANIFEST, text)
    name = f"{now:%Y%m%dT%H%M%SZ}-{hashlib.sha256(text).hexdigest()[:16]}"
    home = index / "snapshots" / name
    home.parent.mkdir(exist_ok=True)
    folder.rename(home)
    _sync_folder(home.parent)
    _point_to(index, name)
    return Snapshot(home, manifest)


def open_snapshot(index: Path) -> Snapshot:
    """Open the snapshot that counts, its manifest verified and its files' sizes compared.

    Raises:
        IndexFolderError: there is none, or it is damaged, or of a newer format.
    """
    for _ in range(10):
        name = _read_current(index)
        try:
            return _open_named(index, name)
        except IndexFolderError:
            # While we looked, a build may have published another and cleared this one away.
            if _read_current(index) == name:
                raise
    return _open_named(index, _read_current(index))


def _read_current(index: Path) -> str:
    pointer = index / _CURRENT
    try:
        name = pointer.read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IndexFolderError(
            f"There is no index at {index}; make one with `pokesim build-index --index {index}`."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise IndexFolderError(f"{pointer} cannot be read ({error}).") from error
    if not name or "/" in name or "\\" in name or name.startswith("."):
        raise IndexFolderError(f"{pointer} names no snapshot; build the index again.")
    return name


def _open_named(index: Path, name: str) -> Snapshot:
    home = index / "snapshots" / name
    try:
        text = (home / _MANIFEST).read_bytes()
    except OSError as error:
        raise _damaged(home / _MANIFEST, f"cannot be read ({error.strerror})") from error
    try:
        found = json.loads(text).get("format")
    except (ValueError, AttributeError) as error:
        raise _damaged(home / _MANIFEST, "is damaged") from error
    if isinstance(found, int) and found > FORMAT:
        raise IndexFolderError(
            f"{index} was written by a newer pokesim (format {found}, here {FORMAT}); "
            "update pokesim, or build the index again."
        )
    if hashlib.sha256(text).hexdigest()[:16] != name.rsplit("-", 1)[-1]:
        raise _damaged(home / _MANIFEST, "is not the one that was written")
    try:
        snapshot = Snapshot(home, Manifest.from_json(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(home / _MANIFEST, "is not what this pokesim writes") from error
    for file, expected in snapshot.manifest.files.items():
        try:
            size = snapshot.file(file).stat().st_size
        except OSError as error:
            raise _damaged(snapshot.file(file), f"cannot be read ({error.strerror})") from error
        if size != expected["bytes"]:
            raise _damaged(snapshot.file(file), f"has {size} bytes, not {expected['bytes']}")
    return snapshot


def _damaged(file: Path, what: str) -> IndexFolderError:
    return IndexFolderError(f"{file} {what}; build the index again.")


def _point_to(index: Path, name: str) -> None:
    part = index / f".{_CURRENT}.part"
    _write_durably(part, f"{name}\n".encode("ascii"))
    part.replace(index / _CURRENT)
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
    """Keep the snapshot that counts and the one before it."""
    current = _read_current(index)
    others = sorted(folder for folder in (index / "snapshots").iterdir() if folder.name != current)
    for folder in others[:-1]:
        shutil.rmtree(folder, ignore_errors=True)
