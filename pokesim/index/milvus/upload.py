"""A snapshot from a folder → collections on a Milvus server, and the alias that makes it count.

All of it travels: every vector once (of a tuned index those before the metric too), and each
picture's item and metadata. Nothing that is read changes meanwhile. The alias is switched when
everything is flushed, loaded and counted, in one step.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import IndexFolderError, PokesimError
from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.index.folder.reader import SnapshotReader
from pokesim.index.folder.snapshot import FolderSnapshot
from pokesim.index.manifest import Manifest
from pokesim.index.milvus.address import Address
from pokesim.index.milvus.client import Client, NoCollectionError
from pokesim.index.milvus.schema import (
    Row,
    file_rows,
    files_of,
    files_schema,
    item_row,
    line_of,
    plain_of,
    schema,
)
from pokesim.index.vectors.candidates import CANDIDATE_FILES
from pokesim.metric import PROJECTION_FILE
from pokesim.progress import Progress

_BYTES = 8 << 20
"""Sent at a time."""


def upload(
    server: Client, address: Address, snapshot: FolderSnapshot, before: str | None, tell: Progress
) -> str:
    """Copy a snapshot to a server and make it the one that counts.

    Args:
        server: where.
        address: which index there.
        snapshot: from a folder.
        before: the collection that counts so far, if any; it is kept, older ones are dropped.
        tell: called as pictures are sent.

    Returns:
        the new collection.

    Raises:
        PokesimError: the server refuses or is lost. What counted before does so still.
    """
    now = datetime.datetime.now(datetime.UTC)
    collection = f"{address.name}_{now:%Y%m%dT%H%M%S%f}"
    try:
        with snapshot.locked(), contextlib.closing(snapshot.open()) as opened:
            _send(server, collection, snapshot, opened, tell)
        _check_unchanged(server, address, before)
    except BaseException:
        _drop(server, collection)
        raise
    # If this fails, nobody knows whether it was done; so what was sent stays.
    server.ask("create_alias" if before is None else "alter_alias", collection, address.name)
    _drop_older(server, address, {collection, before})
    return collection


def without_structure(manifest: Manifest) -> Manifest:
    """Return the manifest of a folder's snapshot as it is sent: what FAISS searches with stays."""
    files = {name: told for name, told in manifest.files.items() if name not in CANDIDATE_FILES}
    return replace(manifest, files=files)


def _send(
    server: Client,
    collection: str,
    snapshot: FolderSnapshot,
    opened: SnapshotReader,
    tell: Progress,
) -> None:
    manifest = snapshot.manifest
    digest = hashlib.sha256()
    folders: set[PurePosixPath] = set()

    def rows() -> Iterator[Row]:
        for item, vector in zip(opened.items, _each(opened.blocks()), strict=True):
            row = item_row(item, opened.metadata.of(item.id) if opened.metadata else {})
            digest.update(line_of(row))
            if len(folders) < 2:
                folders.add(PurePosixPath(item.path).parent)
            yield row | {"vector": vector}
            if not (item.id + 1) % 1000:
                tell(item.id + 1, manifest.count)

    tell(0, manifest.count)
    _fill(server, collection, schema(manifest.dimension, with_items=True), rows())
    tell(manifest.count, manifest.count)
    facts = {"rows_sha256": digest.hexdigest(), "in_folders": len(folders) > 1}
    files = {
        "manifest.json": without_structure(manifest).to_json().encode(),
        "facts.json": json.dumps(facts).encode(),
    }
    if opened.metadata:
        files["table.json"] = json.dumps(list(opened.metadata.table().rows)).encode()
    sent = [collection, files_of(collection)]
    if opened.projection:
        files[PROJECTION_FILE] = snapshot.file(PROJECTION_FILE).read_bytes()
        plain = BaseVectors(snapshot)
        numbered = enumerate(_each(plain.blocks()))
        sent.append(plain_of(collection))
        _fill(
            server,
            plain_of(collection),
            schema(plain.manifest.dimension, with_items=False),
            ({"id": number, "vector": vector} for number, vector in numbered),
        )
    _fill(server, files_of(collection), files_schema(), file_rows(files))
    with ThreadPoolExecutor() as pool:  # each takes seconds, whatever there is to do
        list(pool.map(partial(_settle, server, collection), sent))
    counting: dict[str, Any] = {"output_fields": ["count(*)"], "consistency_level": "Strong"}
    (row,) = server.ask("query", collection, filter="", **counting)
    if row["count(*)"] != manifest.count:
        raise PokesimError(
            f"The Milvus server {server} has {row['count(*)']:,} of {manifest.count:,} pictures; "
            "try again."
        )


def _fill(server: Client, collection: str, fields: Any, rows: Iterable[Row]) -> None:  # noqa: ANN401
    """Make a collection and send its rows."""
    server.ask("create_collection", collection, schema=fields)
    for batch in _batches(rows):
        server.ask("insert", collection, batch)


def _settle(server: Client, main: str, collection: str) -> None:
    """Bring what was sent to the server's disk, and into its memory if it is to be asked."""
    from pymilvus import MilvusClient

    server.do("flush", collection)
    indexes: Any = MilvusClient.prepare_index_params()
    indexes.add_index("vector", index_type="FLAT", metric_type="L2")
    if collection == main:  # each query looks for the photo's own bytes
        indexes.add_index("sha256", index_type="Trie")
    server.do("create_index", collection, indexes)
    if collection != plain_of(main):
        server.do("load_collection", collection)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += 4 * len(row["vector"]) + sum(
            len(str(row[name])) for name in row if name != "vector"
        )
        if size >= _BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _each(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        yield from block


def _check_unchanged(server: Client, address: Address, before: str | None) -> None:
    now = None
    with contextlib.suppress(NoCollectionError):
        now = server.ask("describe_collection", address.name)["collection_name"]
    if now != before:
        raise IndexFolderError(
            f"{address} was built by somebody else meanwhile; the same command starts from that."
        )


def _drop_older(server: Client, address: Address, kept: set[str | None]) -> None:
    """Drop the collections of snapshots before these, and what a push has left that was killed."""
    ours = re.compile(rf"({re.escape(address.name)}_\d{{8}}T\d{{12}})(_files|_plain)?")
    newest = max(one for one in kept if one)
    for name in server.ask("list_collections"):
        found = ours.fullmatch(name)
        if found and found[1] not in kept and found[1] < newest:
            server.ask("drop_collection", name)


def _drop(server: Client, collection: str) -> None:
    """Drop what a push has made that came to nothing, as far as the server lets us."""
    with contextlib.suppress(PokesimError):
        for name in (collection, files_of(collection), plain_of(collection)):
            server.ask("drop_collection", name)
