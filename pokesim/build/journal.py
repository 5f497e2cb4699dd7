"""The journal of an unfinished build: the vectors so far, from which the next build resumes.

    .unfinished/
      vectors.f32      float32 rows, as embedded
      journal.sqlite   the item of each row, and a checksum of each batch of rows and items

A batch is complete once its items are committed, which happens after its rows are written. However
a build ends (Ctrl-C, kill -9, a full disk), at most the batch in flight is lost. After a power cut
more may be lost, because nothing here is flushed to the disk: what is left is used up to the first
batch whose checksum differs, and a journal that is damaged in any other way is discarded.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pokesim.files import remove
from pokesim.index.folder.items import read_items
from pokesim.index.item import COLUMNS, Item, named_bytes

_VERSION = 2
"""1: the checksums did not cover the items."""

# The name of the column `afresh` (the build was a rebuild) is part of the format.
_TABLES = f"""
PRAGMA user_version = {_VERSION};
CREATE TABLE builds (made_by TEXT NOT NULL, afresh INTEGER NOT NULL);
CREATE TABLE batches (start INTEGER PRIMARY KEY, count INTEGER NOT NULL, crc32 INTEGER NOT NULL);
CREATE TABLE items (id INTEGER PRIMARY KEY, path TEXT NOT NULL, label TEXT NOT NULL,
                    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL);
CREATE INDEX items_path ON items (path);
"""


class Journal:
    """Rows and their items, appended batch by batch; an item's id is its row here."""

    def __init__(self, folder: Path, dimension: int, made_by: str, rebuild: bool) -> None:
        """Open the journal in a folder, or start a new one.

        Args:
            folder: the journal's folder.
            dimension: length of a row.
            made_by: the options that determine the rows; a journal of other options is discarded.
            rebuild: discard a journal that was not written by a rebuild.
        """
        self._folder = folder
        self._width = 4 * dimension
        self.count = 0
        if not _is_plain(folder):
            remove(folder)
        try:
            self._open(made_by, rebuild)
        except sqlite3.OperationalError:
            raise  # the disk may be full; the journal itself may be intact
        except (sqlite3.DatabaseError, ValueError, TypeError):
            self.discard()
            self._open(made_by, rebuild)

    def _open(self, made_by: str, rebuild: bool) -> None:
        self._folder.mkdir(exist_ok=True)
        self._rows: IO[bytes] = (self._folder / "vectors.f32").open("a+b")
        self._db = sqlite3.connect(
            self._folder / "journal.sqlite", isolation_level=None, check_same_thread=False
        )
        self._db.text_factory = os.fsdecode
        # Only one process writes here, so the write-ahead log needs no shared memory.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        if not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            with self._transaction():
                for statement in _TABLES.split(";")[:-1]:
                    self._db.execute(statement)
                self._db.execute("INSERT INTO builds VALUES (?, ?)", (made_by, rebuild))
        if self._db.execute("PRAGMA user_version").fetchone() != (_VERSION,):
            raise ValueError("the journal of another version")
        found = [sql for (sql,) in self._db.execute("SELECT sql FROM sqlite_schema ORDER BY rowid")]
        if found != [one.strip() for one in _TABLES.split(";")[1:-1]]:  # a trigger is code
            raise ValueError("other tables")
        if self._db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise ValueError("a damaged journal")
        if self._db.execute("SELECT * FROM builds").fetchone() not in {
            (made_by, 1),
            (made_by, int(rebuild)),
        }:
            raise ValueError("the journal of another build")
        self.count = self._intact_rows()
        self._rows.truncate(self.count * self._width)
        with self._transaction():
            self._db.execute("DELETE FROM batches WHERE start >= ?", (self.count,))
            self._db.execute("DELETE FROM items WHERE id >= ?", (self.count,))

    def _intact_rows(self) -> int:
        """Return the number of rows before the first batch whose checksum differs."""
        there = self._rows.seek(0, os.SEEK_END) // self._width
        self._rows.seek(0)
        intact = 0
        for start, count, crc in self._db.execute("SELECT * FROM batches ORDER BY start"):
            if start != intact or not 0 < count <= there - intact:
                break
            data = self._rows.read(count * self._width)
            if self._checksum(start, count, data) != crc:
                break
            intact += count
        return intact

    def _checksum(self, start: int, count: int, data: bytes) -> int:
        """Return the CRC-32 of a batch: of its rows' bytes, then of its items as stored."""
        crc = zlib.crc32(data)
        items = self._db.execute(
            f"SELECT {COLUMNS} FROM items WHERE id >= ? AND id < ? ORDER BY id",
            (start, start + count),
        )
        for row in items:
            crc = zlib.crc32(repr(row).encode(), crc)
        return crc

    def find(self, path: str) -> Item | None:
        """Return the newest item with a path, or None."""
        row = self._db.execute(
            f"SELECT {COLUMNS} FROM items WHERE path = CAST(? AS TEXT) ORDER BY id DESC LIMIT 1",
            (os.fsencode(path),),
        ).fetchone()
        return Item(*row) if row else None

    def items(self, rows: Sequence[int]) -> list[Item]:
        """Return the items of rows, in their order. Raises KeyError if one is missing."""
        return read_items(self._db, rows)

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the rows, float32 (n, dimension), of ids (n,)."""
        self._rows.flush()
        if not self.count:
            return np.empty((0, self._width // 4), np.float32)
        shape = (self.count, self._width // 4)
        mapped = np.memmap(self._folder / "vectors.f32", "<f4", "r", shape=shape)
        return np.asarray(mapped[ids])

    def add(self, rows: NDArray[np.float32], batch: Sequence[Item]) -> None:
        """Append a batch: rows, float32 (n, dimension), and their n items, whose ids are set here.

        Raises:
            OSError, sqlite3.Error: the disk is full; the journal is unchanged.
        """
        data = np.ascontiguousarray(rows, dtype="<f4").tobytes()
        if len(data) != len(batch) * self._width:
            raise ValueError("the numbers of items and vectors differ")
        self._rows.write(data)
        self._rows.flush()
        with self._transaction():
            self._db.executemany(
                "INSERT INTO items VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?)",
                (
                    (self.count + at, *named_bytes(item), *astuple(item)[3:])
                    for at, item in enumerate(batch)
                ),
            )
            checksum = self._checksum(self.count, len(batch), data)
            self._db.execute(
                "INSERT INTO batches VALUES (?, ?, ?)", (self.count, len(batch), checksum)
            )
        self.count += len(batch)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        with self._db:  # commits, or rolls back
            yield

    def close(self) -> None:
        """Close the files, which remain on disk unless the journal is empty."""
        self._db.close()
        with contextlib.suppress(OSError):  # a full disk has already refused this
            self._rows.close()
        if not self.count:
            remove(self._folder)

    def discard(self) -> None:
        """Close the journal and delete it."""
        self.count = 0
        self.close()


def _is_plain(folder: Path) -> bool:
    """Return True if a folder has only files, each of which no other path names.

    A journal is written in place, so in an index from somebody else it could lead anywhere.
    """
    if folder.is_symlink() or not folder.is_dir():
        return False
    found = [file.lstat() for file in folder.iterdir()]
    return all(stat.S_ISREG(one.st_mode) and one.st_nlink == 1 for one in found)
