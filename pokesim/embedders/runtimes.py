"""Load a model into a runtime: LiteRT, OpenVINO or Keras.

LiteRT is part of every installation and starts fastest. OpenVINO reads the same file and can
compute in bfloat16 on processors that support it. Keras is for machines with a GPU.
"""

from __future__ import annotations

from functools import partial

from pokesim.embedders.catalog import BUNDLED, LITERT, Compute, Runtime
from pokesim.embedders.embedder import Embedder, Model
from pokesim.embedders.lanes import LanesEmbedder
from pokesim.errors import ModelError
from pokesim.threads import usable_cores

_MOST_LANES = 16
"""More would be idle in a batch of the default size, which they divide among them."""

_LANES_BYTES = 500_000_000
"""Bound on the size of the model times the lanes; each lane holds the weights once more."""


def compute_for(model: Model, compute: Compute) -> Compute:
    """Return what runs a model: a network from a file brings a runtime in place of the default.

    Raises:
        ModelError: this runtime does not take its file.
    """
    if model.network is None:
        return compute
    from pokesim.embedders.files.runner import compute_of

    return compute_of(model.network, compute)


def open_embedder(model: Model, compute: Compute = LITERT) -> Embedder:
    """Load a model into a runtime; the model of a pair, part by part.

    Where Keras is the runtime of a pair, LiteRT runs the part that is not a Keras network.

    Args:
        model: the model to load.
        compute: the runtime and its precision.

    Raises:
        ModelError: the model is damaged, or the runtime or precision is not available here.
    """
    shared = _open(model, compute)
    in_lanes = compute.runtime is Runtime.LITERT and model.network is None and usable_cores() > 1
    return LanesEmbedder(shared, partial(_lanes, model)) if in_lanes else shared


def _lanes(model: Model) -> list[Embedder]:
    count = max(1, min(usable_cores(), _MOST_LANES, _LANES_BYTES // model.bytes))
    threads = usable_cores() // count
    return [_open(model, LITERT, threads) for _ in range(count)]


def _open(model: Model, compute: Compute, threads: int | None = None) -> Embedder:
    """Load a model; ``threads`` is the number of LiteRT's threads, by default one for each core."""
    if model.network:
        from pokesim.embedders.files.runner import NetworkEmbedder

        return NetworkEmbedder(model, compute)
    if compute.runtime is Runtime.ONNXRUNTIME:
        raise ModelError(f"ONNX Runtime does not run {model.name}; omit --runtime onnxruntime.")
    if model.parts:
        from pokesim.embedders.pair import PairEmbedder

        return PairEmbedder(model, *(_open_part(part, compute, threads) for part in model.parts))
    if compute.runtime is Runtime.OPENVINO:
        from pokesim.embedders.openvino import open_in_openvino

        return open_in_openvino(model.path, compute.precision)
    if compute.runtime is Runtime.KERAS:
        from pokesim.embedders.keras_runtime import KerasEmbedder

        return KerasEmbedder(model)
    from pokesim.embedders.litert import LiteRTEmbedder

    return LiteRTEmbedder(model.path, threads)


def _open_part(part: Model, compute: Compute, threads: int | None) -> Embedder:
    in_litert = compute.runtime is Runtime.KERAS and part.name == BUNDLED
    return _open(part, LITERT if in_litert else compute, threads)
