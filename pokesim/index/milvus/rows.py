"""The items and metadata of a snapshot on a Milvus server, and a cache of its rows."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from pokesim.errors import MAX_SUGGESTED
from pokesim.index.item import COMPARED, Item
from pokesim.index.manifest import MetadataRecord
from pokesim.index.metadata.table import Table, Value
from pokesim.index.milvus.collection import BATCH_ROWS, Collection, rows_per_batch
from pokesim.index.milvus.filter_expression import cell, literal
from pokesim.index.milvus.schema import ITEM_FIELDS, MAX_ROWS, Row, cells_of, item_of, text_of

_VECTOR_BYTES = 64 << 20  # of vectors that are cached


class RowCache:
    """Rows by id, the last used in memory; safe to use from several threads.

    A snapshot never changes, so a cached row is never stale.
    """

    def __init__(self, collection: Collection) -> None:
        dimension = collection.manifest.dimension
        self._collection = collection
        self._batch = rows_per_batch(dimension)
        self._rows: LRUCache[int, Row] = LRUCache(2 * MAX_ROWS)
        self._vectors: LRUCache[int, NDArray[np.float32]] = LRUCache(
            max(self._batch, _VECTOR_BYTES // (4 * dimension))
        )
        self._lock = threading.Lock()

    def vectors(self, ids: Sequence[int]) -> list[NDArray[np.float32]]:
        """Return the vectors of ids, each float32 (d,).

        Raises:
            CorruptIndexError: one is missing.
        """
        with self._lock:
            found = {one: self._vectors[one] for one in ids if one in self._vectors}
        missing = [one for one in dict.fromkeys(ids) if one not in found]
        for start in range(0, len(missing), self._batch):
            for row in self._fetch(missing[start : start + self._batch]):
                found[row["id"]] = row["vector"]
        if any(one not in found for one in ids):
            raise self._collection.damaged("lacks some of its rows")
        return [found[one] for one in ids]

    def row(self, item_id: int) -> Row:
        """Return the row of a picture.

        Raises:
            KeyError: there is none with this id.
            CorruptIndexError: there should be one.
        """
        with self._lock:
            if item_id in self._rows:
                return self._rows[item_id]
        for row in self._fetch([item_id]):
            return row
        if 0 <= item_id < self._collection.manifest.count:
            raise self._collection.damaged("lacks some of its rows")
        raise KeyError(item_id)

    def _fetch(self, ids: Sequence[int]) -> list[Row]:
        """Fetch rows, with ``vector`` as float32 (d,), and cache them."""
        fields = [*ITEM_FIELDS, "metadata", "vector"]
        rows = self._collection.rows(f"id in {list(ids)}", fields)
        if not {row["id"] for row in rows} <= set(ids):
            raise self._collection.damaged("has rows that pokesim did not write")
        vectors = self._collection.vectors_of(rows, self._collection.manifest.dimension)
        for row, vector in zip(rows, vectors, strict=True):
            row["vector"] = vector
        with self._lock:
            for row in rows:
                self._rows[row["id"]] = {name: row[name] for name in fields[:-1]}
                self._vectors[row["id"]] = row["vector"]
        return rows


class CollectionItems:
    """The items of a snapshot; a `pokesim.index.store.Items`."""

    def __init__(self, collection: Collection, rows: RowCache) -> None:
        self._collection, self._rows = collection, rows

    def __len__(self) -> int:
        return self._collection.manifest.count

    def __getitem__(self, item_id: int) -> Item:
        return item_of(self._rows.row(item_id))

    def __iter__(self) -> Iterator[Item]:
        for rows in self._collection.in_order(ITEM_FIELDS, 4 * BATCH_ROWS):
            yield from map(item_of, rows)

    def find(self, sha256: str) -> int | None:
        """Return the first id of a picture with these bytes, or None."""
        return min(self.ids_of_bytes(sha256), default=None)

    def ids_of_bytes(self, sha256: str) -> list[int]:
        """Return the ids of the pictures with these bytes."""
        return self._ids(f"sha256 == {literal(sha256)}")

    def id_of_path(self, path: str) -> int | None:
        """Return the id of the picture with this path, as `path_in` gives it, or None."""
        return next(iter(self._ids(f"path == {literal(text_of(path))}")), None)

    @property
    def in_folders(self) -> bool:
        """Whether the pictures are in more than one folder."""
        return bool(self._collection.facts["in_folders"])

    @cached_property
    def repeated_labels(self) -> frozenset[str]:
        """The labels that several of the first pictures have."""
        count = Counter(item.label for item in islice(self, COMPARED))
        return frozenset(label for label, pictures in count.items() if pictures > 1)

    def _ids(self, expression: str) -> list[int]:
        return [int(row["id"]) for row in self._collection.rows(expression, ["id"])]


class CollectionMetadata:
    """The metadata of a snapshot's pictures; a `pokesim.index.store.Metadata`.

    Attributes:
        record: the manifest's record of the table.
    """

    def __init__(self, collection: Collection, rows: RowCache, record: MetadataRecord) -> None:
        self._collection, self._rows, self.record = collection, rows, record

    def row(self, item_id: int) -> dict[str, Value]:
        """Return a picture's metadata, by column; all are None if no row matches the picture."""
        return cells_of(self._rows.row(item_id), list(self.record.columns))

    def alternatives(self, column: str, value: str) -> Sequence[Value] | None:
        """Return None if a column has a value, else the values that it has, up to 10,000, cut."""
        expression = f"{self._cell(column)} == {literal(value)}"
        if self._collection.rows(expression, ["id"], 1):
            return None
        values = self._values(column)
        if value in values:
            return None
        short = dict.fromkeys(str(one)[: MAX_SUGGESTED + 1] for one in values)
        return list(islice(short, 10_000))

    def values(self, column: str, limit: int) -> list[Value]:
        """Return up to ``limit`` distinct values of a column, sorted."""
        return self._values(column)[:limit]

    def unmatched(self) -> Iterator[str]:
        """Yield the keys of the rows that match no picture."""
        table = self.table()
        key = self._position(self.record.key)
        used = {table.row_of(item.path) for item in CollectionItems(self._collection, self._rows)}
        for number, row in enumerate(table.rows):
            if number not in used:
                yield str(row[key] or "")

    def undescribed(self) -> Iterator[str]:
        """Yield the paths of the pictures that no row matches."""
        table = self.table()
        for item in CollectionItems(self._collection, self._rows):
            if table.row_of(item.path) is None:
                yield item.path

    def table(self) -> Table:
        """Return the table as it was read."""
        return self._table

    def fits(self, count: int) -> bool:
        """Return whether the metadata describe an index of ``count`` pictures."""
        described = self._collection.count(f"exists {self._cell(self.record.key)}")
        return described == self.record.described and count == self._collection.manifest.count

    def _values(self, column: str) -> list[Value]:
        at = self._position(column)
        values = {row[at] for row in self._table.rows if row[at] is not None}
        # As in SQLite, numbers come before texts, if a damaged table has both in one column.
        return sorted(values, key=lambda value: (isinstance(value, str), value))

    def _cell(self, column: str) -> str:
        return cell(self._position(column))

    def _position(self, column: str) -> int:
        return list(self.record.columns).index(column)

    @cached_property
    def _table(self) -> Table:
        return self._collection.table()
