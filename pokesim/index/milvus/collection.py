"""The collections of one snapshot on a Milvus server, read over the network.

Nothing is transferred before it is needed; manifest and facts are kept once they are read.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import CorruptIndexError, PokesimError
from pokesim.index.folder.contents import check_contents
from pokesim.index.manifest import MANIFEST_FILE, Manifest, MetadataRecord
from pokesim.index.metadata.table import Table, check_columns
from pokesim.index.milvus.address import Address
from pokesim.index.milvus.client import Client, NoCollectionError
from pokesim.index.milvus.filter_expression import literal
from pokesim.index.milvus.schema import (
    MAX_ROWS,
    Row,
    base_collection,
    check_description,
    file_of,
    files_collection,
    is_row,
)
from pokesim.metric import PROJECTION_FILE, Projection, parse_matrix

TABLE_FILE, FACTS_FILE = "table.json", "facts.json"
"""Files of a snapshot on a server besides its manifest and projection."""

BATCH_ROWS = 1024
"""The most rows that are fetched at a time."""

_BATCH_BYTES = 8 << 20  # of vectors

_FILE_CHUNKS = 64  # rows of a file that are fetched at a time


def current_collection(client: Client, address: Address) -> str | None:
    """Return the name of an index's current collection; None if there is no index.

    Raises:
        IncompatibleIndexError: the collection is not pokesim's, or its format is newer.
        PokesimError: the server cannot be queried.
    """
    try:
        described = client.describe(address.name)
    except NoCollectionError:
        return None
    check_description(address, described["description"])
    return str(described["collection_name"])


@dataclass(frozen=True)
class Collection:
    """The collection ``name`` with a snapshot's rows, and those of its files and base vectors."""

    client: Client
    name: str

    def __str__(self) -> str:
        return f"{self.name} on {self.client}"

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest, as it was written. Raises CorruptIndexError."""
        try:
            manifest = Manifest.from_json(self.file(MANIFEST_FILE))
            check_contents(manifest, candidates=False)
        except ValueError as error:
            raise self.damaged(f"has a manifest that is not valid: {error}") from error
        return manifest

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What was recorded when it was written: ``rows_sha256`` and ``in_folders``."""
        facts = self._json(FACTS_FILE)
        if not isinstance(facts, dict) or not facts.keys() >= {"rows_sha256", "in_folders"}:
            raise self.damaged(f"has a {FACTS_FILE} of another kind")
        return facts

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self.file(name))
        except (ValueError, RecursionError) as error:
            raise self.damaged(f"has a {name} that is not JSON") from error

    def file(self, name: str) -> bytes:
        """Return one of its files. Raises CorruptIndexError if it is missing."""
        files = files_collection(self.name)
        same = f"name == {literal(name)}"
        ids: list[int] = []
        with contextlib.suppress(NoCollectionError):
            ids = sorted(row["id"] for row in self._query(files, same, ["id"]))
        if not ids or ids != list(range(ids[0], ids[0] + len(ids))):
            raise self.damaged(f"lacks its {name}" if not ids else f"lacks a part of its {name}")
        rows = [
            row
            for start in range(ids[0], ids[-1] + 1, _FILE_CHUNKS)
            for row in self._query(
                files, f"{same} and {_id_range(start, _FILE_CHUNKS)}", ["id", "data"]
            )
        ]
        try:
            return file_of(rows)
        except ValueError as error:
            raise self.damaged(f"has a {name} that is not base64") from error

    def table(self) -> Table:
        """Return the table of its metadata, which it must have."""
        rows, record = self._json(TABLE_FILE), self.manifest.metadata
        assert record is not None
        if not isinstance(rows, list) or not all(_is_table_row(row, record) for row in rows):
            raise self.damaged(f"has a {TABLE_FILE} of another kind")
        try:
            check_columns(record.source, list(record.columns))
        except PokesimError as error:
            raise self.damaged("has a table with impossible columns") from error
        return Table(
            record.source, record.sha256, record.key, record.columns, [tuple(row) for row in rows]
        )

    def projection(self) -> Projection | None:
        """Return the learned metric; None if the index is not tuned."""
        if self.manifest.tuning is None:
            return None
        try:
            matrix = parse_matrix(PROJECTION_FILE, self.file(PROJECTION_FILE))
        except ValueError as error:
            raise self.damaged(f"has a {PROJECTION_FILE} that is not a matrix") from error
        if matrix.shape[1] != self.manifest.dimension:
            raise self.damaged(f"has a {PROJECTION_FILE} of other vectors")
        return Projection(matrix)

    def rows(self, expression: str, fields: Sequence[str], limit: int = MAX_ROWS) -> list[Row]:
        """Return fields of the rows that match an expression, in any order."""
        return self._query(self.name, expression, fields, limit)

    def _query(
        self, name: str, expression: str, fields: Sequence[str], limit: int = MAX_ROWS
    ) -> list[Row]:
        """Query one of its collections; what a server answers may be anything."""
        rows = self.client.query(name, expression, fields, limit)
        if len(rows) > limit or not all(is_row(row, fields) for row in rows):
            raise self.damaged("has rows that pokesim did not write")
        return rows

    def count(self, expression: str) -> int:
        """Return how many rows match an expression."""
        count = self.client.count(self.name, expression)
        if not 0 <= count <= self.manifest.count:
            raise self.damaged(f"claims {count:,} pictures of {self.manifest.count:,}")
        return count

    def in_order(self, fields: Sequence[str], size: int) -> Iterator[list[Row]]:
        """Yield fields of all rows in the order of their ids, ``size`` at a time."""
        return self._in_order(self.name, fields, size)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield all vectors in the order of their ids, float32 (≤ 1024, d) at a time."""
        return self._blocks(self.name, self.manifest.dimension)

    @contextlib.contextmanager
    def base_blocks(self, dimension: int) -> Iterator[Iterator[NDArray[np.float32]]]:
        """Load the base vectors into the server's memory, and give them as `blocks` does."""
        name = base_collection(self.name)
        self.client.load(name)
        try:
            yield self._blocks(name, dimension)
        finally:
            self.client.release(name)

    def _in_order(self, name: str, fields: Sequence[str], size: int) -> Iterator[list[Row]]:
        for start in range(0, self.manifest.count, size):
            rows = self._query(name, _id_range(start, size), fields)
            rows.sort(key=lambda row: int(row["id"]))
            expected = range(start, min(start + size, self.manifest.count))
            if [row["id"] for row in rows] != list(expected):
                raise self.damaged("lacks some of its rows")
            yield rows

    def _blocks(self, name: str, dimension: int) -> Iterator[NDArray[np.float32]]:
        for rows in self._in_order(name, ["id", "vector"], rows_per_batch(dimension)):
            yield self.vectors_of(rows, dimension)

    def vectors_of(self, rows: Sequence[Row], dimension: int) -> NDArray[np.float32]:
        """Return the vectors of rows, float32 (n, d). Raises CorruptIndexError."""
        try:
            vectors = np.array([row["vector"] for row in rows], np.float32)
        except (KeyError, ValueError, TypeError) as error:
            raise self.damaged("has a vector that is none") from error
        if vectors.shape != (len(rows), dimension) or not np.isfinite(vectors).all():
            raise self.damaged(f"has a vector that is not {dimension} finite numbers")
        return vectors

    def check_rows(self, sha256: str) -> None:
        """Compare the checksum of all rows' `checksum_line`. Raises CorruptIndexError."""
        if sha256 != self.facts["rows_sha256"]:
            raise self.damaged("has rows that differ from those written")

    def check_file(self, name: str, sha256: str) -> None:
        """Compare the checksum of a file of the index's folder. Raises CorruptIndexError."""
        if sha256 != self.manifest.files.get(name, {}).get("sha256"):
            raise self.damaged(f"has a {name} that differs from the one written")

    def damaged(self, what: str) -> CorruptIndexError:
        """Return the error for damage, which says what to do."""
        return CorruptIndexError(
            f"{self} {what}; push the index again, or build it with --rebuild."
        )


def _is_table_row(row: object, record: MetadataRecord) -> bool:
    return (
        isinstance(row, list)
        and len(row) == len(record.columns)
        and all(cell is None or type(cell) in (str, int, float) for cell in row)
    )


def rows_per_batch(dimension: int) -> int:
    """Return how many rows with vectors are fetched at a time."""
    return max(1, min(BATCH_ROWS, _BATCH_BYTES // (4 * dimension)))


def _id_range(start: int, size: int) -> str:
    return f"id >= {start} and id < {start + size}"
