"""A Milvus server as a store of indexes.

It is queried over the network, and written through a copy in the user's cache (`mirror`).
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

from pokesim.arguments import file_path, text
from pokesim.errors import CorruptIndexError, IndexNotFoundError, UsageError
from pokesim.index.folder.snapshot import FolderSnapshot
from pokesim.index.folder.store import FolderStore
from pokesim.index.manifest import AUTO_SEARCH, FLAT
from pokesim.index.milvus.address import Address
from pokesim.index.milvus.client import Client, NoCollectionError
from pokesim.index.milvus.collection import Collection, current_collection
from pokesim.index.milvus.download import download
from pokesim.index.milvus.mirror import Mirror
from pokesim.index.milvus.snapshot import MilvusSnapshot
from pokesim.index.milvus.upload import upload, without_candidate_index
from pokesim.progress import Progress

log = logging.getLogger(__name__)


class MilvusStore:
    """A `pokesim.index.store.Store`."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._requested_search = AUTO_SEARCH

    @property
    def location(self) -> str:
        """The address."""
        return str(self.address)

    @cached_property
    def client(self) -> Client:
        """The connection, made on first use."""
        return Client(self.address)

    def snapshot(self) -> MilvusSnapshot:
        """Return the current snapshot."""
        return MilvusSnapshot(self._collection())

    def resolve_search(self, requested: str, dimension: int) -> str:
        """Return "flat": Milvus compares all vectors, on its query nodes.

        The search that was requested for copies in folders is kept, unless ``requested`` is "flat".
        """
        if requested not in (AUTO_SEARCH, FLAT):
            raise UsageError(
                f"--search {requested} is for an index in a folder; Milvus searches exactly."
            )
        self._requested_search = requested
        return FLAT

    def folder(self, *, write: bool) -> AbstractContextManager[Path]:
        """Give the copy in the cache, up to date; upload what a build makes of it."""
        mirror = Mirror(self.client, self.address)
        return mirror.synced(write=write, search=lambda: self._requested_search)

    def push(self, index: Path, on_progress: Progress) -> bool:
        """Upload the index of a folder; return False if the server already has the same, intact."""
        snapshot = FolderStore(index).snapshot()
        current = current_collection(self.client, self.address)
        if current and self._has(Collection(self.client, current), snapshot):
            return False
        upload(self.client, self.address, snapshot, current, on_progress)
        return True

    def _has(self, collection: Collection, snapshot: FolderSnapshot) -> bool:
        """Say whether a collection is a snapshot's, and every byte of it is as it was written."""
        try:
            if collection.manifest != without_candidate_index(snapshot.manifest):
                return False
            log.info("Comparing the index at %s, which should be the same.", self.address)
            for line in MilvusSnapshot(collection).verify():
                log.debug("%s", line)
        except (CorruptIndexError, NoCollectionError) as error:
            log.info("%s; it is sent again.", str(error).split(";")[0])
            return False
        return True

    def pull(self, index: Path, on_progress: Progress) -> None:
        """Download the index into a folder."""
        with FolderStore(index).folder(write=True) as folder:
            download(self._collection(), folder, on_progress)

    def _collection(self) -> Collection:
        """Return the current collection. Raises IndexNotFoundError."""
        name = current_collection(self.client, self.address)
        if name is None:
            raise IndexNotFoundError(
                f"There is no index at {self.address}; make one with `pokesim build-index FOLDER "
                f"--index {self.address}`, or copy one there with `pokesim push`."
            )
        return Collection(self.client, name)


def push_index(index: str | Path, address: str, *, progress: Progress | None = None) -> bool:
    """Copy an index from a folder to a Milvus server, where it becomes the current one.

    Nothing is embedded. Every vector and item is sent once; if the server already has them, they
    are compared with what was written instead, and sent again if they differ.

    Args:
        index: the folder.
        address: ``milvus://HOST:PORT/COLLECTION``.
        progress: called with (pictures sent, all pictures).

    Returns:
        False if the server already has the same index, intact.

    Raises:
        PokesimError: the index or the server cannot be used, or a path or the metadata of a
            picture are longer than Milvus allows; the server's index is unchanged.
    """
    store = MilvusStore(Address.of(text("The address", address)))
    return store.push(file_path("The index", index), progress or (lambda done, total: None))


def pull_index(address: str, index: str | Path, *, progress: Progress | None = None) -> None:
    """Copy an index from a Milvus server into a folder, where it becomes the current one.

    Every vector and item is fetched once, and compared with what was written. The candidate index
    is built here.

    Args:
        address: ``milvus://HOST:PORT/COLLECTION``.
        index: the folder.
        progress: called with (pictures fetched, all pictures).

    Raises:
        PokesimError: the server cannot be queried, or the folder cannot be written.
    """
    store = MilvusStore(Address.of(text("The address", address)))
    store.pull(file_path("The index", index), progress or (lambda done, total: None))
