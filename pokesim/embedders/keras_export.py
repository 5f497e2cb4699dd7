"""Download a Keras network's weights, build the network, and export it as a LiteRT file.

`prepare` runs this module in a separate process, ``python -m pokesim.embedders.keras_export``, so
that a build neither loads TensorFlow nor prints its log messages.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pokesim.embedders.catalog import EmbedderSpec, KerasSource, LiteSource, spec_of
from pokesim.files import atomic_path

_LITE_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Stages of EfficientNet-B0: blocks, kernel side, stride of the first, expansion, channels."""

REASON_MARK = "pokesim-export-failed: "
"""Prefix of the last line on standard error when the export fails; the reason follows it."""


def download(spec: EmbedderSpec) -> Path:
    """Download a network's ImageNet weights into Keras' cache, check their hash, return the file.

    Raises:
        Exception: whatever `keras.utils.get_file` raises, which may be a bare ``Exception``.
    """
    import keras

    source = _source_of(spec)
    return Path(
        keras.utils.get_file(
            source.weights_file,
            source.weights_url,
            cache_subdir="models",
            file_hash=source.weights_hash or None,
        )
    )


def build(spec: EmbedderSpec, weights: Path) -> Any:
    """Build the Keras model: RGB pixels 0..255 (n, side, side, 3) → vectors (n, dimension).

    Raises:
        ValueError, OSError: the weights do not fit the network or cannot be read.
    """
    import keras

    if spec.lite:
        features, _ = build_lite(spec, spec.lite, weights)
        return features
    source = _source_of(spec)
    module = getattr(keras.applications, source.module)
    shape = (spec.side, spec.side, 3)
    options = (
        {"include_top": True} if source.classifier else {"include_top": False, "pooling": "avg"}
    )
    network = getattr(module, source.class_name)(
        weights=os.fspath(weights), input_shape=shape, **options
    )
    pixels = keras.Input(shape, name="pixels")
    return keras.Model(pixels, network(module.preprocess_input(pixels)))


def build_lite(spec: EmbedderSpec, source: LiteSource, weights: Path) -> tuple[Any, Any]:
    """Build an EfficientNet-Lite from RGB pixels 0..255 (n, side, side, 3).

    It is EfficientNet without squeeze-and-excitation, with ReLU6, and with a stem and a head of the
    same size in all variants (Google's ``efficientnet/lite`` defines it).

    Returns:
        the Keras model to pooled features (n, 1280), and the one to ImageNet logits (n, 1000).

    Raises:
        ValueError, OSError: the weights are not the pinned file or cannot be read.
    """
    import keras
    from keras import layers

    from pokesim.embedders.torch_weights import read_state_dict

    tensors = read_state_dict(weights, source.sha256)
    loaded: list[tuple[Any, list[Any]]] = []

    def conv(x: Any, name: str, layer: Any, axes: tuple[int, ...]) -> Any:
        loaded.append((layer, [tensors[f"{name}.weight"].transpose(axes)]))
        return layer(x)

    def norm(x: Any, name: str) -> Any:
        layer = layers.BatchNormalization(epsilon=1e-3)
        values = ("weight", "bias", "running_mean", "running_var")
        loaded.append((layer, [tensors[f"{name}.{value}"] for value in values]))
        return layer(x)

    def pointwise(x: Any, name: str, channels: int, side: int = 1, stride: int = 1) -> Any:
        layer = layers.Conv2D(channels, side, stride, "same", use_bias=False)
        return conv(x, name, layer, (2, 3, 1, 0))

    def block(x: Any, name: str, expansion: int, side: int, stride: int, channels: int) -> Any:
        y, width = x, x.shape[-1]
        if expansion > 1:
            y = pointwise(y, f"{name}._expand_conv", width * expansion)
            y = layers.ReLU(6.0)(norm(y, f"{name}._bn0"))
        depthwise = layers.DepthwiseConv2D(side, stride, "same", use_bias=False)
        y = conv(y, f"{name}._depthwise_conv", depthwise, (2, 3, 0, 1))
        y = layers.ReLU(6.0)(norm(y, f"{name}._bn1"))
        y = norm(pointwise(y, f"{name}._project_conv", channels), f"{name}._bn2")
        return layers.Add()([x, y]) if stride == 1 and width == channels else y

    pixels = keras.Input((spec.side, spec.side, 3), name="pixels")
    x = pointwise((pixels - 127.0) / 128.0, "_conv_stem", 32, side=3, stride=2)
    x = layers.ReLU(6.0)(norm(x, "_bn0"))
    blocks = (shape for stage in _lite_stages(source) for shape in stage)
    for number, shape in enumerate(blocks):
        x = block(x, f"_blocks.{number}", *shape)
    x = layers.ReLU(6.0)(norm(pointwise(x, "_conv_head", 1280), "_bn1"))
    features = layers.GlobalAveragePooling2D()(x)
    classifier = layers.Dense(1000)
    logits = classifier(features)
    loaded.append((classifier, [tensors["_fc.weight"].T, tensors["_fc.bias"]]))
    for layer, values in loaded:
        layer.set_weights(values)
    return keras.Model(pixels, features), keras.Model(pixels, logits)


def _lite_stages(source: LiteSource) -> Iterator[list[tuple[int, int, int, int]]]:
    """Yield the blocks of each stage: expansion, kernel side, stride, channels."""
    last = len(_LITE_STAGES) - 1
    for at, (repeats, side, stride, expansion, channels) in enumerate(_LITE_STAGES):
        scaled = channels * source.width
        width = max(8, int(scaled + 4) // 8 * 8)
        width += 8 if width < 0.9 * scaled else 0
        # The first and the last stage have one block in every variant.
        count = repeats if at in (0, last) else math.ceil(repeats * source.depth)
        first = (expansion, side, stride, width)
        yield [first, *[(expansion, side, 1, width)] * (count - 1)]


def export(spec: EmbedderSpec, weights: Path, out: Path) -> None:
    """Export a network, including its preprocessing, as a LiteRT file, replaced in one step.

    Raises:
        ValueError, OSError: the weights do not fit the network or cannot be read, or ``out``
            cannot be written.
    """
    with atomic_path(out) as part:
        build(spec, weights).export(os.fspath(part), format="litert", verbose=False)


def export_file(path: Path, out: Path) -> None:
    """Export a network from a ``.keras`` file; no code that the file may hold runs.

    Raises:
        ValueError, OSError: it is damaged, has layers of its own, or ``out`` cannot be written.
    """
    import keras

    network = keras.saving.load_model(path, compile=False, safe_mode=True)
    network.export(os.fspath(out), format="litert", verbose=False)


def _source_of(spec: EmbedderSpec) -> KerasSource:
    if spec.keras is None:
        raise ValueError(f"{spec.name} is not a Keras network")
    return spec.keras


def main() -> int:
    """Run ``download NAME`` or ``export NAME WEIGHTS OUT``; print a failure's reason last."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("download").add_argument("name")
    exporter = commands.add_parser("export")
    exporter.add_argument("name")
    exporter.add_argument("weights", type=Path)
    exporter.add_argument("out", type=Path)
    arguments = parser.parse_args()
    spec = spec_of(arguments.name)
    try:
        if arguments.command == "download":
            download(spec)
        else:
            # Converters print their progress; standard output belongs to the caller.
            with contextlib.redirect_stdout(sys.stderr):
                export(spec, arguments.weights, arguments.out)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        print(f"\n{REASON_MARK}{reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
