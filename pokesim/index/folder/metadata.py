"""The table that describes the pictures; it is stored with the items, in ``items.sqlite``.

    metadata (" row" INTEGER PRIMARY KEY, one column for each column of the table)
    described (rows BLOB): for each picture the number of its row, little-endian int32

The whole table is stored, including rows that match no picture, so that a picture added later finds
its row. Row 0 is empty: it is the row of each picture that the table does not describe.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import MAX_SUGGESTED, UsageError
from pokesim.index.folder.items import Items
from pokesim.index.manifest import MetadataRecord
from pokesim.index.metadata.filter import And, Comparison, Condition, In, Not
from pokesim.index.metadata.table import Table, Value

_BLOCK = 4096  # rows that are read at a time

_ROW = '" row"'  # column names of a table are stripped, so none can be equal


class MetadataWriter:
    """Joins a table with the pictures as they are written, and stores both in one file."""

    def __init__(self, db: sqlite3.Connection, table: Table) -> None:
        self._db, self._table = db, table
        self._rows: list[int] = []

    def add(self, paths: Sequence[str]) -> None:
        """Add the next pictures, by their paths in the index."""
        numbers = (self._table.row_of(path) for path in paths)
        self._rows += [0 if number is None else 1 + number for number in numbers]

    def finish(self) -> None:
        """Write the table and the join."""
        columns = list(self._table.columns)
        names = ", ".join(map(_quoted, columns))
        self._db.execute(f"CREATE TABLE metadata ({_ROW} INTEGER PRIMARY KEY, {names})")
        placeholders = ", ".join("?" * (1 + len(columns)))
        self._db.execute(f"INSERT INTO metadata ({_ROW}) VALUES (0)")
        self._db.executemany(
            f"INSERT INTO metadata VALUES ({placeholders})",
            ((number, *row) for number, row in enumerate(self._table.rows, 1)),
        )
        self._db.execute("CREATE TABLE described (rows BLOB NOT NULL)")
        rows = np.array(self._rows, "<i4").tobytes()
        self._db.execute("INSERT INTO described VALUES (?)", (rows,))

    @property
    def record(self) -> MetadataRecord:
        """The table's entry in the manifest."""
        table, used = self._table, {*self._rows} - {0}
        described = sum(row > 0 for row in self._rows)
        unmatched = len(table.rows) - len(used)
        return MetadataRecord(
            table.source, table.sha256, table.key, table.columns, described, unmatched
        )


class Metadata:
    """A `pokesim.index.store.Metadata`; it raises the same errors as `Items`."""

    def __init__(self, items: Items, record: MetadataRecord) -> None:
        """Open the table. Raises CorruptIndexError if ``record`` describes another."""
        self._items, self.record = items, record
        columns = [row[1] for row in items.all("PRAGMA table_info(metadata)")]
        if columns != [" row", *record.columns]:
            raise items.damaged("its metadata have other columns than the manifest says")
        self._names = ", ".join(map(_quoted, record.columns))
        blobs = items.all("SELECT rows FROM described LIMIT 2")
        if len(blobs) != 1 or not isinstance(blobs[0][0], bytes):
            raise items.damaged("it does not say which row describes which picture")
        (self._blob,) = blobs[0]
        # Rows are numbered from 0, the empty one; count(*) would read the whole table.
        self._count = int(items.all(f"SELECT ifnull(max({_ROW}), -1) FROM metadata")[0][0])
        if len(self._blob) != 4 * len(items) or not self.fits(len(items)):
            raise items.damaged("it has metadata of other pictures")

    def row(self, item_id: int) -> dict[str, Value]:
        """Return a picture's row, by column; all cells are None if it has no row."""
        row = int(self._rows[item_id])
        found = self._items.all(f"SELECT {self._names} FROM metadata WHERE {_ROW} = ?", row)
        if not found:
            raise self._items.damaged(f"its metadata have no row {row}")
        return dict(zip(self.record.columns, self._checked(found[0]), strict=True))

    def matching(self, condition: Condition) -> NDArray[np.bool_]:
        """Return for each picture, (nb,), whether it meets a condition."""
        values: list[Value] = []
        sql = _sql(condition, values)
        if len(values) > (most := _max_variables()):
            raise UsageError(
                f"The filter has {len(values):,} values; SQLite takes at most {most:,} here."
            )
        # One text with a digit for each row is four times as fast as a list of rows.
        digits = f"SELECT {sql} AS digit FROM metadata ORDER BY {_ROW}"
        ((text,),) = self._items.all(f"SELECT group_concat(digit, '') FROM ({digits})", *values)
        if not isinstance(text, str) or len(text) != self._count + 1:
            raise self._items.damaged("the rows of its metadata are not numbered")
        row_passes = np.frombuffer(text.encode("ascii"), np.uint8) == ord("1")
        mask: NDArray[np.bool_] = row_passes[self._rows]
        return mask

    def alternatives(self, column: str, value: str) -> Sequence[Value] | None:
        """Return None if a column has a value, else the values that it has, up to 10,000.

        A value too long to be suggested is cut.
        """
        name = _quoted(column)
        if self._items.all(f"SELECT 1 FROM metadata WHERE {name} = ? LIMIT 1", value):
            return None
        found = self._items.all(
            f"SELECT DISTINCT substr({name}, 1, {MAX_SUGGESTED + 1}) FROM metadata "
            f"WHERE {name} IS NOT NULL ORDER BY 1 LIMIT 10000"
        )
        return [value for (value,) in found]

    def values(self, column: str, limit: int) -> list[Value]:
        """Return up to ``limit`` distinct values of a column, sorted."""
        name = _quoted(column)
        found = self._items.all(
            f"SELECT DISTINCT {name} FROM metadata WHERE {name} IS NOT NULL ORDER BY 1 LIMIT ?",
            limit,
        )
        return [value for (value,) in found]

    def unmatched(self) -> Iterator[str]:
        """Yield the keys of the rows that match no picture."""
        used = {*self._rows.tolist()}
        for row, name in self._in_order(_quoted(self.record.key)):
            if row not in used:
                yield str(name or "")

    def undescribed(self) -> Iterator[str]:
        """Yield the paths of the pictures that have no row."""
        for item_id in np.flatnonzero(self._rows == 0).tolist():
            yield self._items[item_id].path

    def table(self) -> Table:
        """Return the whole table."""
        rows = [self._checked(cells) for _, *cells in self._in_order(self._names)]
        record = self.record
        return Table(record.source, record.sha256, record.key, record.columns, rows)

    def fits(self, count: int) -> bool:
        """Say whether it gives a valid row number for each of ``count`` pictures."""
        rows = self._rows
        return len(rows) == count and bool(np.all((rows >= 0) & (rows <= self._count)))

    def _in_order(self, names: str) -> Iterator[tuple[Any, ...]]:
        """Yield the number of each row but the empty one, and the cells of some columns."""
        query = f"SELECT {_ROW}, {names} FROM metadata WHERE {_ROW} >= ? ORDER BY {_ROW} LIMIT ?"
        for start in range(1, self._count + 1, _BLOCK):
            expected = range(start, min(start + _BLOCK, self._count + 1))
            found = self._items.all(query, start, len(expected))
            if [row[0] for row in found] != [*expected]:
                raise self._items.damaged("the rows of its metadata are not numbered")
            yield from found

    def _checked(self, cells: Sequence[Any]) -> tuple[Value, ...]:
        """Return the cells of a row, if each is a finite number or a text, as its column says."""
        for cell, (name, numeric) in zip(cells, self.record.columns.items(), strict=True):
            if cell is None:
                continue
            wrong = not isinstance(cell, (int, float) if numeric else str)
            if isinstance(cell, float):
                wrong = wrong or not math.isfinite(cell)
            elif isinstance(cell, str):
                wrong = wrong or not (cell.isascii() or _is_unicode(cell))
            if wrong:
                raise self._items.damaged(f"its column {name[:100]!r} has a cell of another type")
        return tuple(cells)

    @property
    def _rows(self) -> NDArray[np.int32]:
        return np.frombuffer(self._blob, "<i4")


def _is_unicode(text: str) -> bool:
    """Say whether a text has no lone surrogates, which stand for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _max_variables() -> int:
    """Return how many values SQLite takes in a statement; before version 3.32 only 999."""
    with closing(sqlite3.connect(":memory:")) as db:
        return db.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)


def _sql(condition: Condition, values: list[Value]) -> str:
    """Return a condition as SQL that is 0 or 1, never NULL, and append its values to ``values``.

    From a filter, only operators become SQL text; values are bound, and columns are the table's.
    """
    if isinstance(condition, Not):
        return f"NOT {_sql(condition.operand, values)}"
    if isinstance(condition, Comparison):
        values.append(condition.value)
        return f"ifnull({_quoted(condition.column)} {condition.operator} ?, 0)"
    if isinstance(condition, In):
        values += condition.values
        column, placeholders = _quoted(condition.column), ", ".join("?" * len(condition.values))
        same = f"ifnull({column} IN ({placeholders}), 0)"
        return f"({same} OR {column} IS NULL)" if condition.or_empty else same
    word = " AND " if isinstance(condition, And) else " OR "
    return f"({word.join(_sql(one, values) for one in condition.operands)})"


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
