"""Verify an index: compare every byte with what was written, and check every vector."""

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
    """Verify an index; yield a line for each check that passes.

    Raises:
        IndexFolderError: the index differs from what was written, or its vectors and items do not
            match.
        ModelError: the embedder of the index is missing or damaged.
    """
    snapshot = open_store(index).snapshot()
    with snapshot.locked():  # a build must not remove it meanwhile
        yield f"manifest.json: intact, format {snapshot.manifest.format}"
        yield from snapshot.verify()
        yield from _contents(snapshot)
    yield _embedder(snapshot.manifest.embedder)


def _contents(snapshot: Snapshot) -> Iterator[str]:
    try:
        with contextlib.closing(snapshot.open()) as reader:
            yield from _rows(snapshot, reader)
    except sqlite3.Error as error:
        raise IndexFolderError(
            f"{snapshot.location} cannot be read ({error}); build the index again."
        ) from error


def _rows(snapshot: Snapshot, reader: Reader) -> Iterator[str]:
    count, record = snapshot.manifest.count, snapshot.manifest.metadata
    ids = [item.id for item in reader.items]
    if ids != list(range(count)):
        raise IndexFolderError(
            f"{snapshot.location} has {len(ids)} items but {count} vectors; build the index again."
        )
    yield f"items: {count:,}, numbered like the vectors"
    if record and reader.metadata:
        if not reader.metadata.fits(count):
            raise IndexFolderError(
                f"{snapshot.location} has metadata of other pictures; build the index again."
            )
        yield f"metadata: for {record.described:,} pictures"
    for rows in reader.blocks():
        if not np.isfinite(rows).all():
            raise IndexFolderError(
                f"{snapshot.location} has a vector that is not finite; build the index again."
            )
    yield f"vectors: {count:,} × {snapshot.manifest.dimension}, all finite"


def _embedder(record: EmbedderRecord) -> str:
    for model in find_model(record).networks:
        if sha256_of(model.path) != model.sha256:
            raise ModelError(
                f"The model {model.path} is damaged (its SHA-256 differs); delete it and prepare "
                f"it again with `pokesim embedders --prepare {record.name}`."
            )
    return f"embedder: {record.name}, weights {record.weights_sha256[:12]}…, model intact"
