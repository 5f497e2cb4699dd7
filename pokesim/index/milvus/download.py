"""A snapshot on a Milvus server → an index folder.

Everything is transferred, each vector once, and compared with the checksums in the manifest.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from pokesim.errors import UsageError
from pokesim.files import sha256_of
from pokesim.index.folder.items import ITEMS_FILE
from pokesim.index.folder.snapshot import FolderSnapshot, IndexFolder
from pokesim.index.folder.writer import SnapshotWriter, new_snapshot
from pokesim.index.manifest import MetadataRecord, SearchRecord
from pokesim.index.milvus.collection import Collection, rows_per_batch
from pokesim.index.milvus.schema import ITEM_FIELDS, checksum_line, item_of
from pokesim.index.vectors.candidates import checked_search
from pokesim.index.vectors.flat import BASE_FILE, VectorWriter
from pokesim.metric import PROJECTION_FILE
from pokesim.progress import Progress


def download(
    collection: Collection, index: Path, on_progress: Progress, search: str | None = None
) -> FolderSnapshot:
    """Copy a snapshot into an index folder, and make it the current one there.

    Args:
        collection: the snapshot.
        index: the folder; an index in it stays until the new one is complete.
        on_progress: called with (pictures fetched, all pictures).
        search: how the copy is to be searched; None: as the user requested for the index.

    Raises:
        CorruptIndexError: the snapshot is damaged.
        PokesimError: the server cannot be queried, or the folder cannot be written.
    """
    manifest = collection.manifest
    requested = search or manifest.search.requested
    try:
        requested = checked_search(requested, manifest.dimension)
    except UsageError as error:
        raise collection.damaged("requests a search that does not fit its vectors") from error
    with new_snapshot(IndexFolder(index)) as draft:
        metadata = _download_rows(collection, draft.path, on_progress)
        if projection := collection.projection():
            (draft.path / PROJECTION_FILE).write_bytes(collection.file(PROJECTION_FILE))
            _download_base_vectors(collection, draft.path / BASE_FILE, projection.base_dimension)
        for file in draft.path.iterdir():
            if file.name != ITEMS_FILE:
                collection.check_file(file.name, sha256_of(file))
        return draft.commit(replace(manifest, metadata=metadata, search=SearchRecord(requested)))


def _download_rows(
    collection: Collection, folder: Path, on_progress: Progress
) -> MetadataRecord | None:
    """Write the vectors, items and metadata of a snapshot; return the record of its table."""
    manifest, digest = collection.manifest, hashlib.sha256()
    table = collection.table() if manifest.metadata else None
    fields, size = [*ITEM_FIELDS, "metadata", "vector"], rows_per_batch(manifest.dimension)
    with closing(SnapshotWriter(folder, manifest.dimension, table)) as writer:
        for rows in collection.in_order(fields, size):
            on_progress(writer.count, manifest.count)
            for row in rows:
                digest.update(checksum_line(row))
            block = collection.vectors_of(rows, manifest.dimension)
            writer.add(block, [item_of(row) for row in rows])
        collection.check_rows(digest.hexdigest())
        on_progress(manifest.count, manifest.count)
        return writer.finish()


def _download_base_vectors(collection: Collection, path: Path, dimension: int) -> None:
    """Write the base vectors of a tuned snapshot."""
    with (
        collection.base_blocks(dimension) as blocks,
        closing(VectorWriter(path, dimension)) as writer,
    ):
        for block in blocks:
            writer.add(block)
        writer.finish()
