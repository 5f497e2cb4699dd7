"""A Milvus server as a store.

It is read over the wire. It is written by way of a copy in the user's cache, an ordinary index
folder that follows what counts on the server: where that is another than the copy knows, all of it
is fetched first, each vector once. A build works there as in any folder, with its journal beside
it, and what comes of it is sent to the server, all of it too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from pokesim.cache import COPIES, cache_dir
from pokesim.errors import CorruptIndexError, IndexFolderError, IndexNotFoundError, UsageError
from pokesim.files import sha256_of
from pokesim.index.folder.items import ITEMS_FILE
from pokesim.index.folder.lock import write_lock
from pokesim.index.folder.snapshot import SNAPSHOTS, FolderSnapshot, IndexFolder
from pokesim.index.folder.writer import SnapshotWriter, new_snapshot
from pokesim.index.manifest import AUTO_SEARCH, FLAT, MetadataRecord, SearchRecord
from pokesim.index.milvus.address import Address
from pokesim.index.milvus.client import Client, NoCollectionError
from pokesim.index.milvus.collection import MilvusSnapshot, rows_at_a_time
from pokesim.index.milvus.schema import ITEM_FIELDS, check_mark, item_of, line_of, plain_of
from pokesim.index.milvus.upload import upload, without_structure
from pokesim.index.vectors.flat import BASE_FILE, VectorWriter
from pokesim.metric import PROJECTION_FILE
from pokesim.progress import Progress

log = logging.getLogger(__name__)

_FOLLOWS = "follows.json"


@dataclass(frozen=True, slots=True)
class _Follows:
    """What a copy in the cache is a copy of: its snapshot ``snapshot`` of ``collection``."""

    collection: str | None = None
    snapshot: str | None = None

    @staticmethod
    def of(root: Path) -> _Follows:
        try:
            return _Follows(*json.loads((root / _FOLLOWS).read_bytes()))
        except (OSError, ValueError, TypeError):
            return _Follows()

    def remember(self, root: Path) -> None:
        (root / _FOLLOWS).write_text(json.dumps(astuple(self)))


class MilvusStore:
    """A `pokesim.index.store.Store`."""

    def __init__(self, address: Address) -> None:
        self.address = address

    @cached_property
    def server(self) -> Client:
        """The connection, made when it is first needed."""
        return Client(self.address)

    def snapshot(self) -> MilvusSnapshot:
        """Return the snapshot that counts."""
        name = self._current()
        if name is None:
            raise IndexNotFoundError(
                f"There is no index at {self.address}; make one with `pokesim build-index --index "
                f"{self.address}`, or copy one there with `pokesim push`."
            )
        return MilvusSnapshot(self.server, name)

    def resolve_search(self, asked: str, dimension: int) -> str:
        """Return "flat": Milvus compares all vectors, on its query nodes."""
        if asked not in (AUTO_SEARCH, FLAT):
            raise UsageError(
                f"--search {asked} is for an index in a folder; Milvus is asked for exact answers."
            )
        return FLAT

    @contextmanager
    def folder(self, *, write: bool) -> Iterator[Path]:
        """Give the copy in the cache, brought up to date; send what a build makes of it."""
        root = cache_dir() / COPIES / f"{self.address.host}_{self.address.port}" / self.address.name
        home = root / "index"
        with write_lock(root):
            before = self._follow(root, home, write)
            yield home
            if write:
                self._send(root, home, before)

    def push(self, index: Path, tell: Progress) -> bool:
        """Copy the index of a folder to the server; say whether it was not there already."""
        snapshot = IndexFolder(index).current()
        before = self._current()
        with contextlib.suppress(CorruptIndexError):
            there = MilvusSnapshot(self.server, before).written if before else None
            if there == without_structure(snapshot.manifest):
                return False
        upload(self.server, self.address, snapshot, before, tell)
        return True

    def fetch(self, home: Path, tell: Progress, search: str | None = None) -> FolderSnapshot:
        """Copy what counts on the server into an index's folder; all of it travels.

        Args:
            home: the folder; the index that is there stays until the new one is whole.
            tell: called as pictures come.
            search: how it is to be searched there; None: as was asked of the index.

        Raises:
            PokesimError: something is missing on the server, or the folder cannot be written.
        """
        source = self.snapshot()
        manifest = source.written
        with new_snapshot(IndexFolder(home)) as draft:
            folder = draft.path
            metadata = _fetch_rows(source, folder, tell)
            if projection := source.projection():
                (folder / PROJECTION_FILE).write_bytes(source.file(PROJECTION_FILE))
                _fetch_plain(source, folder / BASE_FILE, projection.base_dimension)
            for name in manifest.files.keys() - {ITEMS_FILE}:
                source.check_file(name, sha256_of(folder / name))
            asked = SearchRecord(search or manifest.search.requested)
            return draft.commit(replace(manifest, metadata=metadata, search=asked))

    def _current(self) -> str | None:
        """Return the collection that the address stands for; None if there is none."""
        try:
            found = self.server.ask("describe_collection", self.address.name)
        except NoCollectionError:
            return None
        check_mark(self.address, found["description"])
        return str(found["collection_name"])

    def _follow(self, root: Path, home: Path, write: bool) -> str | None:
        """Bring a copy up to date, and return what counts on the server.

        A copy may be ahead: what a build has made of it and could not send is not lost. Where the
        server's is damaged, a build goes on from what the copy is.
        """
        current, known = self._current(), _Follows.of(root)
        if current is None and known.collection is not None:
            shutil.rmtree(home, ignore_errors=True)  # its collection was dropped
            _Follows().remember(root)
        elif current is not None and (current != known.collection or not _is_there(home)):
            log.info("Fetching %s.", self.address)
            try:
                snapshot = self.fetch(home, lambda done, total: None, FLAT)
            except CorruptIndexError as error:
                if not write:
                    raise
                log.info("%s; what the copy lacks is embedded again.", str(error).split(";")[0])
                _Follows(current).remember(root)
            else:
                _Follows(current, snapshot.name).remember(root)
        return current

    def _send(self, root: Path, home: Path, before: str | None) -> None:
        with contextlib.suppress(IndexNotFoundError):
            snapshot = IndexFolder(home).current()
            if snapshot.name != _Follows.of(root).snapshot:
                log.info("Sending %s pictures to %s.", snapshot.manifest.count, self.address)
                collection = upload(
                    self.server, self.address, snapshot, before, lambda done, total: None
                )
                _Follows(collection, snapshot.name).remember(root)
            for name in IndexFolder(home).names():
                if name != snapshot.name:
                    shutil.rmtree(home / SNAPSHOTS / name, ignore_errors=True)


def push_index(index: str | Path, address: str, *, progress: Progress | None = None) -> bool:
    """Copy a finished index from a folder to a Milvus server, where it counts from then on.

    Nothing is embedded. Every vector and item travels once.

    Args:
        index: the folder.
        address: ``milvus://HOST:PORT/COLLECTION``.
        progress: called with (pictures sent, of all).

    Returns:
        False where the same index is there already.

    Raises:
        PokesimError: the index or the server cannot be used; what counted there does so still.
    """
    store = MilvusStore(Address.of(address))
    return store.push(Path(index), progress or (lambda done, total: None))


def pull_index(address: str, index: str | Path, *, progress: Progress | None = None) -> None:
    """Copy an index from a Milvus server into a folder, where it counts from then on.

    Every vector and item travels once, and is compared with what was written. The search structure
    is built here.

    Args:
        address: ``milvus://HOST:PORT/COLLECTION``.
        index: the folder.
        progress: called with (pictures fetched, of all).

    Raises:
        PokesimError: the server cannot be asked, or the folder cannot be written.
    """
    store = MilvusStore(Address.of(address))
    store.fetch(Path(index), progress or (lambda done, total: None))


def _fetch_rows(source: MilvusSnapshot, folder: Path, tell: Progress) -> MetadataRecord | None:
    """Write the vectors and items of a snapshot; return what its table comes to."""
    manifest, digest = source.written, hashlib.sha256()
    table = source.table() if manifest.metadata else None
    fields, size = [*ITEM_FIELDS, "metadata", "vector"], rows_at_a_time(manifest.dimension)
    with closing(SnapshotWriter(folder, manifest.dimension, table)) as writer:
        for rows in source.in_order(source.name, fields, size):
            tell(writer.count, manifest.count)
            if [row["id"] for row in rows] != [*range(writer.count, writer.count + len(rows))]:
                raise source.damaged("lacks some of its rows")
            for row in rows:
                digest.update(line_of(row))
            block = np.array([row["vector"] for row in rows], np.float32)
            writer.add(block.reshape(-1, manifest.dimension), [item_of(row) for row in rows])
        source.check_rows(digest.hexdigest())
        tell(manifest.count, manifest.count)
        return writer.finish()


def _fetch_plain(source: MilvusSnapshot, path: Path, dimension: int) -> None:
    """Write the vectors of a tuned snapshot before its metric."""
    plain = plain_of(source.name)
    with source.loaded(plain), closing(VectorWriter(path, dimension)) as writer:
        for block in source.blocks(plain, dimension):
            writer.add(block)
        writer.finish()


def _is_there(home: Path) -> bool:
    try:
        IndexFolder(home).current()
    except IndexFolderError:
        return False
    return True
