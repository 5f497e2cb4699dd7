"""Read an SQLite file that somebody else may have made."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pokesim.errors import CorruptIndexError, UsageError
from pokesim.files import open_regular

_HEADER = struct.Struct(">16sHBB8xI24xI")
"""Magic, size of a page, versions for writing and reading, number of pages, text encoding."""

_MAX_SECONDS = 60.0
"""The longest statement: the pages of a forged file may refer to each other without end."""

_STEPS = 1_000_000  # of SQLite's virtual machine between two looks at the clock


class Database:
    """A connection that reads one file, whatever is in it; safe to use from several threads.

    SQLite itself withstands forged files. What remains is that a file could bring its own views,
    triggers and functions, or make a statement endless: its schema is compared with what was
    written, and time and lengths are bounded.

    Its methods raise CorruptIndexError if the file is damaged, UsageError if it has been closed.
    """

    def __init__(self, path: Path, schema: Mapping[str, str]) -> None:
        """Open a file.

        Args:
            path: the file.
            schema: a regular expression for the SQL of each table and index; those of ``items``
                must be there.

        Raises:
            CorruptIndexError: it is not an SQLite file with such a schema.
            OSError: it is missing or cannot be read, or is not a regular file.
        """
        self.path = path
        self._lock = threading.Lock()  # one connection, several threads
        self._closed, self._deadline = False, 0.0
        size = self._checked_size()
        # immutable: a published snapshot is never written, so SQLite needs no lock, and reads no
        # journal, which a stranger could have put beside it.
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        self._db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self._db.text_factory = os.fsdecode
        self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(size, 1_000_000_000))
        self._db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self._db.set_progress_handler(self._is_late, _STEPS)
        try:
            for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
                self.all(f"PRAGMA {pragma}")
            self._check_schema(schema)
        except BaseException:
            self._db.close()
            raise

    def all(self, query: str, *values: object) -> list[Any]:
        """Return the rows of a query."""
        with self.reading() as db:
            return db.execute(query, values).fetchall()

    def first(self, query: str, *values: object) -> Any:
        """Return the first row of a query, or None."""
        with self.reading() as db:
            return db.execute(query, values).fetchone()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Let no other thread execute a statement, or close the file, while the block runs."""
        with self._lock:
            if self._closed:
                raise UsageError(f"{self.path} is closed; open the index again.")
            self._deadline = time.monotonic() + _MAX_SECONDS
            try:
                yield self._db
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", None)
                interrupted = code == sqlite3.SQLITE_INTERRUPT
                if interrupted and time.monotonic() < self._deadline:
                    raise KeyboardInterrupt from None  # it was raised in `_is_late`
                raise self.damaged(str(error)) from error
            except ValueError as error:  # of the rows, as the block checks them
                raise self.damaged(str(error)) from error

    def damaged(self, reason: str) -> CorruptIndexError:
        """Return the error to raise for a damaged file."""
        return CorruptIndexError(f"{self.path} is damaged ({reason}); `pokesim check` shows more.")

    def close(self) -> None:
        """Close the file, after the statement that another thread may be executing."""
        with self._lock:
            self._closed = True
            self._db.close()

    def _is_late(self) -> int:
        """Tell SQLite whether to end the statement. Ctrl-C raises here, which ends it too."""
        return int(time.monotonic() > self._deadline)

    def _checked_size(self) -> int:
        """Compare the header with the file; return its size in bytes."""
        with open_regular(self.path) as file:
            head = file.read(_HEADER.size)
            size = os.fstat(file.fileno()).st_size
        if len(head) == _HEADER.size:
            magic, page, writing, reading, pages, encoding = _HEADER.unpack(head)
            page = 65_536 if page == 1 else page
            # Version 2 stands for a write-ahead log, encoding 1 for UTF-8.
            expected = (b"SQLite format 3\0", 1, 1, 1)
            if (magic, writing, reading, encoding) == expected and page * pages == size:
                return size
        raise self.damaged("it is not an SQLite file of this size")

    def _check_schema(self, schema: Mapping[str, str]) -> None:
        missing = {"items", "items_sha256"}
        for kind, name, sql in self.all("SELECT type, name, sql FROM sqlite_master LIMIT 100"):
            known = isinstance(name, str) and isinstance(sql, str) and name in schema
            if (
                not known
                or not re.fullmatch(schema[name], sql)
                or not sql.startswith(f"CREATE {str(kind).upper()} {name} ")
            ):
                raise self.damaged("it has a table, a view or a trigger that is not pokesim's")
            missing.discard(name)
        if missing:
            raise self.damaged("it has no items")
