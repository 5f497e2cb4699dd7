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
from pokesim.errors import ModelError
from pokesim.threads import usable_cores

_HINTS = {Precision.FLOAT32: "f32", Precision.BFLOAT16: "bf16"}


_AT_ONCE = 4
"""Pictures of a batch that a core computes at once."""

_FEW = 8
"""All cores share the work on fewer pictures: each on its own would keep others waiting."""


class OpenVINOEmbedder:
    """Runs a ``.tflite`` file of the kind that `LiteRTEmbedder` runs, on the processor.

    Safe to use from several threads; one batch at a time runs. All cores share the work on a few
    pictures; of a larger batch, each core computes pictures of its own.
    """

    def __init__(self, path: Path, precision: Precision) -> None:
        """Read a model file; it is compiled on first use.

        Raises:
            ModelError: OpenVINO is not installed, the processor lacks the precision, or the file
                is missing or not a LiteRT model.
        """
        try:
            import openvino
        except ImportError as error:
            raise ModelError(
                "OpenVINO is not installed; install it with `pip install 'pokesim[openvino]'`."
            ) from error
        self._core = openvino.Core()
        capabilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision is Precision.BFLOAT16 and "BF16" not in capabilities:
            raise ModelError("This processor cannot compute in bfloat16; omit --precision.")
        if not path.is_file():
            raise ModelError(f"The model file {path} is missing.")
        try:
            self._model = self._core.read_model(os.fspath(path))
        except RuntimeError as error:
            raise ModelError(
                f"The model file {path} is damaged; delete it and build again."
            ) from error
        self._precision = precision
        self._lock = threading.Lock()
        self.side = int(self._model.input(0).partial_shape[1].get_length())
        self.dimension = int(self._model.output(0).partial_shape[-1].get_length())

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, dimension), of uint8 (n, side, side, 3), RGB."""
        with self._lock:
            if len(pixels) < _FEW:
                self._whole.infer([pixels.astype(np.float32)])
                return _output(self._whole)
            chunks: dict[int, NDArray[np.float32]] = {}
            self._streams.set_callback(lambda done, at: chunks.update({at: _output(done)}))
            for at in range(0, len(pixels), _AT_ONCE):
                self._streams.start_async([pixels[at : at + _AT_ONCE].astype(np.float32)], at)
            self._streams.wait_all()
        return np.concatenate([chunks[at] for at in sorted(chunks)])

    @cached_property
    def _whole(self) -> Any:
        """A request that all cores work on."""
        return self._compiled({"PERFORMANCE_HINT": "LATENCY"}).create_infer_request()

    @cached_property
    def _streams(self) -> Any:
        """A queue of requests that a core each works on."""
        import openvino

        cores = usable_cores()
        compiled = self._compiled({"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": cores})
        return openvino.AsyncInferQueue(compiled, cores)

    def _compiled(self, settings: dict[str, str | int]) -> Any:
        settings |= {
            "INFERENCE_PRECISION_HINT": _HINTS[self._precision],
            "INFERENCE_NUM_THREADS": usable_cores(),
        }
        return self._core.compile_model(self._model, "CPU", settings)


def _output(request: Any) -> NDArray[np.float32]:
    """Copy the vectors of a request, whose tensor the next one overwrites."""
    return np.array(request.get_output_tensor(0).data, np.float32)
