"""Write the trained network as hubs publish CLIP: two ONNX files, a tokenizer, configurations."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from pokesim.embedders.catalog import CATALOG
from pokesim.embedders.embedder import Model
from pokesim.training.compact.data import Array
from pokesim.training.emoji_words.network import END, LENGTH, OUT, Weights

_OPSET = 18  # the first whose Resize averages what falls together

_PREPROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "do_resize": True,
    "do_center_crop": False,
    "resample": 2,
    # The networks scale the values themselves.
    "do_rescale": False,
    "do_normalize": False,
}


class _Graph:
    """Nodes and constants of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"constant_{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def unit(self, x: str) -> str:
        """Scale rows to length 1."""
        return self("LpNormalization", x, axis=-1, p=2)

    def part(self, path: Path, prefix: str, pixels: str) -> str:
        """Add a LiteRT network that takes (n, side, side, 3); return its output."""
        import tf2onnx

        made, _ = tf2onnx.convert.from_tflite(str(path), opset=_OPSET)
        graph = compose.add_prefix(made, prefix).graph
        (given,), (wanted,) = graph.input, graph.output
        self.nodes += [helper.make_node("Identity", [pixels], [given.name]), *graph.node]
        self.tensors += graph.initializer
        return str(wanted.name)

    def save(self, path: Path, inputs: Sequence[Any], name: str, output: str) -> None:
        """Write the graph; ``output`` is the tensor that is called ``name``."""
        self.nodes.append(helper.make_node("Identity", [output], [name]))
        wanted = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch_size", OUT])
        graph = helper.make_graph(self.nodes, "network", inputs, [wanted], self.tensors)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9
        )
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def write_folder(folder: Path, model: Model, head: Array, weights: Weights) -> None:
    """Write the network.

    Args:
        folder: does not exist yet.
        model: the pair whose vectors the part for pictures maps; see `pokesim.embedders.pair`.
        head: that of the pair, float32 (a + 1, d).
        weights: the trained parts.
    """
    (folder / "onnx").mkdir(parents=True)
    side = CATALOG[model.name].side
    config = {
        "model_type": "clip",
        "projection_dim": OUT,
        "vision_config": {"image_size": side},
        "text_config": {"max_position_embeddings": LENGTH},
    }
    files = {
        "config.json": config,
        "preprocessor_config.json": {**_PREPROCESSOR, "size": {"height": side, "width": side}},
        "tokenizer_config.json": {"model_max_length": LENGTH, "pad_token": END},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
    weights.tokenizer.save(str(folder / "tokenizer.json"))
    _write_pictures(folder / "onnx" / "vision_model.onnx", model, head, weights.picture)
    _write_text(folder / "onnx" / "text_model.onnx", weights)


def _write_pictures(path: Path, model: Model, head: Array, picture: Array) -> None:
    g = _Graph()
    photographs, drawings = model.parts
    small = CATALOG[drawings.name].side
    sizes = g.constant([small, small], np.int64)
    resized = g("Resize", "pixel_values", "", "", sizes, mode="linear", antialias=1, axes=[2, 3])
    large, drawn = (g("Transpose", x, perm=[0, 2, 3, 1]) for x in ("pixel_values", resized))
    whole = [g.constant([at], np.int64) for at in (-1, -(2**31), 2, -1)]
    mirrored = g("Slice", drawn, *whole)
    first = g.unit(g.part(photographs.path, "photographs_", large))
    count = g("Gather", g("Shape", "pixel_values"), g.constant([0], np.int64))
    both = g.part(drawings.path, "drawings_", g("Concat", drawn, mirrored, axis=0))
    halves = g("Reshape", both, g("Concat", g.constant([2], np.int64), count, minus(g), axis=0))
    second = g("ReduceSum", halves, g.constant([0], np.int64), keepdims=0)
    mapped = g("Add", g("MatMul", first, g.constant(head[:-1])), g.constant(head[-1]))
    joined = g.unit(g("Concat", g.unit(mapped), g.unit(second), axis=-1))
    shape: list[str | int] = ["batch_size", 3, CATALOG[model.name].side, CATALOG[model.name].side]
    given = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, shape)
    g.save(path, [given], "image_embeds", g("MatMul", joined, g.constant(picture)))


def minus(g: _Graph) -> str:
    """Return the constant that stands for what is left of a shape."""
    return g.constant([-1], np.int64)


def _write_text(path: Path, weights: Weights) -> None:
    g = _Graph()
    axis = g.constant([1], np.int64)
    mask = g("Cast", "attention_mask", to=TensorProto.FLOAT)
    known = g("Gather", g.constant(weights.tokens), "input_ids")
    total = g("ReduceSum", g("Mul", known, g("Unsqueeze", mask, minus(g))), axis, keepdims=0)
    mean = g("Div", total, g("ReduceSum", mask, axis, keepdims=1))
    inner = g("Relu", g("MatMul", mean, g.constant(weights.inner)))
    shape = ["batch_size", "sequence_length"]
    given = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name in ("input_ids", "attention_mask")
    ]
    mapped = g("MatMul", g("Add", mean, inner), g.constant(weights.text))
    g.save(path, given, "text_embeds", mapped)
