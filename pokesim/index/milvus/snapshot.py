"""A snapshot on a Milvus server."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pokesim.index.manifest import Manifest, SearchRecord
from pokesim.index.milvus.collection import BATCH_ROWS, Collection
from pokesim.index.milvus.reader import CollectionReader
from pokesim.index.milvus.schema import ITEM_FIELDS, checksum_line
from pokesim.index.vectors.flat import BASE_FILE, VECTORS_FILE, header


@dataclass(frozen=True)
class MilvusSnapshot:
    """A `pokesim.index.store.Snapshot` whose rows are in a collection."""

    collection: Collection

    @property
    def name(self) -> str:
        """The collection."""
        return self.collection.name

    @property
    def location(self) -> str:
        """The collection and the server."""
        return str(self.collection)

    @cached_property
    def manifest(self) -> Manifest:
        """Its manifest; Milvus does the search, however a folder's copy would be searched."""
        manifest = self.collection.manifest
        return replace(manifest, search=SearchRecord(manifest.search.requested, "flat, by Milvus"))

    def open(self) -> CollectionReader:
        """Open it for searching."""
        return CollectionReader(self.collection)

    def locked(self) -> AbstractContextManager[object]:
        """Do nothing: pushes drop all but the last two snapshots, even if they are being read."""
        return contextlib.nullcontext()

    def verify(self) -> Iterator[str]:
        """Compare every byte with what was written, which transfers all of it.

        Yields:
            a line for each part that is intact.

        Raises:
            CorruptIndexError: a part is damaged.
            PokesimError: the server cannot be queried.
        """
        collection, manifest = self.collection, self.collection.manifest
        digest, count = hashlib.sha256(), 0
        for rows in collection.in_order([*ITEM_FIELDS, "metadata"], BATCH_ROWS):
            for row in rows:
                digest.update(checksum_line(row))
                count += 1
        collection.check_rows(digest.hexdigest())
        yield f"rows: {count:,}, SHA-256 as written"
        if manifest.metadata:
            yield f"table: {len(collection.table().rows):,} rows"
        yield self._verify_vectors(VECTORS_FILE, manifest.dimension, collection.blocks())
        if projection := collection.projection():
            dimension = projection.base_dimension
            with collection.base_blocks(dimension) as blocks:
                line = self._verify_vectors(BASE_FILE, dimension, blocks)
            yield line

    def _verify_vectors(
        self, file: str, dimension: int, blocks: Iterable[NDArray[np.float32]]
    ) -> str:
        """Compare vectors with the FAISS file of a folder that they were sent from."""
        digest = hashlib.sha256(header(dimension, self.collection.manifest.count))
        for block in blocks:
            digest.update(block.astype("<f4").tobytes())
        self.collection.check_file(file, digest.hexdigest())
        return f"{file}: SHA-256 as written"
