"""One writer at a time: a lock file that the system lets go when its holder dies, and its name."""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pokesim.errors import IndexFolderError

LOCK = "lock"
_HOLDER = "lock.holder"


@contextmanager
def writing(index: Path) -> Iterator[None]:
    """Be the one that writes an index, whose folder is made if need be.

    Raises:
        IndexFolderError: another process is writing there (the sentence says which), or the disk
            is full or the folder cannot be written.
    """
    import filelock  # a query has no use for it

    try:
        index.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(index / LOCK, timeout=0):
            _sign(index / _HOLDER)
            try:
                yield
            finally:
                (index / _HOLDER).unlink(missing_ok=True)
    except filelock.Timeout as error:
        raise IndexFolderError(
            f"Another build{_holder(index / _HOLDER)} is writing {index} now; wait for it, or "
            "give another --index."
        ) from error
    except (OSError, sqlite3.Error) as error:
        raise IndexFolderError(
            f"The index {index} cannot be written ({getattr(error, 'strerror', '') or error}); "
            "what was there before is unchanged."
        ) from error


def _sign(path: Path) -> None:
    """Leave word who holds the lock; on a full disk it is held without."""
    now = datetime.datetime.now(datetime.UTC)
    with contextlib.suppress(OSError):
        path.write_text(f"process {os.getpid()} on {socket.gethostname()} since {now:%H:%M} UTC\n")


def _holder(path: Path) -> str:
    try:
        line = path.read_text().strip()
    except (OSError, ValueError):
        return ""
    return f" ({line})" if line else ""
