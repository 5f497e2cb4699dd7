"""The runtime OpenVINO: runs a LiteRT file on the processor, in float32 or bfloat16."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.catalog import Precision
from pokesim.embedders.embedder import Embedder
from pokesim.embedders.lanes import LanesEmbedder
from pokesim.errors import ModelError
from pokesim.threads import usable_cores

_importing = threading.Lock()

_HINTS = {Precision.FLOAT32: "f32", Precision.BFLOAT16: "bf16"}


def open_in_openvino(path: Path, precision: Precision) -> Embedder:
    """Load a ``.tflite`` file of the kind that `LiteRTEmbedder` runs, for this processor.

    Raises:
        ModelError: OpenVINO is not installed, the processor lacks the precision, or the file is
            missing or not a LiteRT model.
    """
    compiled = compiler(path, precision)

    def lanes() -> list[_Request]:
        network = compiled(usable_cores())
        return [_Request(network) for _ in range(usable_cores())]

    return LanesEmbedder(_Request(compiled(1)), lanes)


class _Request:
    """Runs a compiled network, for one caller at a time."""

    def __init__(self, network: Any) -> None:
        self._request = network.create_infer_request()
        self._lock = threading.Lock()
        self.side = int(network.input(0).partial_shape[1].get_length())
        self.dimension = int(network.output(0).partial_shape[-1].get_length())

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._lock:
            self._request.infer([pixels.astype(np.float32)])
            # A copy, as the next request overwrites it.
            return np.array(self._request.get_output_tensor(0).data, np.float32)


def compiler(path: Path, precision: Precision) -> Callable[[int], Any]:
    """Read a file into OpenVINO, once; raises as `open_in_openvino`.

    Args:
        path: the file.
        precision: what it computes in.

    Returns:
        a function that compiles the network for this processor. It takes the number of requests
        that are computed at a time, which divide the cores among them.
    """
    try:
        with _importing:
            import openvino

            # Its first use of NumPy hangs if two threads make it at the same time.
            openvino.Tensor(np.zeros(1, np.float32))
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
    }
    with _damage(path):
        network = core.read_model(os.fspath(path))

    def compiled(streams: int) -> Any:
        with _damage(path):
            return core.compile_model(network, "CPU", settings | {"NUM_STREAMS": streams})

    return compiled


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ModelError(f"The model file {path} is damaged; delete it and build again.") from error
