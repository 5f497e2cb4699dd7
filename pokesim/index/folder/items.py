"""``items.sqlite``: the item of each vector, in the order of the vectors.

It is an SQLite file, so that a query reads only the rows that it shows, however large the index.
"""

from __future__ import annotations

import contextlib
import operator
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from functools import cached_property
from pathlib import Path
from typing import Any

from pokesim.errors import CorruptIndexError, UsageError
from pokesim.index.item import COLUMNS, Item, named_bytes

ITEMS_FILE = "items.sqlite"

_BLOCK = 1024  # items that an iteration reads at a time

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
        self.db.execute(
            "CREATE TABLE items (id INTEGER PRIMARY KEY, path TEXT NOT NULL, label TEXT NOT NULL,"
            " size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL)"
        )
        self.db.execute("BEGIN")

    def add(self, items: Iterable[Item]) -> None:
        """Append items; their ids are the rows of their vectors."""
        self.db.executemany(
            "INSERT INTO items VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?)",
            ((item.id, *named_bytes(item), *astuple(item)[3:]) for item in items),
        )

    def finish(self) -> None:
        """Write what is left, and close the file."""
        self.db.execute("CREATE INDEX items_sha256 ON items (sha256)")
        self.db.execute("COMMIT")
        self.db.close()

    def close(self) -> None:
        """Close the file without finishing it."""
        self.db.close()


class Items:
    """A `pokesim.index.store.Items`; safe to use from several threads.

    It raises CorruptIndexError if the file is damaged, sqlite3.Error if it cannot be opened, and
    UsageError if it has been closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()  # one connection, several threads
        self._closed = False
        # immutable: a published snapshot is never written, so SQLite needs no lock and no journal.
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        self._db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self._db.text_factory = os.fsdecode
        self._db.execute("PRAGMA schema_version").fetchone()  # connect() does not open the file

    def __len__(self) -> int:
        return int(self._first("SELECT count(*) FROM items")[0])

    def __getitem__(self, item_id: int) -> Item:
        number = operator.index(item_id)  # also one of NumPy's
        query = f"SELECT {COLUMNS} FROM items WHERE id = ?"
        row = self._first(query, number) if abs(number) < 1 << 63 else None
        if row is None:
            raise KeyError(item_id)
        return Item(*row)

    def many(self, ids: Sequence[int]) -> list[Item]:
        """Return the items with these ids, in their order. Raises KeyError if one is missing."""
        with self._reading():
            return read_items(self._db, ids)

    def find(self, sha256: str) -> int | None:
        """Return the lowest id of the pictures with this SHA-256, or None."""
        (found,) = self._first("SELECT min(id) FROM items WHERE sha256 = ?", sha256)
        return None if found is None else int(found)

    def ids_of_bytes(self, sha256: str) -> list[int]:
        """Return the ids of the pictures with this SHA-256."""
        return [row[0] for row in self.all("SELECT id FROM items WHERE sha256 = ?", sha256)]

    def id_of_path(self, path: str) -> int | None:
        """Return the id of the picture with this path, as `path_in` returns it, or None."""
        query = "SELECT id FROM items WHERE path = CAST(? AS TEXT)"
        found = self._first(query, os.fsencode(path))
        return None if found is None else int(found[0])

    @cached_property
    def in_folders(self) -> bool:
        """Whether the pictures are in more than one folder."""
        folder = "rtrim(path, replace(path, '/', ''))"
        first = f"(SELECT {folder} FROM items WHERE id = 0)"
        found = self._first(f"SELECT EXISTS (SELECT 1 FROM items WHERE {folder} != {first})")
        return bool(found[0])

    def __iter__(self) -> Iterator[Item]:
        with self._reading():
            cursor = self._db.execute(f"SELECT {COLUMNS} FROM items ORDER BY id")
        while rows := self._next(cursor):
            yield from (Item(*row) for row in rows)

    def _next(self, cursor: sqlite3.Cursor) -> list[Any]:
        with self._reading():
            return cursor.fetchmany(_BLOCK)

    def all(self, query: str, *values: object) -> list[Any]:
        """Return the rows of a query."""
        with self._reading():
            return self._db.execute(query, values).fetchall()

    def _first(self, query: str, *values: object) -> Any:
        with self._reading():
            return self._db.execute(query, values).fetchone()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Let no other thread execute a statement, or close the file, while the block runs."""
        with self._lock:
            if self._closed:
                raise UsageError(f"{self._path} is closed; open the index again.")
            try:
                yield
            except sqlite3.Error as error:
                raise CorruptIndexError(
                    f"{self._path} is damaged ({error}); `pokesim check` shows more."
                ) from error

    def close(self) -> None:
        """Close the file, after the statement that another thread may be executing."""
        with self._lock:
            self._closed = True
            self._db.close()


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
