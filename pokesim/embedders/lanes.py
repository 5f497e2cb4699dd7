"""A batch of pictures, divided among the cores."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.embedder import Embedder

CHUNK = 4
"""Pictures of a batch that a lane takes at a time."""

FEW = 8
"""All cores share the work on fewer pictures; of a larger batch, each computes some of its own, but
what it needs for that takes a while to open."""


class Lanes:
    """Threads that divide a batch among them, with an embedder for each: its *lane*.

    No core waits for another in the middle of a network. Of two batches at the same time, each
    takes the lanes that the other leaves.
    """

    def __init__(self, embedders: Sequence[Embedder]) -> None:
        self._count = len(embedders)
        self._free: SimpleQueue[Embedder] = SimpleQueue()
        for embedder in embedders:
            self._free.put(embedder)
        self._threads = ThreadPoolExecutor(self._count)

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, dimension), of uint8 (n, side, side, 3), RGB."""
        size = max(1, min(CHUNK, len(pixels) // self._count))
        chunks = (pixels[at : at + size] for at in range(0, len(pixels), size))
        return np.concatenate(list(self._threads.map(self._embed_chunk, chunks)))

    def _embed_chunk(self, chunk: NDArray[np.uint8]) -> NDArray[np.float32]:
        embedder = self._free.get()
        try:
            return embedder.embed(chunk)
        finally:
            self._free.put(embedder)
