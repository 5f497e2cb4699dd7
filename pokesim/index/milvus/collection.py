"""The collections of one snapshot on a Milvus server, read over the network.

Nothing is transferred before it is needed; manifest and facts are kept once they are read.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import CorruptIndexError
from pokesim.index.manifest import MANIFEST_FILE, Manifest
from pokesim.index.metadata.table import Table
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
)
from pokesim.metric import PROJECTION_FILE, Projection

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
            return Manifest.from_json(self.file(MANIFEST_FILE))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.damaged("has no manifest that this pokesim can read") from error

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What was recorded when it was written: ``rows_sha256`` and ``in_folders``."""
        facts: dict[str, Any] = json.loads(self.file(FACTS_FILE))
        return facts

    def file(self, name: str) -> bytes:
        """Return one of its files. Raises CorruptIndexError if it is missing."""
        files = files_collection(self.name)
        same = f"name == {literal(name)}"
        ids: list[int] = []
        with contextlib.suppress(NoCollectionError):
            ids = sorted(row["id"] for row in self.client.query(files, same, ["id"]))
        if not ids:
            raise self.damaged(f"lacks its {name}")
        rows = [
            row
            for start in range(ids[0], ids[-1] + 1, _FILE_CHUNKS)
            for row in self.client.query(
                files, f"{same} and {_id_range(start, _FILE_CHUNKS)}", ["id", "data"]
            )
        ]
        return file_of(rows)

    def table(self) -> Table:
        """Return the table of its metadata, which it must have."""
        rows, record = json.loads(self.file(TABLE_FILE)), self.manifest.metadata
        assert record is not None
        return Table(
            record.source, record.sha256, record.key, record.columns, [tuple(row) for row in rows]
        )

    def projection(self) -> Projection | None:
        """Return the learned metric; None if the index is not tuned."""
        if self.manifest.tuning is None:
            return None
        return Projection(np.load(io.BytesIO(self.file(PROJECTION_FILE)), allow_pickle=False))

    def rows(self, expression: str, fields: Sequence[str], limit: int = MAX_ROWS) -> list[Row]:
        """Return fields of the rows that match an expression, in any order."""
        return self.client.query(self.name, expression, fields, limit)

    def count(self, expression: str) -> int:
        """Return how many rows match an expression."""
        return self.client.count(self.name, expression)

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
            rows = self.client.query(name, _id_range(start, size), fields)
            yield sorted(rows, key=lambda row: int(row["id"]))

    def _blocks(self, name: str, dimension: int) -> Iterator[NDArray[np.float32]]:
        for rows in self._in_order(name, ["id", "vector"], rows_per_batch(dimension)):
            yield np.array([row["vector"] for row in rows], np.float32).reshape(-1, dimension)

    def check_rows(self, sha256: str) -> None:
        """Compare the checksum of all rows' `checksum_line`. Raises CorruptIndexError."""
        if sha256 != self.facts["rows_sha256"]:
            raise self.damaged("has rows that differ from those written")

    def check_file(self, name: str, sha256: str) -> None:
        """Compare the checksum of a file of the index's folder. Raises CorruptIndexError."""
        if sha256 != self.manifest.files[name]["sha256"]:
            raise self.damaged(f"has a {name} that differs from the one written")

    def damaged(self, what: str) -> CorruptIndexError:
        """Return the error for damage, which says what to do."""
        return CorruptIndexError(f"{self} {what}; build it with --rebuild.")


def rows_per_batch(dimension: int) -> int:
    """Return how many rows with vectors are fetched at a time."""
    return max(1, min(BATCH_ROWS, _BATCH_BYTES // (4 * dimension)))


def _id_range(start: int, size: int) -> str:
    return f"id >= {start} and id < {start + size}"
