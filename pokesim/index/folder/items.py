"""``items.sqlite``: the item of each vector, in the order of the vectors.

It is an SQLite file, so that a query reads only the rows that it shows, however large the index.
"""

from __future__ import annotations

import operator
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from pokesim.errors import CorruptIndexError
from pokesim.index.folder.database import Database
from pokesim.index.item import COLUMNS, COMPARED, Item, checked, named_bytes

ITEMS_FILE = "items.sqlite"

_TABLE = (
    "CREATE TABLE items (id INTEGER PRIMARY KEY, path TEXT NOT NULL, label TEXT NOT NULL,"
    " size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL)"
)

_BY_HASH = "CREATE INDEX items_sha256 ON items (sha256)"

_SCHEMA = {
    "items": re.escape(_TABLE),
    "items_sha256": re.escape(_BY_HASH),
    "metadata": r'CREATE TABLE metadata \(" row" INTEGER PRIMARY KEY(, "(?:[^"]|"")+")+\)',
    "described": r"CREATE TABLE described \(rows BLOB NOT NULL\)",
}
"""Regular expressions for what the file may hold; `metadata` writes the last two."""

_BLOCK = 1024  # items that an iteration reads at a time

_CACHED = 4096  # items in memory, the last used

_MOST_VARIABLES = 999
"""Variables that every SQLite takes in a statement (before 3.32)."""


class ItemWriter:
    """Writes items into a new SQLite file.

    Attributes:
        db: the open file; the metadata are written through it too.
    """

    def __init__(self, path: Path) -> None:
        # No reader sees the file before its snapshot is published: a journal would protect nothing.
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = OFF")
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.execute(_TABLE)
        self.db.execute("BEGIN")

    def add(self, items: Iterable[Item]) -> None:
        """Append items; their ids are the rows of their vectors."""
        self.db.executemany(
            "INSERT INTO items VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?)",
            ((item.id, *named_bytes(item), *astuple(item)[3:]) for item in items),
        )

    def finish(self) -> None:
        """Write what is left, and close the file."""
        self.db.execute(_BY_HASH)
        self.db.execute("COMMIT")
        self.db.close()

    def close(self) -> None:
        """Close the file without finishing it."""
        self.db.close()


class Items:
    """A `pokesim.index.store.Items`; safe to use from several threads.

    It raises CorruptIndexError if the file is damaged, and UsageError if it has been closed.
    """

    def __init__(self, path: Path, count: int) -> None:
        """Open the file of ``count`` items.

        Raises:
            CorruptIndexError: it is damaged, or has another number of items.
            OSError: it is missing or cannot be read.
        """
        database = Database(path, _SCHEMA)
        self._db, self._count = database, count
        # A snapshot never changes, so a cached item is never stale.
        self._item = lru_cache(_CACHED)(lambda number: _checked_items(database, [number])[0])
        # count(*) would read the whole file.
        ends = "SELECT (SELECT min(id) FROM items), (SELECT max(id) FROM items)"
        if self._db.first(ends) != ((0, count - 1) if count else (None, None)):
            self.close()
            raise self._db.damaged(f"its items are not numbered 0 to {count - 1}")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, item_id: int) -> Item:
        number = operator.index(item_id)  # also one of NumPy's
        if not 0 <= number < self._count:
            raise KeyError(item_id)
        return self._item(number)

    def many(self, ids: Sequence[int]) -> list[Item]:
        """Return the items with these ids, in their order. Raises KeyError if one is missing."""
        if wrong := [number for number in ids if not 0 <= number < self._count]:
            raise KeyError(wrong[0])
        return _checked_items(self._db, ids)

    def find(self, sha256: str) -> int | None:
        """Return the lowest id of the pictures with this SHA-256, or None."""
        return self._id(self._db.first("SELECT min(id) FROM items WHERE sha256 = ?", sha256))

    def ids_of_bytes(self, sha256: str) -> list[int]:
        """Return the ids of the pictures with this SHA-256."""
        query = "SELECT id FROM items WHERE sha256 = ? LIMIT ?"
        found = map(self._id, self._db.all(query, sha256, self._count))
        return [number for number in found if number is not None]

    def id_of_path(self, path: str) -> int | None:
        """Return the id of the picture with this path, as `path_in` returns it, or None."""
        query = "SELECT id FROM items WHERE path = CAST(? AS TEXT)"
        return self._id(self._db.first(query, os.fsencode(path)))

    def _id(self, row: tuple[Any] | None) -> int | None:
        """Return the id in a row that was found, or None."""
        if row is None or row[0] is None:
            return None
        if not 0 <= row[0] < self._count:
            raise self._db.damaged(f"it has an item {row[0]}")
        return int(row[0])

    @cached_property
    def in_folders(self) -> bool:
        """Whether the pictures are in more than one folder."""
        if not self._count:
            return False
        folder, slash, _ = self[0].path.rpartition("/")
        others = (
            "SELECT EXISTS (SELECT 1 FROM items WHERE substr(path, 1, length(folder)) != folder"
            " OR instr(substr(path, length(folder) + 1), '/'))"
            " FROM (SELECT CAST(? AS TEXT) AS folder)"
        )
        return bool(self._db.first(others, os.fsencode(folder + slash))[0])

    @cached_property
    def repeated_labels(self) -> frozenset[str]:
        """The labels that several of the first pictures have."""
        query = (
            "SELECT label FROM (SELECT label FROM items WHERE id < ?)"
            " GROUP BY label HAVING count(*) > 1"
        )
        return frozenset(label for (label,) in self._db.all(query, COMPARED))

    def __iter__(self) -> Iterator[Item]:
        query = f"SELECT {COLUMNS} FROM items WHERE id >= ? ORDER BY id LIMIT ?"
        for start in range(0, self._count, _BLOCK):
            expected = range(start, min(start + _BLOCK, self._count))
            with self._db.reading() as db:
                found = [Item(*row) for row in db.execute(query, (start, len(expected)))]
                for number, item in zip(expected, found, strict=False):
                    if item.id != number:
                        raise ValueError(f"it has no item {number}")
                    checked(item)
                if len(found) < len(expected):
                    raise ValueError(f"it has no item {start + len(found)}")
            yield from found

    def all(self, query: str, *values: object) -> list[Any]:
        """Return the rows of a query."""
        return self._db.all(query, *values)

    def damaged(self, reason: str) -> CorruptIndexError:
        """Return the error to raise for a damaged file."""
        return self._db.damaged(reason)

    def close(self) -> None:
        """Close the file, after the statement that another thread may be executing."""
        self._db.close()
        self._item.cache_clear()


def _checked_items(database: Database, ids: Sequence[int]) -> list[Item]:
    with database.reading() as db:
        try:
            return [checked(item) for item in read_items(db, ids)]
        except KeyError as error:
            raise ValueError(f"it has no item {error}") from error


def read_items(db: sqlite3.Connection, ids: Sequence[int]) -> list[Item]:
    """Return the items with these ids from a table ``items``, in the order of the ids.

    Raises:
        KeyError: one is missing.
        sqlite3.Error: the file is damaged.
    """
    found: dict[int, Item] = {}
    for start in range(0, len(ids), _MOST_VARIABLES):
        some = ids[start : start + _MOST_VARIABLES]
        marks = ", ".join("?" * len(some))
        for row in db.execute(f"SELECT {COLUMNS} FROM items WHERE id IN ({marks})", some):
            found[row[0]] = Item(*row)
    return [found[item_id] for item_id in ids]
