"""The runtime Keras: runs the original network in TensorFlow, on a GPU if there is one."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.catalog import spec_of
from pokesim.embedders.embedder import Model
from pokesim.embedders.prepare import local_weights
from pokesim.errors import ModelError

log = logging.getLogger(__name__)


class KerasEmbedder:
    """Runs the network that a model was exported from, built from the same weights.

    Safe to use from several threads; one batch at a time runs.
    """

    def __init__(self, model: Model) -> None:
        """Import TensorFlow and build the network.

        Raises:
            ModelError: the embedder is not a Keras network, or its weights file is missing.
        """
        spec = spec_of(model.name)
        if spec.ships:
            raise ModelError(f"{spec.name} is not a Keras network; omit --runtime keras.")
        weights = model.weights or (local_weights(spec) if model.published else None)
        if weights is None:
            raise ModelError(
                f"Keras needs the weights file of {spec.name}, which is not on this machine; "
                "give it with --weights."
            )
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        from pokesim.embedders.keras_export import build

        if not tf.config.list_physical_devices("GPU"):
            log.info("TensorFlow found no GPU; without one, --runtime litert is faster.")
        self._network: Any = build(spec, weights)
        self._lock = threading.Lock()
        self.side, self.dimension = spec.side, spec.dimension

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, dimension), of uint8 (n, side, side, 3), RGB."""
        with self._lock:
            vectors: NDArray[np.float32] = self._network.predict_on_batch(pixels.astype(np.float32))
        return vectors
