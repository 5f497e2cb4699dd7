"""What an unfinished build has embedded, kept so that the next one goes on from there.

    .unfinished/
      vectors.f32      float32 rows, as they were embedded
      journal.sqlite   the item of each row, and a checksum of each batch of rows

A batch counts once its items are committed, which is after its rows are written. Whatever ends a
build (Ctrl-C, kill -9, a full disk), at most the batch in flight is lost; a checksum tells rows
that a power cut has kept from the disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pokesim.index.item import COLUMNS, Item, named_bytes

_VERSION = 1

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

    def __init__(self, folder: Path, dimension: int, made_by: str, afresh: bool) -> None:
        """Go on with the journal of a folder, or start one.

        Args:
            folder: where it is.
            dimension: length of a row.
            made_by: what makes rows what they are; a journal that differs in it is discarded.
            afresh: nothing is wanted from a journal of a build that did not start afresh itself.
        """
        self._folder = folder
        self._width = 4 * dimension
        self.count = 0
        try:
            self._open(made_by, afresh)
        except sqlite3.OperationalError:
            raise  # the disk is full, perhaps; nothing says that the journal is not good
        except (sqlite3.DatabaseError, ValueError):
            self.discard()
            self._open(made_by, afresh)

    def _open(self, made_by: str, afresh: bool) -> None:
        self._folder.mkdir(exist_ok=True)
        self._rows: IO[bytes] = (self._folder / "vectors.f32").open("a+b")
        self._db = sqlite3.connect(
            self._folder / "journal.sqlite", isolation_level=None, check_same_thread=False
        )
        self._db.text_factory = os.fsdecode
        # One process alone writes here; so the write-ahead log needs no shared memory.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        if not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            with self._transaction():
                for statement in _TABLES.split(";")[:-1]:
                    self._db.execute(statement)
                self._db.execute("INSERT INTO builds VALUES (?, ?)", (made_by, afresh))
        if self._db.execute("PRAGMA user_version").fetchone() != (_VERSION,):
            raise ValueError("the journal of another version")
        if self._db.execute("SELECT * FROM builds").fetchone() not in {
            (made_by, 1),
            (made_by, int(afresh)),
        }:
            raise ValueError("the journal of another build")
        self.count = self._sound_rows()
        self._rows.truncate(self.count * self._width)
        with self._transaction():
            self._db.execute("DELETE FROM batches WHERE start >= ?", (self.count,))
            self._db.execute("DELETE FROM items WHERE id >= ?", (self.count,))

    def _sound_rows(self) -> int:
        """Return how many rows are as they were written, from the first on."""
        self._rows.seek(0)
        sound = 0
        for start, count, crc in self._db.execute("SELECT * FROM batches ORDER BY start"):
            if start != sound or zlib.crc32(self._rows.read(count * self._width)) != crc:
                break
            sound += count
        return sound

    def find(self, path: str) -> Item | None:
        """Return what was last read at a path."""
        row = self._db.execute(
            f"SELECT {COLUMNS} FROM items WHERE path = CAST(? AS TEXT) ORDER BY id DESC LIMIT 1",
            (os.fsencode(path),),
        ).fetchone()
        return Item(*row) if row else None

    def __getitem__(self, row: int) -> Item:
        return Item(
            *self._db.execute(f"SELECT {COLUMNS} FROM items WHERE id = ?", (row,)).fetchone()
        )

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some rows, float32 (n, dimension)."""
        self._rows.flush()
        if not self.count:
            return np.empty((0, self._width // 4), np.float32)
        shape = (self.count, self._width // 4)
        mapped = np.memmap(self._folder / "vectors.f32", "<f4", "r", shape=shape)
        return np.asarray(mapped[ids])

    def add(self, rows: NDArray[np.float32], batch: Sequence[Item]) -> None:
        """Append a batch: float32 (n, dimension), and its n items, numbered here.

        Raises:
            OSError, sqlite3.Error: the disk is full. The journal is then as before.
        """
        data = np.ascontiguousarray(rows, dtype="<f4").tobytes()
        if len(data) != len(batch) * self._width:
            raise ValueError("items and vectors are out of step")
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
            record = (self.count, len(batch), zlib.crc32(data))
            self._db.execute("INSERT INTO batches VALUES (?, ?, ?)", record)
        self.count += len(batch)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        with self._db:  # commits, or rolls back
            yield

    def close(self) -> None:
        """Close the files; what the journal holds stays on disk."""
        self._db.close()
        with contextlib.suppress(OSError):  # what a full disk has refused before
            self._rows.close()
        if not self.count:
            shutil.rmtree(self._folder, ignore_errors=True)

    def discard(self) -> None:
        """Close the journal and take it off the disk."""
        self.count = 0
        self.close()
