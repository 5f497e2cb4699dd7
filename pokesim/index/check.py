"""Is an index what was written? Every byte compared, every vector looked at."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pokesim.cache import sha256_of
from pokesim.embedders import models
from pokesim.errors import DamagedIndexError, IndexFolderError, ModelError
from pokesim.index import items, vectors
from pokesim.index.items import Items
from pokesim.index.manifest import MetadataRecord
from pokesim.index.metadata import Metadata
from pokesim.index.snapshot import Hold, Snapshot, open_snapshot, way_out


def check_index(index: Path) -> Iterator[str]:
    """Verify an index, yielding a line for each thing found right.

    Raises:
        IndexFolderError: a file is not what was written, or vectors and items do not agree.
        ModelError: the index's embedder is missing or damaged.
    """
    snapshot = open_snapshot(index)
    hold = Hold(snapshot)  # builds may go on meanwhile
    count = snapshot.manifest.count
    yield f"manifest.json: whole, format {snapshot.manifest.format}"
    for name, expected in snapshot.manifest.files.items():
        try:
            snapshot.verify(name)
        except DamagedIndexError as error:
            raise DamagedIndexError(f"{error}; {way_out(index, snapshot.path.name)}.") from error
        yield f"{name}: {expected['bytes']:,} bytes, SHA-256 as written"
    _check_items(snapshot)
    yield f"items: {count:,}, numbered as the vectors are"
    if record := snapshot.manifest.metadata:
        _check_metadata(snapshot, record)
        yield f"metadata: of {record.described:,} pictures"
    _check_vectors(snapshot)
    yield f"vectors: {count:,} × {snapshot.manifest.dimension}, all finite"
    made_by = snapshot.manifest.embedder
    model = models.find(made_by.name, made_by.weights_sha256, made_by.export_version)
    if sha256_of(model.path) != model.sha256:
        raise ModelError(
            f"The model {model.path} is damaged (its SHA-256 differs); delete it, then make it "
            f"again with `pokesim embedders --prepare {made_by.name}`."
        )
    hold.release()
    yield f"embedder: {made_by.name}, weights {made_by.weights_sha256[:12]}…, model as exported"


def _check_items(snapshot: Snapshot) -> None:
    path = snapshot.file(items.FILE)
    try:
        with contextlib.closing(Items(path)) as found:
            ids = [item.id for item in found]
    except sqlite3.Error as error:
        raise IndexFolderError(
            f"{path} cannot be read ({error}); build the index again."
        ) from error
    if ids != list(range(snapshot.manifest.count)):
        raise IndexFolderError(
            f"{path} has {len(ids)} items where {snapshot.manifest.count} vectors are; "
            "build the index again."
        )


def _check_metadata(snapshot: Snapshot, record: MetadataRecord) -> None:
    path = snapshot.file(items.FILE)
    with contextlib.closing(Items(path)) as found:
        if not Metadata(found, record).fit(snapshot.manifest.count):
            raise IndexFolderError(f"{path} has metadata of other pictures; build the index again.")


def _check_vectors(snapshot: Snapshot) -> None:
    manifest, path = snapshot.manifest, snapshot.file(vectors.FILE)
    index = vectors.open_vectors(path, manifest.count, manifest.dimension)
    for rows in vectors.rows_of(index):
        if not np.isfinite(rows).all():
            raise IndexFolderError(f"{path} holds a vector that is not finite; build it again.")
