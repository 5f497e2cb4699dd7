"""Locks of an index folder: one writer at a time, and snapshots that readers keep on disk."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import sqlite3
import stat
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pokesim.errors import IndexFolderError
from pokesim.files import create_new, make_folder, open_regular, remove

SNAPSHOTS = "snapshots"
LABELLED = "labelled"
"""Of an index that was tuned: the index of the pictures that its metric was learned from."""

LOCK = "lock"
_HOLDER = "lock.holder"


@contextmanager
def write_lock(index: Path) -> Iterator[None]:
    """Hold the write lock of an index folder, which is created if necessary.

    The operating system releases the lock when the process ends, however it ends.

    Raises:
        IndexFolderError: another process holds it (the message names the process), or the folder
            is not writable, or the disk is full.
    """
    import filelock  # not needed for a query

    try:
        make_folder(index)
        _refuse_links(index)
        with filelock.FileLock(index / LOCK, timeout=0):
            _record_holder(index / _HOLDER)
            try:
                yield
            finally:
                remove(index / _HOLDER)
    except filelock.Timeout as error:
        raise IndexFolderError(
            f"Another build{_holder(index / _HOLDER)} is writing {index}; wait for it, or use "
            "another --index."
        ) from error
    except (OSError, sqlite3.Error) as error:
        raise IndexFolderError(
            f"The index {index} cannot be written ({getattr(error, 'strerror', '') or error}); "
            "what was there before is unchanged."
        ) from error


def _refuse_links(index: Path) -> None:
    """Refuse an index folder that leads elsewhere, as a received one may: nothing is written there.

    Locking truncates the lock file, so that must be an empty file, as we left it.

    Raises:
        OSError: with the reason.
    """
    for name in (SNAPSHOTS, LABELLED):
        if (index / name).is_symlink():
            raise OSError(errno.ELOOP, f"{name} in it is a link, which is not followed")
    with contextlib.suppress(FileNotFoundError):
        found = (index / LOCK).lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size:
            raise OSError(errno.EEXIST, f"{LOCK} in it is not an empty file; remove it")


def _record_holder(path: Path) -> None:
    """Record the lock holder; if the disk is full, hold the lock without a record."""
    import socket  # not needed for a query

    now = datetime.datetime.now(datetime.UTC)
    line = f"process {os.getpid()} on {socket.gethostname()} since {now:%H:%M} UTC\n"
    remove(path)
    with contextlib.suppress(OSError), os.fdopen(create_new(path), "w") as file:
        file.write(line)


def _holder(path: Path) -> str:
    try:
        with open_regular(path) as file:
            line = file.read(200).decode().strip()
    except (OSError, ValueError):
        return ""
    return f" ({line})" if line else ""


class SharedLock:
    """A shared lock on a snapshot's manifest, which keeps the snapshot from being removed.

    It ends with `release`, with the object, or with the process, however that ends.
    """

    def __init__(self, manifest: Path) -> None:
        """Acquire it. Raises OSError if the snapshot has been removed, or is being removed."""
        file = open_regular(manifest)
        self.release = weakref.finalize(self, file.close)
        if not try_lock(file.fileno(), exclusive=False):
            raise OSError(f"{manifest.parent} is being removed")


def try_lock(handle: int, *, exclusive: bool) -> bool:
    """Try to lock an open file until it is closed; return False if another lock conflicts.

    Where there are no POSIX locks (on Windows, where an open file cannot be removed anyway, and on
    some network file systems), nothing conflicts.
    """
    try:
        import fcntl

        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True
