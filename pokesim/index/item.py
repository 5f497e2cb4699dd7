"""``items.sqlite``: what each vector is a picture of, in the order of the vectors.

SQLite, so that a query reads only the rows that it shows, however large the collection.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of an index.

    Attributes:
        id: row of its vector.
        path: relative to the picture folder, "/" between parts.
        label: what it shows; the file's stem.
        size: of the file, in bytes.
        mtime_ns: when the file was last changed, as `changed_ns` has it; or `RACY`.
        sha256: of the file's bytes.
    """

    id: int
    path: str
    label: str
    size: int
    mtime_ns: int
    sha256: str


COLUMNS = ", ".join(field.name for field in fields(Item))
"""An item's columns, in the order of its fields."""

RACY = -1
"""In place of an ``mtime_ns``: the file had just been changed when it was read, so that a further
change may have the same time; only its content tells."""


def changed_ns(found: os.stat_result) -> int:
    """Return when a file was last changed, in nanoseconds since 1970.

    The later of the times of its content and of its entry, which changes too when another file
    takes its name.
    """
    return max(found.st_mtime_ns, found.st_ctime_ns)


def path_in(root: Path, file: str | Path) -> str:
    """Return a file's path as items have it: relative to the picture folder, if it is in there."""
    path = Path(file).parent.resolve() / Path(file).name
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def named_bytes(item: Item) -> tuple[bytes, bytes]:
    """Return path and label as SQLite is given them.

    A file name need not be UTF-8. As bytes cast to TEXT it survives the round trip.
    """
    return os.fsencode(item.path), os.fsencode(item.label)
