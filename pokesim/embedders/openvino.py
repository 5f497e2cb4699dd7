"""The runtime OpenVINO: runs a LiteRT file on the processor, in float32 or bfloat16."""

from __future__ import annotations

import os
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.catalog import Precision
from pokesim.embedders.embedder import AT_ONCE, FEW
from pokesim.errors import ModelError
from pokesim.threads import usable_cores

_HINTS = {Precision.FLOAT32: "f32", Precision.BFLOAT16: "bf16"}


class OpenVINOEmbedder:
    """Runs a ``.tflite`` file of the kind that `LiteRTEmbedder` runs, on the processor.

    Safe to use from several threads; one batch at a time runs. All cores share the work on a few
    pictures; of a larger batch, each core computes pictures of its own.
    """

    def __init__(self, path: Path, precision: Precision) -> None:
        """Load and compile a model file.

        Raises:
            ModelError: OpenVINO is not installed, the processor lacks the precision, or the file
                is missing or not a LiteRT model.
        """
        self._path, self._precision = path, precision
        network = compiled(path, precision)
        self._request: Any = network.create_infer_request()
        self._lock = threading.Lock()
        self.side = int(network.input(0).partial_shape[1].get_length())
        self.dimension = int(network.output(0).partial_shape[-1].get_length())

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, dimension), of uint8 (n, side, side, 3), RGB."""
        with self._lock:
            if len(pixels) < FEW:
                self._request.infer([pixels.astype(np.float32)])
                return _output(self._request)
            chunks: dict[int, NDArray[np.float32]] = {}
            self._queue.set_callback(lambda done, at: chunks.update({at: _output(done)}))
            for at in range(0, len(pixels), AT_ONCE):
                self._queue.start_async([pixels[at : at + AT_ONCE].astype(np.float32)], at)
            self._queue.wait_all()
        return np.concatenate([chunks[at] for at in sorted(chunks)])

    @cached_property
    def _queue(self) -> Any:
        """Requests that a core each works on."""
        import openvino

        network = compiled(self._path, self._precision, streams=usable_cores())
        return openvino.AsyncInferQueue(network, usable_cores())


def _output(request: Any) -> NDArray[np.float32]:
    """Copy the vectors of a request, whose tensor the next one overwrites."""
    return np.array(request.get_output_tensor(0).data, np.float32)


def compiled(path: Path, precision: Precision, streams: int = 1) -> Any:
    """Load a file into OpenVINO, compiled for this processor; raises as `OpenVINOEmbedder`.

    Args:
        path: the file.
        precision: what it computes in.
        streams: number of requests that are computed at a time; they divide the cores.
    """
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
        "NUM_STREAMS": streams,
    }
    try:
        network = core.compile_model(os.fspath(path), "CPU", settings)
    except RuntimeError as error:
        raise ModelError(f"The model file {path} is damaged; delete it and build again.") from error
    return network
