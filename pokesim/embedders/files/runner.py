"""Run a network from a file: pictures → input → output → vectors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.catalog import Compute, Precision, Runtime
from pokesim.embedders.embedder import Model, at_once
from pokesim.embedders.network import FileFormat, Network, Pooling
from pokesim.errors import ModelError
from pokesim.threads import usable_cores
from pokesim.timing import span

Run: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A network: a batch of inputs → the output that becomes vectors."""

_FEW = 32
"""Pictures after which it is worth the time to arrange the weights for the processor."""

_OWN = {
    FileFormat.ONNX: Runtime.ONNXRUNTIME,
    FileFormat.LITERT: Runtime.LITERT,
    FileFormat.OPENVINO: Runtime.OPENVINO,
}
"""The runtime of each format, which the default stands for."""


def compute_of(network: Network, compute: Compute) -> Compute:
    """Return what runs a network where the user asked for ``compute``, or for nothing else.

    Raises:
        ModelError: this runtime does not take its file.
    """
    own = _OWN[network.format]
    asked = own if compute.runtime is Runtime.LITERT else compute.runtime
    if asked not in (own, Runtime.OPENVINO):
        raise ModelError(
            f"{asked} does not run {network.format} files; omit --runtime for this network."
        )
    return Compute(asked, compute.precision)


class NetworkEmbedder:
    """Embeds with a network from a file; safe to use from several threads.

    Attributes:
        side: width and height of its input, in pixels.
        dimension: length of a vector.
    """

    def __init__(self, model: Model, compute: Compute) -> None:
        """Load the network.

        Raises:
            ModelError: its file is damaged, or the runtime is not available here.
        """
        network = model.network
        assert network
        self._name, self._network = model.name, network
        self._output = open_output(model, compute_of(network, compute))
        self.side, self.dimension = network.side, network.dimension

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, dimension), of uint8 (n, side, side, 3), RGB.

        Raises:
            ModelError: the network does not return what is recorded of it.
        """
        size = self._network.batch or at_once(self.side)
        chunks = (pixels[at : at + size] for at in range(0, len(pixels), size))
        outputs = (self._output(one) for one in chunks)
        vectors = np.concatenate([pooled(one, self._network, self._name) for one in outputs])
        if vectors.shape != (len(pixels), self.dimension):
            raise ModelError(
                f"{self._name} returns vectors of {vectors.shape[-1]} dimensions, not of "
                f"{self.dimension}; the index is of another network."
            )
        return vectors


def open_output(model: Model, compute: Compute) -> Callable[[NDArray[np.uint8]], Any]:
    """Load a network; return a function from pixels, uint8 (n, side, side, 3), to its output.

    Raises:
        ModelError: as `NetworkEmbedder`; so does the function, if the network fails.
    """
    network = model.network
    assert network
    lock = threading.Lock()
    run = open_run(model.path, network, compute)

    def output(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            with lock:
                return run(prepared(pixels, network))
        except (RuntimeError, ValueError) as error:  # what the runtimes raise is derived from these
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{model.name} failed on a picture ({reason}).") from error

    return output


def prepared(pixels: NDArray[np.uint8], network: Network) -> NDArray[np.float32]:
    """Return the input for pixels, uint8 (n, side, side, 3): scaled, then normalised."""
    # Of float64 numbers, so that 256 values are rounded once, whatever the order.
    values = network.scale * np.arange(256)[:, None]
    table = ((values - np.array(network.mean)) / np.array(network.std)).astype(np.float32)
    channels = [table[:, at][pixels[..., at]] for at in range(3)]
    return np.stack(channels, axis=1 if network.layout == "NCHW" else -1)


def pooled(output: NDArray[Any], network: Network, name: str) -> NDArray[np.float32]:
    """Return the vectors, float32 (n, d), that an output stands for.

    Raises:
        ModelError: the output has another shape than this pooling takes.
    """
    rank = {Pooling.VECTOR: 2, Pooling.MAP: 4}.get(network.pooling, 3)
    if network.pooling is Pooling.VECTOR and output.ndim > 2:  # (n, d, 1, 1), of convnets
        output = output.reshape(len(output), -1)
    if output.ndim != rank or output.size == 0:
        raise ModelError(
            f"{network.output} of {name} is {output.shape}, which has no {network.pooling}; set "
            "pooling in pokesim-embedder.toml."
        )
    vectors = output
    if network.pooling is Pooling.CLS:
        vectors = output[:, 0]
    elif network.pooling is not Pooling.VECTOR:
        vectors = places(output, network).mean(axis=(1, 2))
    return np.ascontiguousarray(vectors, np.float32)


def places(output: NDArray[Any], network: Network) -> NDArray[np.float32]:
    """Return the vectors of places, float32 (n, h, w, d), whose mean is the vector."""
    if network.pooling is Pooling.MAP:
        moved = np.moveaxis(output, 1, -1) if network.layout == "NCHW" else output
        return moved.astype(np.float32, copy=False)
    tokens = output[:, network.prefix :].astype(np.float32, copy=False)
    grid = round(tokens.shape[1] ** 0.5)
    shape = (grid, grid) if grid * grid == tokens.shape[1] else (1, tokens.shape[1])
    return tokens.reshape(len(tokens), *shape, -1)


def open_run(path: Path, network: Network, compute: Compute) -> Run:
    """Load a file into its runtime. Raises ModelError."""
    if not path.is_file():
        raise ModelError(f"The model file {path} is missing.")
    try:
        if compute.runtime is Runtime.OPENVINO:
            return _in_openvino(path, network, compute.precision)
        if compute.runtime is Runtime.LITERT:
            return _in_litert(path, network)
        return _InOnnxRuntime(path, network)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"The model file {path} is damaged, or not for this version of {compute.runtime}; "
            "remove it with `pokesim cache clear models` and give it again."
        ) from error


class _InOnnxRuntime:
    """Runs an ONNX file.

    Arranging large weights for the processor takes longer than embedding a few pictures without it,
    so that is done once more than a few have come.
    """

    def __init__(self, path: Path, network: Network) -> None:
        self._path, self._network = path, network
        self._session = onnx_session(path, is_long=False)
        self._left = _FEW
        found = {one.name: one.type for one in self._session.get_inputs()}
        self._type = np.float16 if found.get(network.input) == "tensor(float16)" else np.float32

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if 0 < self._left <= len(values):
            self._session = onnx_session(self._path, is_long=True)
        self._left -= len(values)
        given = {self._network.input: values.astype(self._type, copy=False)}
        try:
            (output,) = self._session.run([self._network.output], given)
        except Exception as error:  # its own classes, derived from Exception alone
            raise RuntimeError(str(error)) from error
        return np.asarray(output)


def onnx_session(path: Path, *, is_long: bool, options: Any = None) -> Any:
    """Open an ONNX file. Raises ModelError if ONNX Runtime is missing; else what that raises."""
    try:
        with span("import ONNX Runtime"):
            import onnxruntime
    except ImportError as error:
        raise ModelError(
            "ONNX Runtime, which runs this network, is not installed; install it with "
            "`pip install 'pokesim[onnx]'`."
        ) from error
    options = options or onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    options.intra_op_num_threads = usable_cores()
    if not is_long:
        options.add_session_config_entry("session.disable_prepacking", "1")
    providers = ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # as above
        raise RuntimeError(str(error)) from error


def _in_openvino(path: Path, network: Network, precision: Precision) -> Run:
    from pokesim.embedders.openvino import compiler

    model = compiler(path, precision)(1)
    request = model.create_infer_request()
    given = next((one for one in model.inputs if network.input in one.names), model.input(0))
    wanted = next((one for one in model.outputs if network.output in one.names), model.output(0))

    def run(values: NDArray[np.float32]) -> NDArray[np.float32]:
        request.infer({given: values.astype(given.element_type.to_dtype(), copy=False)})
        return np.array(request.get_tensor(wanted).data, np.float32)  # the next batch overwrites it

    return run


def _in_litert(path: Path, network: Network) -> Run:
    from pokesim.embedders.litert import open_interpreter, quiet_stderr

    with quiet_stderr():
        interpreter = open_interpreter(path)
    given = interpreter.get_input_details()[0]
    named = {one["name"]: one for one in interpreter.get_output_details()}
    wanted = named.get(network.output, interpreter.get_output_details()[0])
    shape: tuple[int, ...] = ()

    def run(values: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal shape
        if values.shape != shape:
            shape = values.shape
            interpreter.resize_tensor_input(given["index"], shape)
            with quiet_stderr():
                interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], values)
        interpreter.invoke()
        output: NDArray[np.float32] = interpreter.get_tensor(wanted["index"])
        return output

    return run
