"""A snapshot of a folder → collections on a Milvus server, and the alias that points to them.

Everything is sent: every vector once (also the base vectors of a tuned index), and each picture's
item and metadata. What readers use does not change meanwhile: the alias is switched in one step,
when everything is flushed, loaded and counted.
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
from pokesim.index.manifest import MANIFEST_FILE, Manifest, SearchRecord
from pokesim.index.milvus.address import Address
from pokesim.index.milvus.client import Client
from pokesim.index.milvus.collection import FACTS_FILE, TABLE_FILE, current_collection
from pokesim.index.milvus.schema import (
    JSON_BYTES,
    NAME_BYTES,
    Row,
    base_collection,
    checksum_line,
    file_rows,
    files_collection,
    files_schema,
    index_params,
    item_row,
    items_schema,
    text_of,
    vectors_schema,
)
from pokesim.index.vectors.candidates import CANDIDATE_FILES
from pokesim.metric import PROJECTION_FILE
from pokesim.progress import Progress

_BATCH_BYTES = 8 << 20
"""Sent at a time, approximately."""

_PROGRESS_ROWS = 1000


def upload(
    client: Client,
    address: Address,
    snapshot: FolderSnapshot,
    current: str | None,
    on_progress: Progress,
    search: SearchRecord | None = None,
) -> str:
    """Copy a snapshot to a server and make it the current one.

    Args:
        client: the server.
        address: the index there.
        snapshot: of a folder.
        current: the current collection on the server, if any; it is kept, older ones are dropped.
        on_progress: called with (pictures sent, all pictures).
        search: the search to record for copies; None: the snapshot's own.

    Returns:
        the new collection.

    Raises:
        PokesimError: a path or the metadata of a picture are longer than Milvus allows.
        IndexFolderError: someone else has replaced the current collection meanwhile.
        PokesimError: the server reports an error, or the connection is lost.
            After every error but one of the final switch, ``current`` is still the current one.
    """
    now = datetime.datetime.now(datetime.UTC)
    collection = f"{address.name}_{now:%Y%m%dT%H%M%S%f}"
    try:
        with snapshot.locked(), contextlib.closing(snapshot.open()) as reader:
            _send(client, collection, snapshot, reader, on_progress, search)
        if current_collection(client, address) != current:
            raise IndexFolderError(
                f"Someone else has built {address} meanwhile; repeat the command to start from "
                "their index."
            )
    except BaseException:
        _drop(client, collection)
        raise
    # If this fails, the server may have done it or not, so the new collection stays.
    switch = client.create_alias if current is None else client.switch_alias
    switch(address.name, collection)
    _drop_older(client, address, {collection, current})
    return collection


def without_candidate_index(manifest: Manifest) -> Manifest:
    """Return a folder's manifest as it is sent: without the files of its candidate index."""
    files = {name: file for name, file in manifest.files.items() if name not in CANDIDATE_FILES}
    return replace(manifest, files=files)


def _send(
    client: Client,
    collection: str,
    snapshot: FolderSnapshot,
    reader: SnapshotReader,
    on_progress: Progress,
    search: SearchRecord | None,
) -> None:
    """Fill the collections of a snapshot, index and load them, and count the rows."""
    manifest = snapshot.manifest
    _check_sizes(reader)
    facts = _send_items(client, collection, manifest, reader, on_progress)
    sent_manifest = replace(manifest, search=search or manifest.search)
    files = {
        MANIFEST_FILE: without_candidate_index(sent_manifest).to_json().encode(),
        FACTS_FILE: json.dumps(facts).encode(),
    }
    if reader.metadata:
        files[TABLE_FILE] = json.dumps(list(reader.metadata.table().rows)).encode()
    sent = [collection, files_collection(collection)]
    if reader.projection:
        files[PROJECTION_FILE] = snapshot.file(PROJECTION_FILE).read_bytes()
        _send_base_vectors(client, base_collection(collection), BaseVectors(snapshot))
        sent.append(base_collection(collection))
    _fill(client, files_collection(collection), files_schema(), file_rows(files))
    with ThreadPoolExecutor() as pool:  # each takes seconds, even for a few rows
        list(pool.map(partial(_finish, client, collection), sent))
    count = client.count(collection, latest=True)
    if count != manifest.count:
        raise PokesimError(
            f"The Milvus server {client} has {count:,} of {manifest.count:,} pictures; try again."
        )


def _check_sizes(reader: SnapshotReader) -> None:
    """Check, before anything is sent, that Milvus takes each picture. Raises PokesimError."""
    for item in reader.items:
        longest = max(map(text_of, (item.path, item.label)), key=_bytes_of)
        if (size := _bytes_of(longest)) > NAME_BYTES:
            raise PokesimError(
                f"An index on Milvus takes {NAME_BYTES:,} bytes of a path or label, but "
                f"{longest[:80]}… has {size:,}; rename that picture."
            )
        cells = reader.metadata.row(item.id) if reader.metadata else {}
        size = _json_bytes(item_row(item, cells)["metadata"])
        if size > JSON_BYTES:
            column = max(cells, key=lambda name: len(str(cells[name])))
            raise PokesimError(
                f"Milvus takes {JSON_BYTES:,} bytes of metadata for a picture, but {item.path} has "
                f"{size:,}; shorten its {column} in the table, or leave that column out."
            )


def _bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _json_bytes(cells: Row) -> int:
    return _bytes_of(json.dumps(cells, ensure_ascii=False, separators=(",", ":")))


def _send_items(
    client: Client,
    collection: str,
    manifest: Manifest,
    reader: SnapshotReader,
    on_progress: Progress,
) -> dict[str, Any]:
    """Send vectors, items and metadata; return the facts to be recorded."""
    digest = hashlib.sha256()
    folders: set[PurePosixPath] = set()

    def rows() -> Iterator[Row]:
        for item, vector in zip(reader.items, _rows_of(reader.blocks()), strict=True):
            row = item_row(item, reader.metadata.row(item.id) if reader.metadata else {})
            digest.update(checksum_line(row))
            if len(folders) < 2:
                folders.add(PurePosixPath(item.path).parent)
            yield row | {"vector": vector}
            if not (item.id + 1) % _PROGRESS_ROWS:
                on_progress(item.id + 1, manifest.count)

    on_progress(0, manifest.count)
    _fill(client, collection, items_schema(manifest.dimension), rows())
    on_progress(manifest.count, manifest.count)
    return {"rows_sha256": digest.hexdigest(), "in_folders": len(folders) > 1}


def _send_base_vectors(client: Client, collection: str, base: BaseVectors) -> None:
    numbered = enumerate(_rows_of(base.blocks()))
    rows = ({"id": number, "vector": vector} for number, vector in numbered)
    _fill(client, collection, vectors_schema(base.manifest.dimension), rows)


def _fill(client: Client, collection: str, schema: Any, rows: Iterable[Row]) -> None:
    """Create a collection and insert its rows."""
    client.create_collection(collection, schema)
    for batch in _batches(rows):
        client.insert(collection, batch)


def _finish(client: Client, main: str, collection: str) -> None:
    """Flush and index a collection, and load it if it will be queried."""
    client.flush(collection)
    client.create_index(collection, index_params(items=collection == main))
    if collection != base_collection(main):
        client.load(collection)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += 4 * len(row["vector"]) + sum(
            len(str(row[name])) for name in row if name != "vector"
        )
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _rows_of(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        yield from block


def _drop_older(client: Client, address: Address, kept: set[str | None]) -> None:
    """Drop the collections of earlier snapshots, and those left by a push that was killed."""
    snapshots = re.compile(rf"({re.escape(address.name)}_\d{{8}}T\d{{12}})(_files|_plain)?")
    newest = max(name for name in kept if name)
    for name in client.collections():
        found = snapshots.fullmatch(name)
        if found and found[1] not in kept and found[1] < newest:
            client.drop(name)


def _drop(client: Client, collection: str) -> None:
    """Drop the collections of a push that failed, as far as the server allows."""
    with contextlib.suppress(PokesimError):
        for name in (collection, files_collection(collection), base_collection(collection)):
            client.drop(name)
