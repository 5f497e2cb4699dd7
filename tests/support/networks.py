"""Small vision transformers with seeded weights, in the layouts in which hubs publish large ones.

`write_clip`, `write_dinov2` and `write_siglip` write a folder; `vectors_of` computes in NumPy, from
the same weights, what the network returns.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, PATCH, WIDTH, HEADS, LAYERS, OUT = 32, 8, 16, 2, 2, 12
TOKENS = (SIDE // PATCH) ** 2
PREPROCESSOR = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "rescale_factor": 1 / 255,
}
CUT = {"crop_size": {"height": SIDE, "width": SIDE}, "do_center_crop": True}
CONFIGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "clip": (
        {"model_type": "clip", "projection_dim": OUT, "vision_config": {"image_size": SIDE}},
        {
            "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "resample": 3,
            "size": SIDE,
            "do_center_crop": True,
            "crop_size": SIDE,
            "do_normalize": True,
            "do_resize": True,
        },
    ),
    "dinov2": (
        {"model_type": "dinov2", "image_size": 518, "hidden_size": WIDTH, "patch_size": PATCH},
        {
            **PREPROCESSOR,
            **CUT,
            "image_processor_type": "BitImageProcessor",
            "image_mean": [0.485, 0.456, 0.406],
            "image_std": [0.229, 0.224, 0.225],
            "resample": 3,
            "size": {"shortest_edge": 37},
        },
    ),
    "siglip": (
        {"model_type": "siglip", "vision_config": {"model_type": "siglip_vision_model"}},
        {
            **PREPROCESSOR,
            "image_processor_type": "SiglipImageProcessor",
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "resample": 2,
            "size": {"height": SIDE, "width": SIDE},
        },
    ),
}
PLACES = {"clip": "vision_model", "dinov2": "model", "siglip": "vision_model"}

Weights = dict[str, np.ndarray]


def weights_of(kind: str, seed: int = 0) -> Weights:
    """Return the weights of a network of this kind: clip, dinov2 or siglip."""
    random = np.random.default_rng(seed)

    def some(*shape: int) -> np.ndarray:
        return random.normal(0, 0.3, shape).astype(np.float32)

    first = kind != "siglip"
    weights = {
        "patch": some(WIDTH, 3, PATCH, PATCH) / 8,
        "position": some(1, TOKENS + first, WIDTH),
        "out": some(WIDTH, OUT),
        **({"first": some(1, 1, WIDTH)} if first else {}),
    }
    return weights | layers_of(some)


def layers_of(some: Callable[..., np.ndarray]) -> Weights:
    """Return the weights of the layers."""
    weights: Weights = {}
    for layer in range(LAYERS):
        weights |= {f"{layer}.{name}": some(WIDTH, WIDTH) for name in ("q", "k", "v", "o")}
        weights |= {f"{layer}.up": some(WIDTH, 4 * WIDTH), f"{layer}.down": some(4 * WIDTH, WIDTH)}
    return weights


def encoded(w: Weights, x: np.ndarray, bias: np.ndarray | float = 0) -> np.ndarray:
    """Return what the layers make of tokens, (n, t, WIDTH); a bias is added to the scores."""

    def norm(x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(*x.shape[:2], HEADS, -1).transpose(0, 2, 1, 3)

    for layer in range(LAYERS):
        y = norm(x)
        q, k, v = (heads(y @ w[f"{layer}.{name}"]) for name in "qkv")
        scores = np.exp(q @ k.transpose(0, 1, 3, 2) / np.sqrt(WIDTH // HEADS) + bias)
        y = (scores / scores.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(x.shape)
        x = x + y @ w[f"{layer}.o"]
        y = norm(x) @ w[f"{layer}.up"]
        x = x + (y / (1 + np.exp(-1.702 * y))) @ w[f"{layer}.down"]
    return norm(x)


def vectors_of(kind: str, weights: Weights, pixels: np.ndarray) -> np.ndarray:
    """Return the vectors, float64 (n, d), of uint8 (n, SIDE, SIDE, 3)."""
    w = {name: one.astype(np.float64) for name, one in weights.items()}
    config = CONFIGS[kind][1]
    values = (pixels / 255 - config["image_mean"]) / config["image_std"]
    n, grid = len(pixels), SIDE // PATCH
    patches = values.reshape(n, grid, PATCH, grid, PATCH, 3).transpose(0, 1, 3, 5, 2, 4)
    x = patches.reshape(n, TOKENS, -1) @ w["patch"].reshape(WIDTH, -1).T
    if "first" in w:
        x = np.concatenate([np.repeat(w["first"], n, 0), x], 1)
    x = x + w["position"]
    x = encoded(w, x)
    if kind == "clip":
        return x[:, 0] @ w["out"]
    return x[:, 0] if kind == "dinov2" else x.mean(1) @ w["out"]


class Graph:
    """Writes an ONNX file, node by node."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"constant{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def model(
        self,
        inputs: dict[str, list[Any]],
        outputs: dict[str, tuple[str, list[Any]]],
        kind: int = TensorProto.FLOAT,
    ) -> Any:
        """Return the model: inputs with their shapes; outputs with their tensors and shapes."""
        ends = [
            helper.make_node("Identity", [tensor], [name]) for name, (tensor, _) in outputs.items()
        ]
        graph = helper.make_graph(
            [*self.nodes, *ends],
            "network",
            [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(*one(name, outputs[name][1])) for name in outputs],
            self.tensors,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests"
        )


def one(name: str, shape: list[Any]) -> tuple[str, int, list[Any]]:
    return name, TensorProto.FLOAT, shape


def encoder(g: Graph, w: dict[str, str], x: str, bias: str = "") -> str:
    """Add the layers to a graph; return the tensor of what they make of tokens."""

    def shape(*sizes: int) -> str:
        return g.constant(sizes, np.int64)

    def norm(x: str) -> str:
        return g("LayerNormalization", x, g.constant(np.ones(WIDTH)), g.constant(np.zeros(WIDTH)))

    def heads(x: str, perm: list[int]) -> str:
        return g("Transpose", g("Reshape", x, shape(0, 0, HEADS, WIDTH // HEADS)), perm=perm)

    for layer in range(LAYERS):
        y = norm(x)
        q, k, v = (g("MatMul", y, w[f"{layer}.{name}"]) for name in "qkv")
        q, k, v = heads(q, [0, 2, 1, 3]), heads(k, [0, 2, 3, 1]), heads(v, [0, 2, 1, 3])
        scores = g("Mul", g("MatMul", q, k), g.constant((WIDTH // HEADS) ** -0.5))
        scores = g("Add", scores, bias) if bias else scores
        y = g("Transpose", g("MatMul", g("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        x = g("Add", x, g("MatMul", g("Reshape", y, shape(0, 0, WIDTH)), w[f"{layer}.o"]))
        y = g("MatMul", norm(x), w[f"{layer}.up"])
        y = g("Mul", y, g("Sigmoid", g("Mul", y, g.constant(1.702))))
        x = g("Add", x, g("MatMul", y, w[f"{layer}.down"]))
    return norm(x)


def transformer(kind: str, weights: Weights) -> Any:
    """Return a network of this kind as an ONNX model, with the hub's names and free dimensions."""
    g = Graph()
    w = {name: g.constant(values) for name, values in weights.items()}

    def shape(*sizes: int) -> str:
        return g.constant(sizes, np.int64)

    x = g("Conv", "pixel_values", w["patch"], strides=[PATCH] * 2, kernel_shape=[PATCH] * 2)
    x = g("Transpose", g("Reshape", x, shape(0, WIDTH, TOKENS)), perm=[0, 2, 1])
    if "first" in w:
        count = g("Gather", g("Shape", "pixel_values"), shape(0))
        first = g("Expand", w["first"], g("Concat", count, shape(1, WIDTH), axis=0))
        x = g("Concat", first, x, axis=1)
    x = g("Add", x, w["position"])
    x = encoder(g, w, x)
    tokens = (x, ["batch_size", "sequence_length", WIDTH])
    free = {"pixel_values": ["batch_size", "num_channels", "height", "width"]}
    if kind == "clip":
        first = g("Gather", x, g.constant(0, np.int64), axis=1)
        return g.model(free, {"image_embeds": (g("MatMul", first, w["out"]), ["batch_size", OUT])})
    if kind == "dinov2":
        return g.model(free, {"last_hidden_state": tokens})
    mean = g("MatMul", g("ReduceMean", x, axes=[1], keepdims=0), w["out"])
    return g.model(
        free, {"last_hidden_state": tokens, "pooler_output": (mean, ["batch_size", OUT])}
    )


def write_published(folder: Path, kind: str, seed: int = 0) -> Weights:
    """Write a folder as hubs publish a network of this kind; return its weights."""
    weights = weights_of(kind, seed)
    (folder / "onnx").mkdir(parents=True)
    config, preprocessor = CONFIGS[kind]
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    (folder / "tokenizer.json").write_text("{}")
    onnx.save(transformer(kind, weights), folder / "onnx" / f"{PLACES[kind]}.onnx")
    return weights
