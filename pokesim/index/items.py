"""``items.sqlite``: what each vector is a picture of, in the order of the vectors.

SQLite, so that a query reads only the rows that it shows, however large the collection.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

FILE = "items.sqlite"


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of an index.

    Attributes:
        id: row of its vector.
        path: relative to the picture folder, "/" between parts.
        label: what it shows; the file's stem.
        size: of the file, in bytes.
        mtime_ns: when the file was last changed, in nanoseconds since 1970.
        sha256: of the file's bytes.
    """

    id: int
    path: str
    label: str
    size: int
    mtime_ns: int
    sha256: str


_COLUMNS = ", ".join(field.name for field in fields(Item))


class ItemWriter:
    """Writes items into a new SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # The file counts only once its snapshot is published, so a journal would protect nothing.
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE items (id INTEGER PRIMARY KEY, path TEXT NOT NULL, label TEXT NOT NULL,"
            " size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL)"
        )
        self._db.execute("BEGIN")

    def add(self, items: Iterable[Item]) -> None:
        """Append items; their ids are the rows of their vectors."""
        # A file name need not be UTF-8. As bytes cast to TEXT it survives the round trip.
        self._db.executemany(
            "INSERT INTO items VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?)",
            (
                (item.id, os.fsencode(item.path), os.fsencode(item.label), *astuple(item)[3:])
                for item in items
            ),
        )

    def finish(self) -> None:
        """Bring everything to the disk."""
        self._db.execute("CREATE INDEX items_sha256 ON items (sha256)")
        self._db.execute("COMMIT")
        self._db.close()
        with self._path.open("rb+") as file:
            os.fsync(file.fileno())

    def close(self) -> None:
        """Close the file as it is."""
        self._db.close()


class Items:
    """Reads the items of a snapshot. Raises sqlite3.Error where the file is damaged."""

    def __init__(self, path: Path) -> None:
        # immutable: nobody writes a published snapshot, so no lock and no journal is looked for.
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        self._db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self._db.text_factory = os.fsdecode
        self._db.execute("PRAGMA schema_version").fetchone()  # SQLite opens the file only now

    def __len__(self) -> int:
        (count,) = self._db.execute("SELECT count(*) FROM items").fetchone()
        return int(count)

    def __getitem__(self, item_id: int) -> Item:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM items WHERE id = ?", (item_id,)).fetchone()
        if row is None:
            raise KeyError(item_id)
        return Item(*row)

    def find(self, sha256: str) -> int | None:
        """Return the first id of a picture with these bytes, or None."""
        row = self._db.execute("SELECT min(id) FROM items WHERE sha256 = ?", (sha256,)).fetchone()
        return None if row[0] is None else int(row[0])

    def __iter__(self) -> Iterator[Item]:
        for row in self._db.execute(f"SELECT {_COLUMNS} FROM items ORDER BY id"):
            yield Item(*row)

    def close(self) -> None:
        """Close the file."""
        self._db.close()
