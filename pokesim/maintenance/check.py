"""Is an index what was written? Every byte compared, every vector looked at."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pokesim.embedders.model_cache import find_model
from pokesim.errors import IndexFolderError, ModelError
from pokesim.files import sha256_of
from pokesim.index import open_store
from pokesim.index.manifest import EmbedderRecord
from pokesim.index.store import Reader, Snapshot


def check_index(index: str | Path) -> Iterator[str]:
    """Verify an index, yielding a line for each thing found right.

    Raises:
        IndexFolderError: something is not what was written, or vectors and items do not agree.
        ModelError: the index's embedder is missing or damaged.
    """
    snapshot = open_store(index).snapshot()
    with snapshot.locked():  # builds may go on meanwhile
        yield f"manifest.json: whole, format {snapshot.manifest.format}"
        yield from snapshot.verify()
        yield from _contents(snapshot)
    yield _embedder(snapshot.manifest.embedder)


def _contents(snapshot: Snapshot) -> Iterator[str]:
    try:
        with contextlib.closing(snapshot.open()) as opened:
            yield from _rows(snapshot, opened)
    except sqlite3.Error as error:
        raise IndexFolderError(
            f"{snapshot.location} cannot be read ({error}); build the index again."
        ) from error


def _rows(snapshot: Snapshot, opened: Reader) -> Iterator[str]:
    count, record = snapshot.manifest.count, snapshot.manifest.metadata
    ids = [item.id for item in opened.items]
    if ids != list(range(count)):
        raise IndexFolderError(
            f"{snapshot.location} has {len(ids)} items where {count} vectors are; build the index "
            "again."
        )
    yield f"items: {count:,}, numbered as the vectors are"
    if record and opened.metadata:
        if not opened.metadata.fits(count):
            raise IndexFolderError(
                f"{snapshot.location} has metadata of other pictures; build the index again."
            )
        yield f"metadata: of {record.described:,} pictures"
    for rows in opened.blocks():
        if not np.isfinite(rows).all():
            raise IndexFolderError(
                f"{snapshot.location} holds a vector that is not finite; build it again."
            )
    yield f"vectors: {count:,} × {snapshot.manifest.dimension}, all finite"


def _embedder(made_by: EmbedderRecord) -> str:
    model = find_model(made_by)
    if sha256_of(model.path) != model.sha256:
        raise ModelError(
            f"The model {model.path} is damaged (its SHA-256 differs); delete it, then make it "
            f"again with `pokesim embedders --prepare {made_by.name}`."
        )
    return f"embedder: {made_by.name}, weights {made_by.weights_sha256[:12]}…, model as exported"
