"""From a model that is at hand to a network that runs, in the runtime of one's choice.

LiteRT is the one that every installation has and that starts fastest. OpenVINO reads the same file,
and computes in bfloat16 where the processor can. Keras is for machines with a GPU.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.catalog import LITERT, Compute, Runtime
from pokesim.embedders.model_cache import Model


class Embedder(Protocol):
    """What every runtime gives: RGB pixels in, vectors out."""

    @property
    def side(self) -> int:
        """Side of the square input, in pixels."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 (n, dimension) for uint8 (n, side, side, 3)."""


def open_embedder(model: Model, compute: Compute = LITERT) -> Embedder:
    """Load a model.

    Args:
        model: what to load.
        compute: what runs it, and in which precision.

    Raises:
        ModelError: the model is damaged, or the runtime or the precision is not to be had here.
    """
    if compute.runtime is Runtime.OPENVINO:
        from pokesim.embedders.openvino import OpenVINOEmbedder

        return OpenVINOEmbedder(model.path, compute.precision)
    if compute.runtime is Runtime.KERAS:
        from pokesim.embedders.keras_runtime import KerasEmbedder

        return KerasEmbedder(model)
    from pokesim.embedders.litert import LiteRTEmbedder

    return LiteRTEmbedder(model.path)
