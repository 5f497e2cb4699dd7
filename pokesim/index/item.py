"""An item: what an index records of one picture, next to its vector.

Every store keeps a list of items in the order of their vectors, so a vector's row number is the id
of its item.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath


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

COMPARED = 10_000
"""How many pictures are looked at for labels that repeat, which bounds the time of a query."""

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


# What cameras, phones, scanners and data sets call their pictures: a few letters or a common word
# before numbers, such as IMG_0042, PXL_20230714_153022, image_0001 or n02086646_1; or a hash.
_MEANINGLESS = re.compile(
    r"""[\W_]*
    (?: (?:(?: img|imgp|dscn?|dscf|mg|p[a-f]?|pxl|mvi|gopr|gx|dji|sam|cimg|dcp|kimg|hpim|pict?|scan
            | image|photo|picture|frame|screenshot|whatsapp\ image|n ) [\W_]* e?)?
        \d [\W\d_]* (?: (?:at|wa|mp|copy|edited) [\W\d_]* )*
      | (?=.*\d) (?: [0-9a-f]{16,} | [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12} ) )""",
    re.IGNORECASE | re.VERBOSE,
)


@lru_cache(4096)
def is_meaningless(stem: str) -> bool:
    """Return True for the stem of a file that a camera or a program named, or a number."""
    return _MEANINGLESS.fullmatch(stem[:100]) is not None


def folder_of(item: Item) -> str:
    """Return the name of the folder that a picture is in; "" for the picture folder itself."""
    return PurePosixPath(item.path).parent.name


def with_folder(item: Item, root: Path) -> str:
    """Return a picture's label after the name of its folder, such as ``holiday/IMG_0042``."""
    return f"{folder_of(item) or root.name}/{item.label}"


def path_in(root: Path, file: str | Path) -> str:
    """Return a file's path as items record it: relative to the picture folder if it is inside."""
    path = Path(file).parent.resolve() / Path(file).name
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def named_bytes(item: Item) -> tuple[bytes, bytes]:
    """Return path and label in the bytes of the file system.

    A file name need not be UTF-8; bytes that SQLite casts to TEXT survive the round trip.
    """
    return os.fsencode(item.path), os.fsencode(item.label)
