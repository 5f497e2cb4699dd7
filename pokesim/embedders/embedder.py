"""What every embedder can do, whichever runtime it uses."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 4
"""Pictures that a network computes at once: what it computes of few stays in the processor's cache,
which saves EfficientNet-Lite0 a fifth of the time of 32 at once."""

FEW = 8
"""All cores share the work on fewer pictures; of a larger batch, each computes some of its own, but
what it needs for that takes a while to open."""


class Embedder(Protocol):
    """Runs a model: RGB pixels in, vectors out. There is one class for each runtime.

    It is safe to use from several threads.
    """

    @property
    def side(self) -> int:
        """Width and height of the input, in pixels."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, dimension), of uint8 (n, side, side, 3), RGB."""
