"""The base vectors of a snapshot: the embedder's output, before any learned projection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pokesim.index.folder.snapshot import FolderSnapshot
from pokesim.index.vectors.checks import checked_ids
from pokesim.index.vectors.flat import BASE_FILE, VECTORS_FILE, FlatVectors, rows_of
from pokesim.metric import Projection

Rows = NDArray[np.float32]


class BaseVectors:
    """The vectors of a snapshot before any learned projection.

    Attributes:
        path: their file.
        manifest: the manifest that the snapshot would have without tuning.
    """

    def __init__(self, snapshot: FolderSnapshot) -> None:
        """Open them. Raises IndexFolderError if the file is damaged, OSError if it is missing."""
        projection = snapshot.projection()
        name = BASE_FILE if projection else VECTORS_FILE
        dimension = projection.base_dimension if projection else snapshot.manifest.dimension
        self.path = snapshot.file(name)
        self.manifest = replace(snapshot.manifest, dimension=dimension, tuning=None)
        self._vectors = FlatVectors(self.path, self.manifest.count, dimension)

    def blocks(self, projection: Projection | None = None) -> Iterator[Rows]:
        """Yield all vectors in blocks, float32 (≤ 8192, d), projected if a projection is given."""
        for rows in rows_of(self._vectors):
            yield projection.apply(rows) if projection else rows

    def rows(self, ids: NDArray[np.int64]) -> Rows:
        """Return the vectors, float32 (n, d), of ids (n,). Raises UsageError for an unknown id."""
        return self._vectors.reconstruct_batch(checked_ids(ids, self.manifest.count))
