"""Unpack untrusted archives safely: only regular files, below one folder, up to a size limit.

A downloaded archive may name paths outside the folder, contain links and devices, or be a bomb,
whose few bytes unpack to many. Names are therefore checked and bytes counted as they are unpacked;
the sizes that an archive declares are not trusted.
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

_CHUNK = 1 << 18

_BLOCK = 4096  # minimum size of a file on disk, so that empty files count too

_HEADER_LIMIT = 1 << 20  # more than any sensible header of a tar entry

_DIRECTORY_LIMIT = 1 << 27  # bytes of a zip archive's list of entries, which is read at once

_MAX_ENTRIES = 2_000_000

_MAX_DEPTH = 64  # folders within each other

_MAX_NAME = 255  # bytes of a file's name, on nearly every file system

_MAX_PATH = 1000  # bytes of an entry's path; systems allow 4096 with the folder's own

_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,  # a compression method that zipfile does not support
    ValueError,
    OverflowError,
    FileExistsError,  # one name for two entries
    IsADirectoryError,
    NotADirectoryError,
    RecursionError,  # tarfile follows a chain of headers by calling itself
)

_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


class ArchiveError(Exception):
    """An archive cannot be unpacked; ``str(error)`` is the reason in a few words."""


class TooLargeError(ArchiveError):
    """An archive is larger than the limit."""


def unpack(archive: Path, folder: Path, max_bytes: int) -> tuple[int, int]:
    """Unpack a zip archive, or a tar archive (uncompressed, gzip, bzip2 or xz), into a new folder.

    Hidden files and the ``__MACOSX`` folder that macOS adds are skipped.

    Args:
        archive: the archive; its first bytes determine its format, not its name.
        folder: the folder, which is created.
        max_bytes: maximum size of the unpacked files; each entry counts as at least 4 KiB.

    Returns:
        The number of files written, and their total size in bytes.

    Raises:
        ArchiveError: it is not an archive, is damaged, encrypted or too large, or has an entry that
            is not a file or folder, lies outside the folder, or has the name of another.
        OSError: a file cannot be written.
    """
    try:
        with archive.open("rb") as file:
            read = _zip_entries if file.read(2) == b"PK" else _tar_entries
        with contextlib.closing(read(archive)) as entries:
            return write_files(entries, folder, max_bytes)
    except _DAMAGE as error:
        raise _damaged(error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(error) from error  # gzip and bz2 report damage without errno


def write_files(entries: Iterable[Entry], folder: Path, max_bytes: int) -> tuple[int, int]:
    """Write files below a new folder. Returns and raises as `unpack` does."""
    folder.mkdir()
    files = total = 0
    room = max_bytes
    for number, (name, source) in enumerate(entries, 1):
        if number > _MAX_ENTRIES:
            raise ArchiveError(f"it has more than {_MAX_ENTRIES:,} entries")
        path = _relative_path(name)
        size = _copy(source, folder / path if path else None, room) if source else 0
        if source and path:
            files, total = files + 1, total + size
        room -= max(size, _BLOCK)
        if room < 0:
            raise _too_large()
    if not files:
        raise ArchiveError("it contains no files")
    return files, total


def _copy(source: IO[bytes], path: Path | None, room: int) -> int:
    """Copy a file to ``path``, or only read it if that is None, and return its size."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    # A second entry of the same name, or where the file system ignores case, is an error.
    with path.open("xb") if path else Path(os.devnull).open("wb") as target:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > room:
                raise _too_large()
            target.write(chunk)
    return size


def _relative_path(name: str) -> PurePosixPath | None:
    """Return the path of an entry below the folder, or None if it is skipped."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise ArchiveError(f"its entry {_short(name)} would be written outside the folder")
    if len(path.parts) > _MAX_DEPTH:
        raise ArchiveError(f"its entry {_short(name)} lies in more than {_MAX_DEPTH} folders")
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if longest > _MAX_NAME or len(os.fsencode(path)) > _MAX_PATH:
        raise ArchiveError(f"its entry {_short(name)} has too long a name")
    skipped = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return None if skipped else path


def _short(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}…"


def _zip_entries(archive: Path) -> Generator[Entry, None, None]:
    with archive.open("rb") as raw, _LimitedStream(raw, _DIRECTORY_LIMIT) as stream:
        opened = zipfile.ZipFile(stream)
        stream.left = None
        for info in opened.infolist():
            if not info.filename:
                raise ArchiveError("it is damaged (an entry without a name)")
            if info.flag_bits & 1:
                raise ArchiveError("it is encrypted")
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _unsupported(info.filename)
            if info.is_dir():
                yield info.filename, None
                continue
            with opened.open(info) as file:
                yield info.filename, file


def _tar_entries(archive: Path) -> Generator[Entry, None, None]:
    with archive.open("rb") as file:
        start = file.read(6)
    opener = next((_OPENERS[magic] for magic in _OPENERS if start.startswith(magic)), Path.open)
    with opener(archive, "rb") as raw:
        stream = _LimitedStream(raw, _HEADER_LIMIT)
        try:
            opened = tarfile.open(mode="r|", fileobj=stream, tarinfo=_StrictHeader)  # noqa: SIM115
        except tarfile.ReadError as error:
            if opener is Path.open:
                raise ArchiveError("it is not a zip or tar archive") from error
            raise ArchiveError("it contains no tar archive, or is damaged") from error
        with opened:
            while info := opened.next():
                if not (info.isreg() or info.isdir()) or info.issparse():
                    raise _unsupported(info.name)
                stream.left = None
                yield info.name, opened.extractfile(info)
                stream.left = _HEADER_LIMIT
                opened.members.clear()  # type: ignore[attr-defined]  # else they accumulate
        while stream.read(_CHUNK):  # to the end, where compressed files have their checksum
            pass


class _StrictHeader(tarfile.TarInfo):
    """A tar header that raises an error if damaged; tarfile would take it for the end."""

    @classmethod
    def fromtarfile(cls, opened: tarfile.TarFile) -> Self:
        """Read the next header."""
        try:
            return super().fromtarfile(opened)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            if opened.offset == 0:
                raise  # not a tar archive
            raise tarfile.ReadError(str(error)) from error


class _LimitedStream(io.RawIOBase):
    """A stream that reads at most ``left`` bytes, because an archive may declare any length.

    Attributes:
        left: the number of bytes that may still be read, or None for no limit.
    """

    def __init__(self, raw: IO[bytes], left: int) -> None:
        super().__init__()
        self._raw = raw
        self.left: int | None = left

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        if self.left is None:
            return self._raw.read(size)
        chunk = self._raw.read(self.left + 1 if size < 0 else min(size, self.left + 1))
        self.left -= len(chunk)
        if self.left < 0:
            raise ArchiveError("it is damaged (its headers are too long)")
        return chunk

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to another place. Raises ValueError if a damaged archive places it before 0."""
        if whence == os.SEEK_SET and offset < 0:
            raise ValueError("an offset is negative")
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """Return the current place."""
        return self._raw.tell()

    def seekable(self) -> bool:
        """Return whether `seek` works."""
        return self._raw.seekable()


def _unsupported(name: str) -> ArchiveError:
    what = "a link, a device or a sparse file"
    return ArchiveError(f"its entry {_short(name)} is {what}, which is never unpacked")


def _too_large() -> TooLargeError:
    return TooLargeError("its files are larger than the limit")


def _damaged(error: Exception) -> ArchiveError:
    return ArchiveError(f"it is damaged ({error or type(error).__name__})")
