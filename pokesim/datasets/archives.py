"""Archives, unpacked with care: regular files below one folder, within a cap, or nothing.

An archive from a network may name places outside, hold links and devices, or be a bomb, whose
few bytes unpack to many. Names are looked at, bytes are counted as they come out, and what an
archive says of its own sizes is not believed.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self, TypeAlias

Entry: TypeAlias = tuple[str, IO[bytes] | None]
"""The name of a file and its bytes, or the name of a folder."""

_PIECE = 1 << 18

_BLOCK = 4096  # what a file takes on a disk at least, so that empty ones count too

_HEADER = 1 << 20  # more than any sensible name and note of a tar's entry

_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,  # a compression that zipfile does not know
    ValueError,
    OverflowError,
    FileExistsError,  # a name that is a file's and a folder's
    IsADirectoryError,
    NotADirectoryError,
)

_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


class ArchiveError(Exception):
    """An archive is not unpacked; ``str(error)`` is the reason in a few words."""


class TooLargeError(ArchiveError):
    """An archive holds more than it may."""


def unpack(archive: Path, folder: Path, max_bytes: int) -> tuple[int, int]:
    """Write the files of a zip or tar archive (plain, gzip, bzip2 or xz) below a new folder.

    Hidden files and what macOS adds (``__MACOSX``) are left out.

    Args:
        archive: told by its first bytes, whatever its name.
        folder: made here.
        max_bytes: cap on what comes out, an entry counted as 4 KiB at least.

    Returns:
        The number of files written, and of their bytes.

    Raises:
        ArchiveError: it is none, damaged, encrypted, too large, or would write elsewhere.
        OSError: a file cannot be written.
    """
    try:
        with archive.open("rb") as file:
            read = _zipped if file.read(2) == b"PK" else _tarred
        with contextlib.closing(read(archive)) as entries:
            return write_files(entries, folder, max_bytes)
    except _DAMAGE as error:
        raise _damaged(error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(error) from error  # as gzip and bz2 say it


def write_files(entries: Iterable[Entry], folder: Path, max_bytes: int) -> tuple[int, int]:
    """Write files below a new folder; raises and returns as `unpack` does, whose end it is."""
    folder.mkdir()
    files = total = 0
    room = max_bytes
    for name, source in entries:
        place = _place(name)
        size = _copy(source, folder / place if place else None, room) if source else 0
        if source and place:
            files, total = files + 1, total + size
        room -= max(size, _BLOCK)
        if room < 0:
            raise _too_large()
    if not files:
        raise ArchiveError("there are no files in it")
    return files, total


def _copy(source: IO[bytes], path: Path | None, room: int) -> int:
    """Write what a file holds, or only read it, and return its size."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with (path or Path(os.devnull)).open("wb") as target:
        while piece := source.read(_PIECE):
            size += len(piece)
            if size > room:
                raise _too_large()
            target.write(piece)
    return size


def _place(name: str) -> PurePosixPath | None:
    """Return where a file belongs below the folder, or None for one that is left out."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise ArchiveError(f"{name} in it would be written outside of the folder")
    left_out = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return None if left_out else path


def _zipped(archive: Path) -> Generator[Entry, None, None]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if info.flag_bits & 1:
                raise ArchiveError("it is encrypted")
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _no_file(info.filename)
            if info.is_dir():
                yield info.filename, None
                continue
            with opened.open(info) as file:
                yield info.filename, file


def _tarred(archive: Path) -> Generator[Entry, None, None]:
    with archive.open("rb") as file:
        start = file.read(6)
    opener = next((_OPENERS[magic] for magic in _OPENERS if start.startswith(magic)), Path.open)
    with opener(archive, "rb") as raw:
        stream = _Metered(raw)
        try:
            opened = tarfile.open(mode="r|", fileobj=stream, tarinfo=_Header)  # noqa: SIM115
        except tarfile.ReadError as error:
            packed = "there is no tar archive in it, or it is damaged"
            told = "it is no zip or tar archive" if opener is Path.open else packed
            raise ArchiveError(told) from error
        with opened:
            while info := opened.next():
                if not (info.isreg() or info.isdir()):
                    raise _no_file(info.name)
                stream.left = None
                yield info.name, opened.extractfile(info)
                stream.left = _HEADER
                opened.members.clear()  # type: ignore[attr-defined]  # else they all stay
        while stream.read(_PIECE):  # to the end, where gzip and its like keep their checksum
            pass


class _Header(tarfile.TarInfo):
    """A header of a tar; one that is damaged is an error, where tarfile sees the archive's end."""

    @classmethod
    def fromtarfile(cls, opened: tarfile.TarFile) -> Self:
        """Read the next one."""
        try:
            return super().fromtarfile(opened)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            if opened.offset == 0:
                raise  # no tar at all
            raise tarfile.ReadError(str(error)) from error


class _Metered(io.RawIOBase):
    """A stream that gives no more than ``left``: a header may claim any length for itself."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__()
        self._raw = raw
        self.left: int | None = _HEADER

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        piece = self._raw.read(size)
        if self.left is not None:
            self.left -= len(piece)
            if self.left < 0:
                raise ArchiveError(f"it is damaged (a header of more than {_HEADER:,} bytes)")
        return piece


def _no_file(name: str) -> ArchiveError:
    return ArchiveError(f"{name} in it is a link or a device, which is not unpacked")


def _too_large() -> TooLargeError:
    return TooLargeError("it holds more than is allowed")


def _damaged(error: Exception) -> ArchiveError:
    return ArchiveError(f"it is damaged ({error or type(error).__name__})")
