"""Load a model into a runtime: LiteRT, OpenVINO or Keras.

LiteRT is part of every installation and starts fastest. OpenVINO reads the same file and can
compute in bfloat16 on processors that support it. Keras is for machines with a GPU.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.catalog import LITERT, Compute, Runtime
from pokesim.embedders.model_cache import Model


class Embedder(Protocol):
    """Runs a model: RGB pixels in, vectors out. There is one class for each runtime."""

    @property
    def side(self) -> int:
        """Width and height of the input, in pixels."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, dimension), of uint8 (n, side, side, 3), RGB."""


def open_embedder(model: Model, compute: Compute = LITERT) -> Embedder:
    """Load a model into a runtime.

    Args:
        model: the model to load.
        compute: the runtime and its precision.

    Raises:
        ModelError: the model is damaged, or the runtime or precision is not available here.
    """
    if compute.runtime is Runtime.OPENVINO:
        from pokesim.embedders.openvino import OpenVINOEmbedder

        return OpenVINOEmbedder(model.path, compute.precision)
    if compute.runtime is Runtime.KERAS:
        from pokesim.embedders.keras_runtime import KerasEmbedder

        return KerasEmbedder(model)
    from pokesim.embedders.litert import LiteRTEmbedder

    return LiteRTEmbedder(model.path)
