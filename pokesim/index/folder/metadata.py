"""What a table tells of each picture; it lives with the items, in ``items.sqlite``.

    metadata (" row" INTEGER PRIMARY KEY, a column for each of the table's)
    described (rows BLOB): for each picture the number of its row, little-endian int32

The table is kept whole, rows that match no picture too, so that a picture that comes later finds
its row. Row 0 is empty: the row of a picture of which the table says nothing.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pokesim.index.folder.items import Items
from pokesim.index.manifest import MetadataRecord
from pokesim.index.metadata.filter import And, Comparison, Condition, In, Not
from pokesim.index.metadata.table import Table, Value

log = logging.getLogger(__name__)

_ROW = '" row"'  # the names of a table's columns are stripped, so none is the same


class MetadataWriter:
    """Joins a table with pictures as they come, and writes it beside them."""

    def __init__(self, db: sqlite3.Connection, table: Table) -> None:
        self._db, self._table = db, table
        self._rows: list[int] = []

    def add(self, paths: Sequence[str]) -> None:
        """Take the next pictures, by their paths in the index."""
        places = (self._table.row_of(path) for path in paths)
        self._rows += [0 if place is None else 1 + place for place in places]

    def finish(self) -> None:
        """Write the table and the join."""
        columns = list(self._table.columns)
        names = ", ".join(map(_quoted, columns))
        self._db.execute(f"CREATE TABLE metadata ({_ROW} INTEGER PRIMARY KEY, {names})")
        marks = ", ".join("?" * (1 + len(columns)))
        self._db.execute(f"INSERT INTO metadata ({_ROW}) VALUES (0)")
        self._db.executemany(
            f"INSERT INTO metadata VALUES ({marks})",
            ((number, *row) for number, row in enumerate(self._table.rows, 1)),
        )
        self._db.execute("CREATE TABLE described (rows BLOB NOT NULL)")
        rows = np.array(self._rows, "<i4").tobytes()
        self._db.execute("INSERT INTO described VALUES (?)", (rows,))

    @property
    def record(self) -> MetadataRecord:
        """What the manifest is to say."""
        table, used = self._table, {*self._rows} - {0}
        described = sum(row > 0 for row in self._rows)
        unmatched = len(table.rows) - len(used)
        return MetadataRecord(
            table.source, table.sha256, table.key, table.columns, described, unmatched
        )


class Metadata:
    """Reads the metadata of a snapshot; errors are those of `Items`."""

    def __init__(self, items: Items, record: MetadataRecord) -> None:
        self._items, self.record = items, record
        (self._blob,) = items.all("SELECT rows FROM described")[0]
        self._names = ", ".join(map(_quoted, record.columns))

    def of(self, item_id: int) -> dict[str, Value]:
        """Return what the table tells of a picture, by column; None in each if nothing."""
        row = int(self._rows[item_id])
        (cells,) = self._items.all(f"SELECT {self._names} FROM metadata WHERE {_ROW} = ?", row)
        return dict(zip(self.record.columns, cells, strict=True))

    def matching(self, asked: Condition) -> NDArray[np.bool_]:
        """Return for each picture, (nb,), whether it is as asked."""
        values: list[Value] = []
        sql = _sql(asked, values)
        # One text of a mark for each row is made and read four times as fast as a list of rows.
        marks = f"SELECT {sql} AS mark FROM metadata ORDER BY {_ROW}"
        ((text,),) = self._items.all(f"SELECT group_concat(mark, '') FROM ({marks})", *values)
        passes = np.frombuffer(text.encode("ascii"), np.uint8) == ord("1")
        chosen: NDArray[np.bool_] = passes[self._rows]
        return chosen

    def values(self, column: str, most: int) -> list[Value]:
        """Return up to ``most`` of the values that a column has, sorted."""
        name = _quoted(column)
        found = self._items.all(
            f"SELECT DISTINCT {name} FROM metadata WHERE {name} IS NOT NULL ORDER BY 1 LIMIT ?",
            most,
        )
        return [value for (value,) in found]

    def unmatched(self) -> Iterator[str]:
        """Yield the keys of the rows that no picture has."""
        used = {*self._rows.tolist()}
        key = _quoted(self.record.key)
        for row, name in self._items.all(f"SELECT {_ROW}, {key} FROM metadata WHERE {_ROW} > 0"):
            if row not in used:
                yield str(name or "")

    def undescribed(self) -> Iterator[str]:
        """Yield the paths of the pictures that have no row."""
        for item_id in np.flatnonzero(self._rows == 0).tolist():
            yield self._items[item_id].path

    def table(self) -> Table:
        """Return the table as it was read."""
        rows = self._items.all(
            f"SELECT {self._names} FROM metadata WHERE {_ROW} > 0 ORDER BY {_ROW}"
        )
        record = self.record
        return Table(record.source, record.sha256, record.key, record.columns, rows)

    def fit(self, count: int) -> bool:
        """Say whether there is a row for each of so many pictures."""
        rows = self._rows
        return len(rows) == count and rows.min() >= 0 and rows.max() <= self._count

    def known(self, column: str, value: str) -> Sequence[Value] | None:
        """Return None if a column has a value, else all the values it has."""
        sql = f"SELECT 1 FROM metadata WHERE {_quoted(column)} = ? LIMIT 1"
        return None if self._items.all(sql, value) else self.values(column, 10_000)

    @property
    def _rows(self) -> NDArray[np.int32]:
        return np.frombuffer(self._blob, "<i4")

    @property
    def _count(self) -> int:
        return int(self._items.all(f"SELECT max({_ROW}) FROM metadata")[0][0])


def _sql(asked: Condition, values: list[Value]) -> str:
    """Return what is asked as SQL that is 0 or 1, never NULL; its values are put beside it.

    Only marks come from a filter into the SQL, and columns are the table's.
    """
    if isinstance(asked, Not):
        return f"NOT {_sql(asked.asked, values)}"
    if isinstance(asked, Comparison):
        values.append(asked.value)
        return f"ifnull({_quoted(asked.column)} {asked.mark} ?, 0)"
    if isinstance(asked, In):
        values += asked.values
        marks, column = ", ".join("?" * len(asked.values)), _quoted(asked.column)
        same = f"ifnull({column} IN ({marks}), 0)"
        return f"({same} OR {column} IS NULL)" if asked.or_empty else same
    word = " AND " if isinstance(asked, And) else " OR "
    return f"({word.join(_sql(one, values) for one in asked.asked)})"


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
