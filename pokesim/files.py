"""Files on disk: open one that others may have forged, write one that survives a power cut.

A file is on the disk once its content is flushed, the folder that names it is flushed, and so are
the folders above that are new. `atomic_path` does this for a file, `publish_folder` for a folder of
files, `make_folder` for the folders above; nothing else in pokesim flushes anything.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

_MAX_NAME, _MAX_ENDING = 200, 20  # bytes; file systems take 255, encrypted ones fewer

# What Windows reserves; characters that control a terminal or the direction of text; bytes of a
# name that are not valid UTF-8.
_RESERVED = re.compile(
    r"""[\x00-\x1f\x7f-\x9f"*/:<>?\\|\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+"""
)


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
    """Replace a file's content atomically: a reader, or a power cut, sees the old or the new one.

    Raises:
        OSError: the disk is full, or the folder is not writable; the file is unchanged.
    """
    with atomic_path(path) as part:
        part.write_bytes(data)


@contextmanager
def atomic_path(
    path: Path, *, follow_links: bool = False, overwrite: bool = True
) -> Iterator[Path]:
    """Yield the path of a new file in the same folder, which replaces ``path`` when the block ends.

    The new file exists, is empty and has the same suffix, and the permissions of the file that it
    replaces. If the block raises, it is removed and ``path`` is unchanged.

    Args:
        path: the file.
        follow_links: whether to replace what a link points to, not the link, and to write a device
            or a pipe in place. For files that the user named, such as ``/dev/stdout``.
        overwrite: whether there may be a file already.

    Raises:
        FileExistsError: there is a file, or anything else of this name, and it may not be replaced.
        OSError: the disk is full, or the folder is not writable; ``path`` is unchanged.
    """
    if not overwrite:
        _check_free(path)
    if follow_links:
        if path.exists() and not path.is_file():
            yield path  # a device or a pipe; opening a folder raises the right error
            return
        path = path.resolve()
    part = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    os.close(create_new(part))
    try:
        _copy_permissions(path, part)
        yield part
        _sync_file(part)
        if overwrite:
            part.replace(path)
        else:
            _place_new(part, path)
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _place_new(part: Path, path: Path) -> None:
    """Give a new file its name, unless there is a file of this name by now."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as that of memory cards
        _check_free(path)
        part.rename(path)


def _check_free(path: Path) -> None:
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def _copy_permissions(source: Path, target: Path) -> None:
    with suppress(FileNotFoundError):
        found = source.lstat().st_mode
        if stat.S_ISREG(found):
            target.chmod(found & 0o777 | stat.S_IRUSR | stat.S_IWUSR)


def create_new(path: Path) -> int:
    """Create a file and open it for writing; whatever bears its name, even a link, is an error."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)


def numbered_name(number: int, count: int, stem: str, ending: str = "") -> str:
    """Return the name of a file or a folder, such as "01 brumbel.png", that every system takes.

    Names sort by their numbers. What some system reserves becomes "-", and what is too long is cut.

    Args:
        number: its number, from 1.
        count: the largest number of these names.
        stem: the name, which may be any text.
        ending: with its dot; "" for a folder.
    """
    start = f"{number:0{max(2, len(str(count)))}} "
    ending = _cut(_RESERVED.sub("-", ending), _MAX_ENDING).rstrip(". ")
    stem = _cut(_RESERVED.sub("-", stem), _MAX_NAME - len(start) - len(ending.encode()))
    return f"{start}{stem.strip(' .')}{ending}".strip()


def _cut(text: str, most: int) -> str:
    """Return the start of a text, at most so many bytes in UTF-8."""
    return text.encode()[:most].decode(errors="ignore")


def make_folder(path: Path) -> None:
    """Create a folder, and those above it, if necessary. Raises OSError."""
    if not path.is_dir():
        if path.parent != path:
            make_folder(path.parent)
        path.mkdir(exist_ok=True)
        _sync_folder(path.parent)


def publish_folder(draft: Path, target: Path) -> None:
    """Move a folder of files to ``target``, which does not exist yet, with all that is in it.

    After a power cut, ``target`` is missing or complete; once this returns, it is complete.

    Raises:
        OSError: the disk fails; ``target`` may exist or not.
    """
    for file in draft.iterdir():
        _sync_file(file)
    _sync_folder(draft)
    make_folder(target.parent)
    draft.rename(target)
    _sync_folder(target.parent)


def remove(path: Path) -> None:
    """Remove a folder with all that is in it, or a file; of a link, only the link.

    What cannot be removed, or does not exist, is left.
    """
    with suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def _sync_file(path: Path) -> None:
    flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    _flush(path, flags)


def _sync_folder(folder: Path) -> None:
    """Flush the names in a folder: new ones, renamed ones, and that others are gone."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        _flush(folder, os.O_RDONLY)


def _flush(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        if sys.platform == "darwin":
            import fcntl

            # There, fsync leaves the data in the drive's own cache, which a power cut empties.
            with suppress(OSError):  # a network file system, which only knows fsync
                fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
                return
        os.fsync(handle)
    finally:
        os.close(handle)
