"""Files on disk: open and hash a file that others may have forged, replace a file atomically."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path, *, follow_links: bool = False) -> BufferedReader:
    """Open a file for reading, only if it is a regular file.

    The file is examined after it is opened, so it cannot be exchanged in between; opening a pipe
    or a device does not wait for it.

    Args:
        path: the file.
        follow_links: whether ``path`` may be a link to the file. Not for files that somebody else
            may have made, such as those of an index.

    Raises:
        OSError: it is missing or cannot be read, or is a folder, a pipe or a device, or a link
            that is not followed.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    if not follow_links:
        if path.is_symlink():  # for a clear reason, and where there is no O_NOFOLLOW
            raise OSError(errno.ELOOP, "it is a link, which is not followed", str(path))
        flags |= getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return os.fdopen(handle, "rb")


def sha256_of(path: Path, *, follow_links: bool = True) -> str:
    """Return the SHA-256 of a regular file's bytes, in hexadecimal. Raises OSError."""
    with open_regular(path, follow_links=follow_links) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def atomic_write(path: Path, data: bytes) -> None:
    """Replace a file's content atomically: a reader, or a crash, sees the old or the new content.

    Raises:
        OSError: the disk is full, or the folder is not writable; the file is unchanged.
    """
    with atomic_path(path) as part:
        part.write_bytes(data)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield the path of a new file in the same folder, which replaces ``path`` when the block ends.

    The new file has the same suffix. If the block raises, it is removed and ``path`` is unchanged.

    Raises:
        OSError: the disk is full, or the folder is not writable; ``path`` is unchanged.
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield part
        sync_file(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Flush a file's content to the disk. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that a rename survives a power cut. Raises OSError."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
