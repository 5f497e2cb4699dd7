"""The snapshots of an index folder, and which of them is current.

    indexes/NAME/
      CURRENT                       name of the current snapshot, replaced in one step
      lock                          held by the one writer
      snapshots/TIME-HASH/          HASH: first 16 digits of the SHA-256 of manifest.json
        manifest.json               what the index is; size and SHA-256 of the other files
        items.sqlite
        vectors.faiss

This module opens snapshots; `pokesim.index.folder.writer` writes them. indexes/README.md describes
the format.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pokesim.errors import CorruptIndexError, IncompatibleIndexError, IndexNotFoundError
from pokesim.files import open_regular, sha256_of
from pokesim.index.fields import parse_json
from pokesim.index.folder.contents import check_contents
from pokesim.index.folder.lock import SNAPSHOTS, SharedLock
from pokesim.index.folder.reader import SnapshotReader
from pokesim.index.manifest import FORMAT, MANIFEST_FILE, MAX_MANIFEST_BYTES, Manifest
from pokesim.metric import PROJECTION_FILE, Projection

CURRENT = "CURRENT"

_NAME = re.compile(r"\d{8}T\d{6}(\.\d{6})?Z-[0-9a-f]{16}", re.ASCII)

MOST_TRIED = 16
"""How many snapshots are tried if the current one is damaged; an index has two, and those that
readers keep."""


@dataclass(frozen=True, slots=True)
class FolderSnapshot:
    """A `pokesim.index.store.Snapshot` with an intact manifest and files of the right sizes."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.path.name

    @property
    def location(self) -> str:
        """Its folder, for messages."""
        return str(self.path)

    def file(self, name: str) -> Path:
        """Return the path of one of its files."""
        return self.path / name

    def open(self) -> SnapshotReader:
        """Open it for searching; see `pokesim.index.store.Snapshot`."""
        return SnapshotReader(self.path, self.manifest, self.projection())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep it from being removed while the block runs. Raises OSError if it is gone."""
        lock = SharedLock(self.file(MANIFEST_FILE))
        try:
            yield
        finally:
            lock.release()

    def verify(self) -> Iterator[str]:
        """Compare the SHA-256 of each file with the manifest; yield a line for each match.

        Raises:
            CorruptIndexError: a file differs; the message says how to recover.
        """
        for name, expected in self.manifest.files.items():
            try:
                self.verify_file(name)
            except CorruptIndexError as error:
                hint = IndexFolder(self.path.parents[1]).recovery_hint(self.name)
                raise CorruptIndexError(f"{error}; {hint}.") from error
            yield f"{name}: {expected['bytes']:,} bytes, SHA-256 matches"

    def verify_file(self, name: str) -> None:
        """Compare the size and SHA-256 of one file with the manifest. Raises CorruptIndexError."""
        self.verify_size(name)
        try:
            digest = sha256_of(self.file(name), follow_links=False)
        except OSError as error:
            raise _unreadable(self.file(name), error) from error
        if digest != self.manifest.files[name]["sha256"]:
            raise _damaged(self.file(name), "is damaged (its SHA-256 differs)")

    def verify_sizes(self) -> None:
        """Compare the sizes of all files with the manifest. Raises CorruptIndexError."""
        for name in self.manifest.files:
            self.verify_size(name)

    def verify_size(self, name: str) -> None:
        """Compare the size of one file with the manifest. Raises CorruptIndexError."""
        file, expected = self.file(name), self.manifest.files[name]["bytes"]
        try:
            found = file.lstat()
        except OSError as error:
            raise _unreadable(file, error) from error
        if not stat.S_ISREG(found.st_mode):
            raise _damaged(file, f"is {_kind(found)}, not a file")
        if found.st_size != expected:
            raise _damaged(file, f"has {found.st_size} bytes, not {expected}")

    def projection(self) -> Projection | None:
        """Return the learned metric of a tuned index, or None.

        Raises:
            CorruptIndexError: its file is damaged.
            OSError: it cannot be read.
        """
        if self.manifest.tuning is None:
            return None
        try:
            return Projection.load(self.file(PROJECTION_FILE))
        except ValueError as error:
            raise _damaged(self.file(PROJECTION_FILE), "is damaged") from error


@dataclass(frozen=True, slots=True)
class IndexFolder:
    """The folder of an index, which need not exist yet."""

    path: Path

    def current(self) -> FolderSnapshot:
        """Return the current snapshot, its manifest verified and the sizes of its files compared.

        Raises:
            IndexNotFoundError: there is no index.
            CorruptIndexError: it is damaged; the message says how to recover.
            IncompatibleIndexError: its format is newer than this pokesim.
        """
        name = ""
        try:
            for _ in range(10):
                name = self.current_name()
                try:
                    return self._intact(name)
                except CorruptIndexError:
                    # A build may meanwhile have published another snapshot and removed this one.
                    if self.current_name() == name:
                        raise
            return self._intact(self.current_name())
        except CorruptIndexError as error:
            raise CorruptIndexError(f"{error}; {self.recovery_hint(name)}.") from error

    def current_name(self) -> str:
        """Return the name of the current snapshot.

        Raises:
            IndexNotFoundError: there is no index.
            CorruptIndexError: the pointer is damaged.
        """
        pointer = self.path / CURRENT
        try:
            with open_regular(pointer) as file:
                name = file.read(200).decode("ascii").strip()
        except (FileNotFoundError, NotADirectoryError) as error:
            if self.names():
                raise _unreadable(pointer, error) from error
            raise IndexNotFoundError(
                f"There is no index at {self.path}; make one with `pokesim build-index FOLDER "
                f"--index {self.path}`."
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(pointer, error) from error
        if not _NAME.fullmatch(name):
            raise _damaged(pointer, "does not name a snapshot")
        return name

    def names(self) -> list[str]:
        """List the names of all snapshots, newest first, intact or not; ignore anything else."""
        folder = self.path / SNAPSHOTS
        try:
            if not stat.S_ISDIR(folder.lstat().st_mode):
                return []
            with os.scandir(folder) as entries:
                found = [
                    entry.name
                    for entry in entries
                    if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
                ]
        except OSError:
            return []
        return sorted(found, reverse=True)

    def readable_snapshots(self, but: str = "") -> Iterator[FolderSnapshot]:
        """Yield the newest snapshots whose manifest is intact, except the one called ``but``."""
        for name in islice((one for one in self.names() if one != but), MOST_TRIED):
            with contextlib.suppress(CorruptIndexError, IncompatibleIndexError):
                yield self.named(name)

    def intact_snapshots(self, but: str = "") -> Iterator[FolderSnapshot]:
        """Yield the newest snapshots that can be opened, except the one called ``but``."""
        for snapshot in self.readable_snapshots(but):
            with contextlib.suppress(CorruptIndexError):
                snapshot.verify_sizes()
                yield snapshot

    def named(self, name: str) -> FolderSnapshot:
        """Return a snapshot by its name; only its manifest is verified.

        Raises:
            CorruptIndexError: the manifest is damaged or missing.
            IncompatibleIndexError: its format is newer than this pokesim.
        """
        path = self.path / SNAPSHOTS / name
        file = path / MANIFEST_FILE
        for folder in (path.parent, path):
            _check_folder(folder)
        try:
            with open_regular(file) as opened:
                text = opened.read(MAX_MANIFEST_BYTES + 1)
        except OSError as error:
            raise _unreadable(file, error) from error
        try:
            data = parse_json(text, MAX_MANIFEST_BYTES)
        except ValueError as error:
            raise _damaged(file, "is damaged") from error
        self._check_format(data)
        if hashlib.sha256(text).hexdigest()[:16] != name.rsplit("-", 1)[-1]:
            raise _damaged(file, "is not the one that was written")
        try:
            manifest = Manifest.from_fields(data)
            check_contents(manifest)
        except ValueError as error:
            raise _damaged(file, f"is not valid: {error}") from error
        return FolderSnapshot(path, manifest)

    def _check_format(self, data: object) -> None:
        found = data.get("format") if isinstance(data, dict) else None
        if isinstance(found, int) and FORMAT < found < 1000:  # beyond that, it is damage
            raise IncompatibleIndexError(
                f"{self.path} was written by a newer pokesim (format {found}, here {FORMAT}); "
                "update pokesim, or replace the index with `pokesim build-index --rebuild`."
            )

    def recovery_hint(self, damaged: str) -> str:
        """Say how to recover from a damaged snapshot, as a clause."""
        older = next(self.intact_snapshots(but=damaged), None)
        if older is None:
            return "build the index again"
        when = older.manifest.created[:16].replace("T", " ")
        return f"`pokesim check --repair --index {self.path}` returns to the index of {when} UTC"

    def _intact(self, name: str) -> FolderSnapshot:
        snapshot = self.named(name)
        snapshot.verify_sizes()
        return snapshot


def _check_folder(folder: Path) -> None:
    """Raise CorruptIndexError if a folder is missing, or is something else, such as a link."""
    try:
        found = folder.lstat()
    except OSError as error:
        raise _unreadable(folder, error) from error
    if not stat.S_ISDIR(found.st_mode):
        raise _damaged(folder, f"is {_kind(found)}, not a folder")


def _kind(found: os.stat_result) -> str:
    kinds = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link"}
    return kinds.get(stat.S_IFMT(found.st_mode), "a pipe, a socket or a device")


def _unreadable(file: Path, error: OSError | ValueError) -> CorruptIndexError:
    return _damaged(file, f"cannot be read ({getattr(error, 'strerror', None) or error})")


def _damaged(file: Path, what: str) -> CorruptIndexError:
    """Say what is wrong with a file; `IndexFolder.current` adds how to recover."""
    with contextlib.suppress(OSError), open_regular(file) as opened:
        if opened.read(23) == b"version https://git-lfs":
            what = "is a Git LFS pointer, not the file itself (fetch it with `git lfs pull`)"
    return CorruptIndexError(f"{file} {what}")
