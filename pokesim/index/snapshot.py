"""What is on disk: immutable snapshots, and the pointer to the one that counts.

    indexes/NAME/
      CURRENT                       name of the snapshot that counts, replaced in one step
      lock                          held by the one writer
      snapshots/TIME-HASH/          HASH begins the SHA-256 of manifest.json
        manifest.json               what the index is, and size and SHA-256 of the other files
        items.sqlite
        vectors.faiss

Here they are opened; `pokesim.index.publish` writes them. The layout is described in
indexes/README.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pokesim import metric
from pokesim.cache import sha256_of
from pokesim.errors import DamagedIndexError, NoIndexError, OtherIndexError
from pokesim.index.manifest import FORMAT, Manifest
from pokesim.metric import Projection

if TYPE_CHECKING:
    from pokesim.index.folder import OpenedFolder

CURRENT = "CURRENT"
MANIFEST = "manifest.json"
SNAPSHOTS = "snapshots"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A published snapshot whose manifest is whole and whose files have the right sizes."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.path.name

    @property
    def place(self) -> str:
        """Its folder."""
        return str(self.path)

    def file(self, name: str) -> Path:
        """Return the path of one of its files."""
        return self.path / name

    def open(self) -> OpenedFolder:
        """Open it to be searched; see `pokesim.index.store`."""
        from pokesim.index.folder import OpenedFolder

        return OpenedFolder(self)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep it from being cleared away meanwhile. Raises OSError where it is gone."""
        hold = Hold(self)
        try:
            yield
        finally:
            hold.release()

    def verified(self) -> Iterator[str]:
        """Compare every byte with what was written, yielding a line a file.

        Raises:
            DamagedIndexError: a file is another; the sentence says how to go on.
        """
        for name, expected in self.manifest.files.items():
            try:
                self.verify(name)
            except DamagedIndexError as error:
                way = way_out(self.path.parents[1], self.name)
                raise DamagedIndexError(f"{error}; {way}.") from error
            yield f"{name}: {expected['bytes']:,} bytes, SHA-256 as written"

    def verify(self, name: str) -> None:
        """Compare a file's every byte with what was written.

        Raises:
            DamagedIndexError: it is another.
        """
        try:
            digest = sha256_of(self.file(name))
        except OSError as error:
            raise _unreadable(self.file(name), error) from error
        if digest != self.manifest.files[name]["sha256"]:
            raise _damaged(self.file(name), "is damaged (its SHA-256 differs)")

    def projection(self) -> Projection | None:
        """Return the learned metric of a tuned index, None of another.

        Raises:
            DamagedIndexError: its file is damaged.
            OSError: it cannot be read.
        """
        if self.manifest.tuning is None:
            return None
        try:
            return Projection.load(self.file(metric.FILE))
        except ValueError as error:
            raise _damaged(self.file(metric.FILE), "is damaged") from error


class Hold:
    """Keeps a snapshot from being cleared away: a shared lock on its manifest.

    It ends with `release`, with the object, or with the process, whatever ends that.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        """Take it. Raises OSError where the snapshot is gone, or going."""
        handle = os.open(snapshot.file(MANIFEST), os.O_RDONLY)
        self.release = weakref.finalize(self, os.close, handle)
        if not lock_file(handle, exclusive=False):
            raise OSError(f"{snapshot.path} is being cleared away")


def lock_file(handle: int, *, exclusive: bool) -> bool:
    """Try to lock an opened file until it is closed; say whether nobody else stands in the way.

    Without POSIX locks (on Windows, where opened files cannot be removed anyway, and on some
    network file systems) there is nobody.
    """
    try:
        import fcntl

        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True


def open_snapshot(index: Path) -> Snapshot:
    """Open the snapshot that counts, its manifest verified and its files' sizes compared.

    Raises:
        NoIndexError: there is none.
        DamagedIndexError: it is damaged; the sentence says how to go on.
        OtherIndexError: it is of a newer format.
    """
    name = ""
    try:
        for _ in range(10):
            name = current_name(index)
            try:
                return _open_named(index, name)
            except DamagedIndexError:
                # While we looked, a build may have published another and cleared this one away.
                if current_name(index) == name:
                    raise
        return _open_named(index, current_name(index))
    except DamagedIndexError as error:
        raise DamagedIndexError(f"{error}; {way_out(index, name)}.") from error


def sound_snapshots(index: Path, but: str = "") -> Iterator[Snapshot]:
    """Yield the snapshots that can be opened, the newest first, but for one name."""
    for name in snapshot_names(index):
        if name != but:
            with contextlib.suppress(DamagedIndexError, OtherIndexError):
                yield _open_named(index, name)


def snapshot_names(index: Path) -> list[str]:
    """List the snapshots' folders, the newest first, whatever is in them."""
    home = index / SNAPSHOTS
    return sorted((folder.name for folder in home.iterdir()), reverse=True) if home.is_dir() else []


def way_out(index: Path, damaged: str) -> str:
    """Say how to go on where a snapshot is damaged."""
    older = next(sound_snapshots(index, but=damaged), None)
    if older is None:
        return "build the index again"
    when = older.manifest.created[:16].replace("T", " ")
    return f"`pokesim check --repair --index {index}` returns to the index of {when} UTC"


def current_name(index: Path) -> str:
    """Return the name of the snapshot that counts.

    Raises:
        NoIndexError: there is no index.
        DamagedIndexError: the pointer is damaged.
    """
    pointer = index / CURRENT
    try:
        name = pointer.read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError) as error:
        if snapshot_names(index):
            raise _unreadable(pointer, error) from error
        raise NoIndexError(
            f"There is no index at {index}; make one with `pokesim build-index --index {index}`."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(pointer, error) from error
    if not name or "/" in name or "\\" in name or name.startswith("."):
        raise _damaged(pointer, "names no snapshot")
    return name


def _open_named(index: Path, name: str) -> Snapshot:
    snapshot = snapshot_named(index, name)
    for file, expected in snapshot.manifest.files.items():
        try:
            size = snapshot.file(file).stat().st_size
        except OSError as error:
            raise _unreadable(snapshot.file(file), error) from error
        if size != expected["bytes"]:
            raise _damaged(snapshot.file(file), f"has {size} bytes, not {expected['bytes']}")
    return snapshot


def snapshot_named(index: Path, name: str) -> Snapshot:
    """Return a snapshot by its folder's name, of which only the manifest has been verified.

    Raises:
        DamagedIndexError: the manifest is damaged or missing.
        OtherIndexError: it is of a newer format.
    """
    home = index / SNAPSHOTS / name
    try:
        text = (home / MANIFEST).read_bytes()
    except OSError as error:
        raise _unreadable(home / MANIFEST, error) from error
    try:
        found = json.loads(text).get("format")
    except (ValueError, AttributeError) as error:
        raise _damaged(home / MANIFEST, "is damaged") from error
    if isinstance(found, int) and found > FORMAT:
        raise OtherIndexError(
            f"{index} was written by a newer pokesim (format {found}, here {FORMAT}); update "
            "pokesim, or start afresh with `pokesim build-index --rebuild`."
        )
    if hashlib.sha256(text).hexdigest()[:16] != name.rsplit("-", 1)[-1]:
        raise _damaged(home / MANIFEST, "is not the one that was written")
    try:
        return Snapshot(home, Manifest.from_json(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(home / MANIFEST, "is not what this pokesim writes") from error


def _unreadable(file: Path, error: OSError | ValueError) -> DamagedIndexError:
    return _damaged(file, f"cannot be read ({getattr(error, 'strerror', None) or error})")


def _damaged(file: Path, what: str) -> DamagedIndexError:
    """Say what is wrong with a file; `open_snapshot` adds what to do."""
    with contextlib.suppress(OSError), file.open("rb") as opened:
        if opened.read(23) == b"version https://git-lfs":
            what = "is a Git LFS pointer, not the file itself (`git lfs pull` fetches it)"
    return DamagedIndexError(f"{file} {what}")
