"""What the vectors of a snapshot on a Milvus server are pictures of, and what a table tells."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.index.item import Item
from pokesim.index.manifest import MetadataRecord
from pokesim.index.metadata.table import Table, Value
from pokesim.index.milvus.collection import ROWS, MilvusSnapshot, rows_at_a_time
from pokesim.index.milvus.filter_expression import cell_of, literal
from pokesim.index.milvus.schema import ITEM_FIELDS, MOST, Row, cells_of, item_of, text_of

_KEPT = 64 << 20  # bytes of vectors that are kept


class RowCache:
    """Rows by id, those of late kept; safe to use from several threads."""

    def __init__(self, snapshot: MilvusSnapshot) -> None:
        self._snapshot = snapshot
        self._size = rows_at_a_time(snapshot.manifest.dimension)
        self._most = max(self._size, _KEPT // (4 * snapshot.manifest.dimension))
        self._told: dict[int, Row] = {}
        self._vectors: dict[int, NDArray[np.float32]] = {}
        self._lock = threading.Lock()

    def vectors(self, ids: Sequence[int]) -> list[NDArray[np.float32]]:
        """Return the vectors of some ids, each float32 (d,)."""
        with self._lock:
            found = {one: self._vectors[one] for one in ids if one in self._vectors}
        missing = [one for one in dict.fromkeys(ids) if one not in found]
        for start in range(0, len(missing), self._size):
            found |= self._fetched(missing[start : start + self._size])
        return [found[one] for one in ids]

    def told(self, item_id: int) -> Row:
        """Return the row of a picture, but for its vector. Raises KeyError if there is none."""
        with self._lock:
            known = self._told.get(item_id)
        if known is None:
            self._fetched([item_id])
            with self._lock:
                known = self._told[item_id]
        return known

    def _fetched(self, ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Fetch rows, keep them, and return their vectors."""
        snapshot = self._snapshot
        fields = [*ITEM_FIELDS, "metadata", "vector"]
        found = {}
        rows = snapshot.rows(snapshot.name, f"id in {list(ids)}", fields)
        with self._lock:
            for row in rows:
                told = {name: row[name] for name in fields[:-1]}
                found[row["id"]] = np.array(row["vector"], np.float32)
                _keep(self._told, row["id"], told, 2 * MOST)
                _keep(self._vectors, row["id"], found[row["id"]], self._most)
        return found


def _keep(kept: dict[int, Any], key: int, value: Any, most: int) -> None:  # noqa: ANN401
    while len(kept) >= most:
        kept.pop(next(iter(kept)))
    kept[key] = value


class CollectionItems:
    """The items of a snapshot; a `pokesim.index.store.Items`."""

    def __init__(self, snapshot: MilvusSnapshot, rows: RowCache) -> None:
        self._snapshot, self._rows = snapshot, rows

    def __len__(self) -> int:
        return self._snapshot.manifest.count

    def __getitem__(self, item_id: int) -> Item:
        return item_of(self._rows.told(item_id))

    def __iter__(self) -> Iterator[Item]:
        for rows in self._snapshot.in_order(self._snapshot.name, ITEM_FIELDS, 4 * ROWS):
            yield from map(item_of, rows)

    def find(self, sha256: str) -> int | None:
        """Return the first id of a picture with these bytes, or None."""
        return min(self.of_bytes(sha256), default=None)

    def of_bytes(self, sha256: str) -> list[int]:
        """Return the ids of the pictures with these bytes."""
        return self._ids(f"sha256 == {literal(sha256)}")

    def of_path(self, path: str) -> int | None:
        """Return the id of the picture with this path, as `path_in` gives it, or None."""
        return next(iter(self._ids(f"path == {literal(text_of(path))}")), None)

    @property
    def in_folders(self) -> bool:
        """Whether the pictures lie in more than one folder."""
        return bool(self._snapshot.facts["in_folders"])

    def _ids(self, passing: str) -> list[int]:
        return [int(row["id"]) for row in self._snapshot.rows(self._snapshot.name, passing, ["id"])]


class CollectionMetadata:
    """What a table tells of the pictures; a `pokesim.index.store.Metadata`."""

    def __init__(self, snapshot: MilvusSnapshot, rows: RowCache, record: MetadataRecord) -> None:
        self._snapshot, self._rows, self.record = snapshot, rows, record

    def of(self, item_id: int) -> dict[str, Value]:
        """Return what the table tells of a picture, by column; None in each if nothing."""
        return cells_of(self._rows.told(item_id), list(self.record.columns))

    def known(self, column: str, value: str) -> Sequence[Value] | None:
        """Return None if a column has a value, else all the values it has."""
        snapshot = self._snapshot
        same = f"{cell_of(self._place(column))} == {literal(value)}"
        if snapshot.rows(snapshot.name, same, ["id"], 1):
            return None
        there = self._column(column)
        return None if value in there else there

    def values(self, column: str, most: int) -> list[Value]:
        """Return up to ``most`` of the values that a column has, sorted."""
        return self._column(column)[:most]

    def unmatched(self) -> Iterator[str]:
        """Yield the keys of the rows that no picture has."""
        table = self.table()
        at = self._place(self.record.key)
        used = {table.row_of(item.path) for item in CollectionItems(self._snapshot, self._rows)}
        for place, row in enumerate(table.rows):
            if place not in used:
                yield str(row[at] or "")

    def undescribed(self) -> Iterator[str]:
        """Yield the paths of the pictures that have no row."""
        table = self.table()
        for item in CollectionItems(self._snapshot, self._rows):
            if table.row_of(item.path) is None:
                yield item.path

    def table(self) -> Table:
        """Return the table as it was read."""
        return self._table

    def fit(self, count: int) -> bool:
        """Say whether this is of so many pictures."""
        described = self._snapshot.count(f"exists {cell_of(self._place(self.record.key))}")
        return described == self.record.described and count == self._snapshot.manifest.count

    def _column(self, column: str) -> list[Value]:
        at = self._place(column)
        return sorted({row[at] for row in self._table.rows if row[at] is not None})  # type: ignore[type-var]

    def _place(self, column: str) -> int:
        return list(self.record.columns).index(column)

    @cached_property
    def _table(self) -> Table:
        return self._snapshot.table()
