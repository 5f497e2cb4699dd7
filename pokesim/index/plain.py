"""An index's vectors as its embedder gave them, tuned or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pokesim.index import vectors
from pokesim.index.snapshot import Snapshot
from pokesim.metric import Projection

Rows = NDArray[np.float32]


class Plain:
    """An index's vectors before any learned projection.

    Attributes:
        path: their file.
        manifest: the manifest of an index that is not tuned.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        projection = snapshot.projection()
        name = vectors.PLAIN_FILE if projection else vectors.FILE
        dimension = projection.plain_dimension if projection else snapshot.manifest.dimension
        self.path = snapshot.file(name)
        self.manifest = replace(snapshot.manifest, dimension=dimension, tuning=None)
        self._faiss = vectors.open_vectors(self.path, self.manifest.count, dimension)

    def blocks(self, projection: Projection | None = None) -> Iterator[Rows]:
        """Yield all vectors, block by block, projected if asked."""
        for rows in vectors.rows_of(self._faiss):
            yield projection.apply(rows) if projection else rows

    def rows(self, ids: NDArray[np.int64]) -> Rows:
        """Return some vectors, float32 (n, d)."""
        found: Rows = self._faiss.reconstruct_batch(ids)
        return found
