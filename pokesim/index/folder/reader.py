"""Read a snapshot of a folder: its items, its metadata, and its vectors, which are searched."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pokesim.index.folder.items import ITEMS_FILE, Items
from pokesim.index.folder.lock import SharedLock
from pokesim.index.manifest import MANIFEST_FILE, Manifest
from pokesim.index.vectors.candidates import open_candidates
from pokesim.index.vectors.checks import checked_ids
from pokesim.index.vectors.flat import VECTORS_FILE, FlatVectors, rows_of
from pokesim.index.vectors.knn import VectorView
from pokesim.index.vectors.searcher import FlatSearcher
from pokesim.index.vectors.selector import IdSelector
from pokesim.metric import Projection

if TYPE_CHECKING:
    from pokesim.index.folder.metadata import Metadata
    from pokesim.index.metadata.filter import Condition


class SnapshotReader:
    """A `pokesim.index.store.Reader`; vectors are memory-mapped, however many there are.

    Attributes:
        items: the items, one for each vector.
        projection: the learned metric of a tuned index.
    """

    def __init__(self, path: Path, manifest: Manifest, projection: Projection | None) -> None:
        """Open the files of the snapshot in ``path``.

        Raises:
            IndexFolderError: a file is damaged.
            OSError, sqlite3.Error: a file has been removed, or cannot be read.
        """
        count, dimension = manifest.count, manifest.dimension
        self._lock = SharedLock(path / MANIFEST_FILE)
        self._count, self._record = count, manifest.metadata
        self._flat = FlatVectors(path / VECTORS_FILE, count, dimension)
        self.projection = projection
        self._candidate_index = open_candidates(path, manifest.search, self._flat)
        self.items = Items(path / ITEMS_FILE, count)

    @cached_property
    def metadata(self) -> Metadata | None:
        """The table that describes the pictures, if the index has one."""
        if self._record is None:
            return None
        from pokesim.index.folder.metadata import Metadata

        return Metadata(self.items, self._record)

    def view(self, condition: Condition | None) -> VectorView:
        """Return the vectors of the pictures that meet a condition; None means all."""
        mask = self.metadata.matching(condition) if condition and self.metadata else None
        return FlatSearcher(self._flat, self._candidate_index, IdSelector(self._count, mask))

    def vectors(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of ids (n,). Raises UsageError for an unknown id."""
        return self._flat.reconstruct_batch(checked_ids(ids, self._count))

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield all vectors in the order of their ids, float32 (≤ 8192, d) at a time."""
        return rows_of(self._flat)

    def close(self) -> None:
        """Close the files."""
        self.items.close()
        self._flat.close()
        if self._candidate_index:
            self._candidate_index.close()
        self._lock.release()
