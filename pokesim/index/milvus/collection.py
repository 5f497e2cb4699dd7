"""A snapshot on a Milvus server, read over the wire.

Opening it brings its manifest, and a learned metric; what else travels is told where it is asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import CorruptIndexError
from pokesim.index.manifest import Manifest, SearchRecord
from pokesim.index.metadata.table import Table
from pokesim.index.milvus.client import Client, NoCollectionError
from pokesim.index.milvus.filter_expression import literal
from pokesim.index.milvus.schema import ITEM_FIELDS, MOST, Row, file_of, files_of, line_of, plain_of
from pokesim.index.vectors.flat import BASE_FILE, VECTORS_FILE, header
from pokesim.metric import PROJECTION_FILE, Projection

if TYPE_CHECKING:
    from pokesim.index.milvus.reader import CollectionReader

ROWS = 1024
"""Rows that a request brings at most, whatever is in them."""

_BYTES = 8 << 20  # of vectors that it brings


@dataclass(frozen=True)
class MilvusSnapshot:
    """A `pokesim.index.store.Snapshot`: the collection ``name`` of a server."""

    server: Client
    name: str

    @property
    def location(self) -> str:
        """The collection and the server."""
        return f"{self.name} on {self.server}"

    @cached_property
    def manifest(self) -> Manifest:
        """What it is; the search is Milvus's, whatever a folder's would be."""
        manifest = self.written
        return replace(manifest, search=SearchRecord(manifest.search.requested, "flat, by Milvus"))

    @cached_property
    def written(self) -> Manifest:
        """What it is, as it was written."""
        try:
            return Manifest.from_json(self.file("manifest.json"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.damaged("has no manifest that this pokesim writes") from error

    def file(self, name: str) -> bytes:
        """Return one of its files. Raises DamagedIndexError where there is none."""
        found = files_of(self.name)
        same = f"name == {literal(name)}"
        ids: list[int] = []
        with contextlib.suppress(NoCollectionError):
            ids = sorted(row["id"] for row in self.rows(found, same, ["id"]))
        if not ids:
            raise self.damaged(f"lacks its {name}")
        some = [
            f"{same} and id >= {at} and id < {at + 64}" for at in range(ids[0], ids[-1] + 1, 64)
        ]
        return file_of([row for part in some for row in self.rows(found, part, ["id", "data"])])

    def table(self) -> Table:
        """Return the table that describes its pictures."""
        data, record = json.loads(self.file("table.json")), self.manifest.metadata
        assert record is not None
        rows = [tuple(row) for row in data]
        return Table(record.source, record.sha256, record.key, record.columns, rows)

    def projection(self) -> Projection | None:
        """Return the learned metric of a tuned index."""
        if self.manifest.tuning is None:
            return None
        return Projection(np.load(io.BytesIO(self.file(PROJECTION_FILE)), allow_pickle=False))

    def open(self) -> CollectionReader:
        """Open it to be searched."""
        from pokesim.index.milvus.reader import CollectionReader

        return CollectionReader(self)

    def locked(self) -> AbstractContextManager[object]:
        """Promise nothing: what was published before the last is dropped, whoever reads it."""
        return contextlib.nullcontext()

    def verify(self) -> Iterator[str]:
        """Compare every byte with what was written; all of it travels here."""
        digest, count = hashlib.sha256(), 0
        for rows in self.in_order(self.name, [*ITEM_FIELDS, "metadata"], ROWS):
            for row in rows:
                digest.update(line_of(row))
                count += 1
        self.check_rows(digest.hexdigest())
        yield f"rows: {count:,}, SHA-256 as written"
        shapes = {VECTORS_FILE: (self.name, self.manifest.dimension)}
        if projection := self.projection():
            shapes[BASE_FILE] = (plain_of(self.name), projection.base_dimension)
        for file, (collection, dimension) in shapes.items():
            digest = hashlib.sha256(header(dimension, self.manifest.count))
            with self.loaded(collection):
                for block in self.blocks(collection, dimension):
                    digest.update(block.astype("<f4").tobytes())
            self.check_file(file, digest.hexdigest())
            yield f"{file}: SHA-256 as written"

    def check_rows(self, sha256: str) -> None:
        """Compare the checksum of all rows, as `line_of` has them. Raises DamagedIndexError."""
        if sha256 != self.facts["rows_sha256"]:
            raise self.damaged("has other rows than were written")

    def check_file(self, name: str, sha256: str) -> None:
        """Compare the checksum of what is a file in a folder. Raises DamagedIndexError."""
        if sha256 != self.written.files[name]["sha256"]:
            raise self.damaged(f"has another {name} than was written")

    def damaged(self, what: str) -> CorruptIndexError:
        """Say what is wrong with it, and what to do."""
        return CorruptIndexError(f"{self.location} {what}; build it with --rebuild.")

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What was found out when it was written: ``rows_sha256`` and ``in_folders``."""
        facts: dict[str, Any] = json.loads(self.file("facts.json"))
        return facts

    def rows(self, collection: str, passing: str, fields: Sequence[str], most: int = MOST) -> Any:  # noqa: ANN401
        """Return fields of the rows that pass an expression."""
        return self.server.ask(
            "query",
            collection,
            filter=passing,
            output_fields=list(fields),
            limit=most,
            consistency_level="Eventually",
        )

    def count(self, passing: str) -> int:
        """Return how many rows pass an expression."""
        (row,) = self.server.ask(
            "query",
            self.name,
            filter=passing,
            output_fields=["count(*)"],
            consistency_level="Eventually",
        )
        return int(row["count(*)"])

    def in_order(self, collection: str, fields: Sequence[str], size: int) -> Iterator[list[Row]]:
        """Yield fields of all rows, ``size`` at a time, in the order of their ids."""
        for start in range(0, self.manifest.count, size):
            passing = f"id >= {start} and id < {start + size}"
            yield sorted(self.rows(collection, passing, fields), key=lambda row: int(row["id"]))

    def blocks(self, collection: str, dimension: int) -> Iterator[NDArray[np.float32]]:
        """Yield all vectors of a collection in the order of their ids."""
        for rows in self.in_order(collection, ["id", "vector"], rows_at_a_time(dimension)):
            yield np.array([row["vector"] for row in rows], np.float32).reshape(-1, dimension)

    @contextlib.contextmanager
    def loaded(self, collection: str) -> Iterator[None]:
        """Have the server hold a collection in memory; what is only copied is let go again."""
        if collection == self.name:
            yield
            return
        self.server.do("load_collection", collection)
        try:
            yield
        finally:
            self.server.do("release_collection", collection)


def rows_at_a_time(dimension: int) -> int:
    """Return how many rows with vectors a request brings."""
    return max(1, min(ROWS, _BYTES // (4 * dimension)))
