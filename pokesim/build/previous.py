"""The snapshot that a build starts from."""

from __future__ import annotations

import threading

from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.index.folder.items import ITEMS_FILE, Items
from pokesim.index.folder.snapshot import FolderSnapshot


class PreviousSnapshot:
    """The snapshot before, every byte verified, as a source of items and plain vectors.

    Attributes:
        snapshot: what it is.
        counts: it is the one that counts, not an older one in place of one that is damaged.
        items, plain: its items and vectors.
    """

    def __init__(self, snapshot: FolderSnapshot, *, counts: bool) -> None:
        """Open it. Raises DamagedIndexError."""
        for name in snapshot.manifest.files:
            snapshot.verify_file(name)
        self.snapshot = snapshot
        self.counts = counts
        self.items = Items(snapshot.file(ITEMS_FILE))
        self.plain = BaseVectors(snapshot)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.snapshot.manifest.count

    def find(self, sha256: str) -> int | None:
        """Return the row of a picture with these bytes; safe to call from several threads."""
        with self._lock:
            return self.items.find(sha256)

    def close(self) -> None:
        """Close the files."""
        self.items.close()
