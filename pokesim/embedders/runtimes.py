"""Load a model into a runtime: LiteRT, OpenVINO or Keras.

LiteRT is part of every installation and starts fastest. OpenVINO reads the same file and can
compute in bfloat16 on processors that support it. Keras is for machines with a GPU.
"""

from __future__ import annotations

from pokesim.embedders.catalog import BUNDLED, LITERT, Compute, Runtime
from pokesim.embedders.embedder import Embedder
from pokesim.embedders.model_cache import Model
from pokesim.errors import ModelError


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
    if model.network:
        from pokesim.embedders.files.runner import NetworkEmbedder

        return NetworkEmbedder(model, compute)
    if compute.runtime is Runtime.ONNXRUNTIME:
        raise ModelError(f"ONNX Runtime does not run {model.name}; omit --runtime onnxruntime.")
    if model.parts:
        from pokesim.embedders.pair import PairEmbedder

        return PairEmbedder(model, *(_open_part(part, compute) for part in model.parts))
    if compute.runtime is Runtime.OPENVINO:
        from pokesim.embedders.openvino import OpenVINOEmbedder

        return OpenVINOEmbedder(model.path, compute.precision)
    if compute.runtime is Runtime.KERAS:
        from pokesim.embedders.keras_runtime import KerasEmbedder

        return KerasEmbedder(model)
    from pokesim.embedders.litert import LiteRTEmbedder

    return LiteRTEmbedder(model.path)


def _open_part(part: Model, compute: Compute) -> Embedder:
    in_litert = compute.runtime is Runtime.KERAS and part.name == BUNDLED
    return open_embedder(part, LITERT if in_litert else compute)
