"""An item: what an index records of one picture, next to its vector.

Every store keeps a list of items in the order of their vectors, so a vector's row number is the id
of its item.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path, PurePath


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of an index.

    Attributes:
        id: row of its vector, from 0.
        path: relative to the picture folder, with "/" as separator; absolute for a picture that
            was added from outside that folder.
        label: name of what it shows; the stem of its file name.
        size: size of the file in bytes.
        mtime_ns: when the file last changed, as `changed_ns` returns it; or `RACY`.
        sha256: SHA-256 of the file, hexadecimal.
    """

    id: int
    path: str
    label: str
    size: int
    mtime_ns: int
    sha256: str


COLUMNS = ", ".join(field.name for field in fields(Item))
"""The fields of an item, as SQL columns."""

RACY = -1
"""In place of ``mtime_ns``: the file had changed so shortly before it was read that a later change
may have the same time. Only its SHA-256 shows whether it has changed since."""


_MAX_NAME = 32_768
"""The most characters of a path; no system takes longer ones."""

_MAX_HASH = 64


def checked(item: Item) -> Item:
    """Return an item that was read from a file, if its values are such as a build writes.

    Raises:
        ValueError: a value is of another type or absurd; or the path leads out of the picture
            folder by "..", which no build records.
    """
    names = (item.path, item.label)
    if not all(isinstance(name, str) and len(name) <= _MAX_NAME for name in (*names, item.sha256)):
        raise ValueError(f"item {item.id} has a name that is none")
    if not item.path or "\0" in item.path + item.label or ".." in PurePath(item.path).parts:
        raise ValueError(f"item {item.id} has a path that no picture has")
    numbers = (item.size, item.mtime_ns)
    if (
        not all(isinstance(number, int) for number in numbers)
        or min(item.size, item.mtime_ns + 1) < 0
    ):
        raise ValueError(f"item {item.id} has a size or a time that no picture has")
    if len(item.sha256) > _MAX_HASH:
        raise ValueError(f"item {item.id} has a SHA-256 that is none")
    return item


def changed_ns(found: os.stat_result) -> int:
    """Return when a file last changed, in nanoseconds since 1970.

    This is the later of the times of its content and of its inode, which also changes when another
    file is renamed to its name.
    """
    return max(found.st_mtime_ns, found.st_ctime_ns)


def path_in(root: Path, file: str | Path) -> str:
    """Return a file's path as items record it: relative to the picture folder if it is inside."""
    path = Path(file).parent.resolve() / Path(file).name
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def named_bytes(item: Item) -> tuple[bytes, bytes]:
    """Return path and label in the bytes of the file system.

    A file name need not be UTF-8; bytes that SQLite casts to TEXT survive the round trip.
    """
    return os.fsencode(item.path), os.fsencode(item.label)
