"""Verify an index: compare every byte with what was written, and check every vector."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.model_cache import find_model
from pokesim.errors import CorruptIndexError, IndexFolderError, ModelError
from pokesim.files import sha256_of
from pokesim.index import open_store
from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.index.folder.snapshot import FolderSnapshot
from pokesim.index.manifest import EmbedderRecord
from pokesim.index.store import Reader, Snapshot
from pokesim.metric import within_bounds

_LENGTH_ERROR = 1e-3
"""How much the length of a normalized vector may differ from 1; arithmetic in bfloat16 included."""


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
    manifest = snapshot.manifest
    count, record = manifest.count, manifest.metadata
    found = sum(1 for _ in reader.items)  # reading them checks them
    if found != count:
        raise CorruptIndexError(
            f"{snapshot.location} has {found} items but {count} vectors; build the index again."
        )
    yield f"items: {count:,}, numbered like the vectors"
    if record and reader.metadata:
        if not reader.metadata.fits(count):
            raise CorruptIndexError(
                f"{snapshot.location} has metadata of other pictures; build the index again."
            )
        reader.metadata.table()  # likewise
        yield f"metadata: for {record.described:,} pictures"
    normalized = manifest.embedder.normalized
    _check_vectors(snapshot, reader.blocks(), normalized or manifest.tuning is not None)
    if isinstance(snapshot, FolderSnapshot) and manifest.tuning:
        _check_vectors(snapshot, BaseVectors(snapshot).blocks(), normalized)
    reader.view(None).candidates(reader.vectors([0]), 1)  # reads what only a search reads
    yield f"vectors: {count:,} × {manifest.dimension}, all finite"


def _check_vectors(
    snapshot: Snapshot, blocks: Iterable[NDArray[np.float32]], normalized: bool
) -> None:
    """Check that vectors, float32 (n, d) at a time, can be compared, and have their length."""
    for rows in blocks:
        if not within_bounds(rows):
            raise CorruptIndexError(
                f"{snapshot.location} has a vector that is not finite, or far too long; build the "
                "index again."
            )
        lengths = np.linalg.norm(rows, axis=1)  # a vector of zeros cannot be scaled
        if normalized and not ((lengths == 0) | (abs(lengths - 1) < _LENGTH_ERROR)).all():
            raise CorruptIndexError(
                f"{snapshot.location} has a vector that is not of length 1, as its manifest says; "
                "build the index again."
            )


def _embedder(record: EmbedderRecord) -> str:
    for model in find_model(record).networks:
        for path, sha256 in model.files.items():
            if sha256_of(path) != sha256:
                again = "PATH" if record.network and not record.network.origin else record.name
                raise ModelError(
                    f"The model {path} is damaged (its SHA-256 differs); delete it and prepare "
                    f"it again with `pokesim embedders --prepare {again}`."
                )
    return f"embedder: {record.name}, weights {record.weights_sha256[:12]}…, model intact"
