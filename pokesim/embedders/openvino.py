"""The runtime OpenVINO: runs a LiteRT file on the processor, in float32 or bfloat16."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.catalog import Precision
from pokesim.errors import ModelError
from pokesim.threads import usable_cores

_HINTS = {Precision.FLOAT32: "f32", Precision.BFLOAT16: "bf16"}


class OpenVINOEmbedder:
    """Runs a ``.tflite`` file of the kind that `LiteRTEmbedder` runs, on the processor.

    Safe to use from several threads; one batch at a time runs, on all cores.
    """

    def __init__(self, path: Path, precision: Precision) -> None:
        """Load and compile a model file.

        Raises:
            ModelError: OpenVINO is not installed, the processor lacks the precision, or the file
                is missing or not a LiteRT model.
        """
        network = compiled(path, precision)
        self._request: Any = network.create_infer_request()
        self._lock = threading.Lock()
        self.side = int(network.input(0).partial_shape[1].get_length())
        self.dimension = int(network.output(0).partial_shape[-1].get_length())

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, dimension), of uint8 (n, side, side, 3), RGB."""
        with self._lock:
            self._request.infer([pixels.astype(np.float32)])
            # Copy it: the next batch overwrites the tensor.
            return np.array(self._request.get_output_tensor(0).data, np.float32)


def compiled(path: Path, precision: Precision) -> Any:
    """Load a file into OpenVINO, compiled for this processor; raises as `OpenVINOEmbedder`."""
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            "OpenVINO is not installed; install it with `pip install 'pokesim[openvino]'`."
        ) from error
    core = openvino.Core()
    capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision is Precision.BFLOAT16 and "BF16" not in capabilities:
        raise ModelError("This processor cannot compute in bfloat16; omit --precision.")
    if not path.is_file():
        raise ModelError(f"The model file {path} is missing.")
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": usable_cores(),
        "PERFORMANCE_HINT": "LATENCY",  # one batch at a time, on all cores
    }
    try:
        network = core.compile_model(os.fspath(path), "CPU", settings)
    except RuntimeError as error:
        raise ModelError(f"The model file {path} is damaged; delete it and build again.") from error
    return network
