"""Two embedders side by side, as one vector.

The first part, made for photographs, gives x; the *head*, a linear metric, maps it to
``a = [x / |x|, 1] @ head``. The second, made for drawings, gives c, the sum of its vectors of the
picture and of its mirror image. The vector is a and c, each scaled to length 1, one after the
other, scaled to length 1. The head's file is part of an index's identity
(`model_cache.pair_model`); a change of this formula needs a change of the file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pokesim.embedders.catalog import spec_of
from pokesim.embedders.embedder import Embedder, Model
from pokesim.errors import ModelError


class Join:
    """Joins the vectors of both parts."""

    def __init__(self, model: Model) -> None:
        """Read the head, float32 (a + 1, d), whose last row is a constant.

        Args:
            model: the model of the pair.

        Raises:
            ModelError: its file is damaged.
        """
        try:
            self._head = np.load(model.path, allow_pickle=False).astype(np.float32)
        except (OSError, ValueError, EOFError) as error:
            raise ModelError(f"{model.path} is damaged; install pokesim again.") from error
        self.dimension = spec_of(model.name).dimension

    def __call__(
        self, first: NDArray[np.float32], second: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Join the vectors of both parts, each given as a sum over the positions of a grid.

        Args:
            first: float32 (n, h, w, a); summed over positions, the vectors x.
            second: float32 (n, h, w, b); summed over positions, the vectors c.

        Returns:
            float32 (n, h, w, d); summed over positions, the vectors, of length 1. The constant
            belongs to no position, so it is shared out equally.
        """
        share = self._head[-1] / np.float32(first.shape[1] * first.shape[2])
        # Not by `@`: the threads of BLAS would keep spinning beside those that run the networks.
        mapped = np.einsum("nhwa,ad->nhwd", scaled(first), self._head[:-1]) + share
        return scaled(np.concatenate([scaled(mapped), scaled(second)], axis=-1))

    def first_alone(self, directions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return directions among the vectors of the first part as vectors of the pair.

        A direction is a difference of vectors, so the constant does not apply to it. Where the
        vectors of the second part would be is zero.

        Args:
            directions: float32 (n, a).

        Returns:
            float32 (n, dimension), of length 1.
        """
        mapped = directions @ self._head[:-1]
        rows = np.zeros((len(mapped), self.dimension), np.float32)
        rows[:, : mapped.shape[1]] = mapped / np.linalg.norm(mapped, axis=1, keepdims=True)
        return rows


class PairEmbedder:
    """Runs both parts and joins their vectors."""

    def __init__(self, model: Model, photographs: Embedder, drawings: Embedder) -> None:
        """Read the head.

        Args:
            model: the model of the pair.
            photographs: its first part.
            drawings: its second part.

        Raises:
            ModelError: the head is damaged.
        """
        self._join = Join(model)
        self._photographs, self._drawings = photographs, drawings
        self.side = max(photographs.side, drawings.side)
        self.dimension = self._join.dimension

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, dimension), of uint8 (n, side, side, 3), RGB."""
        # Resized first: the other cores read pictures meanwhile, and later run the networks.
        large, small = (resized(pixels, part.side) for part in (self._photographs, self._drawings))
        first = self._photographs.embed(large)
        both = self._drawings.embed(np.concatenate([small, mirrored(small)]))
        second = both[: len(small)] + both[len(small) :]
        grid = (len(pixels), 1, 1, -1)  # a single position
        return self._join(first.reshape(grid), second.reshape(grid))[:, 0, 0]


def resized(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize pictures, uint8 (n, s, s, 3), to (n, side, side, 3), averaging what falls together."""
    if pixels.shape[1] == side:
        return pixels
    size, bilinear = (side, side), Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(one).resize(size, bilinear)) for one in pixels])


def mirrored(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mirror pictures, uint8 (n, side, side, 3), left to right."""
    return pixels[:, :, ::-1]


def scaled(parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale parts, float32 (n, h, w, m), so that the vectors that they sum to have length 1."""
    lengths = np.linalg.norm(parts.sum(axis=(1, 2)), axis=1)  # (n,)
    lengths[lengths == 0] = 1
    unit: NDArray[np.float32] = parts / lengths[:, None, None, None]
    return unit
