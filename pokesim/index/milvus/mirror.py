"""A copy of a Milvus index in the user's cache: an ordinary index folder, which builds work in.

A build cannot work on the server, where nothing changes once it is written. So it updates the copy,
with its journal, as it would any folder; then the copy's new snapshot is uploaded.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from pokesim.cache import COPIES, cache_dir
from pokesim.errors import CorruptIndexError, IndexFolderError, IndexNotFoundError
from pokesim.files import atomic_write
from pokesim.index.folder.lock import SNAPSHOTS, write_lock
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.manifest import AUTO_SEARCH, FLAT, SearchRecord
from pokesim.index.milvus.address import Address
from pokesim.index.milvus.client import Client
from pokesim.index.milvus.collection import Collection, current_collection
from pokesim.index.milvus.download import download
from pokesim.index.milvus.upload import upload

_STATE_FILE = "follows.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _State:
    """What the server and the copy have in common: ``collection`` there is ``snapshot`` here."""

    collection: str | None = None
    snapshot: str | None = None


class Mirror:
    """The copy of one index.

    Attributes:
        folder: the copy, an index folder; it does not exist before the first build.
    """

    def __init__(self, client: Client, address: Address) -> None:
        server = f"{address.host}_{address.port}"
        self._client, self._address = client, address
        self._root = cache_dir() / COPIES / server / address.name
        self.folder = self._root / "index"

    @contextlib.contextmanager
    def synced(self, *, write: bool, search: Callable[[], str]) -> Iterator[Path]:
        """Lock the copy, update it from the server, and give it.

        Args:
            write: upload the copy's current snapshot at the end, if it is new.
            search: called then; the search to request for copies of the index, or "auto" to keep
                the one on the server.

        Raises:
            IndexFolderError: another process is writing the copy, or it cannot be written.
            PokesimError: the server cannot be queried.
        """
        with write_lock(self._root):
            current = self._update(allow_damage=write)
            yield self.folder
            if write:
                self._upload(current, search())

    def _update(self, *, allow_damage: bool) -> str | None:
        """Make the copy match the server; return the server's current collection.

        A copy that has a newer snapshot, which a build could not upload, is kept.

        Args:
            allow_damage: keep the copy as it is if the server's snapshot is damaged, because a
                build replaces that one.
        """
        current, state = current_collection(self._client, self._address), self._state()
        if current is None and state.collection is not None:  # the server's was dropped
            shutil.rmtree(self.folder, ignore_errors=True)
            self._save(_State())
        elif current is not None and (current != state.collection or not self._exists()):
            log.info("Fetching %s.", self._address)
            collection = Collection(self._client, current)
            try:
                snapshot = download(collection, self.folder, lambda done, total: None, FLAT)
            except CorruptIndexError as error:
                if not allow_damage:
                    raise
                log.info("%s; what the copy lacks is embedded again.", str(error).split(";")[0])
                self._save(_State(current))
            else:
                self._save(_State(current, snapshot.name))
        return current

    def _upload(self, current: str | None, search: str) -> None:
        """Upload the copy's snapshot if it is new, and remove older ones here."""
        with contextlib.suppress(IndexNotFoundError):
            index = IndexFolder(self.folder)
            snapshot = index.current()
            if snapshot.name != self._state().snapshot:
                log.info("Sending %s pictures to %s.", snapshot.manifest.count, self._address)
                # The copy itself is always flat, because nobody searches it.
                record = self._search(current) if search == AUTO_SEARCH else SearchRecord(search)
                collection = upload(
                    self._client,
                    self._address,
                    snapshot,
                    current,
                    lambda done, total: None,
                    record,
                )
                self._save(_State(collection, snapshot.name))
            for name in index.names():
                if name != snapshot.name:
                    shutil.rmtree(self.folder / SNAPSHOTS / name, ignore_errors=True)

    def _search(self, current: str | None) -> SearchRecord:
        """Return the search of copies of the server's index."""
        with contextlib.suppress(CorruptIndexError):
            if current is not None:
                return replace(Collection(self._client, current).manifest.search, recall=None)
        return SearchRecord(FLAT)

    def _exists(self) -> bool:
        try:
            IndexFolder(self.folder).current()
        except IndexFolderError:
            return False
        return True

    def _state(self) -> _State:
        try:
            return _State(*json.loads((self._root / _STATE_FILE).read_bytes()))
        except (OSError, ValueError, TypeError):
            return _State()

    def _save(self, state: _State) -> None:
        atomic_write(self._root / _STATE_FILE, json.dumps(astuple(state)).encode())
