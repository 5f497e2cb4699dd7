"""What every embedder can do, whichever runtime it uses."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


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
