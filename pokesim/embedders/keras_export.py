"""Download a Keras network's weights, build the network, and export it as a LiteRT file.

`prepare` runs this module in a separate process, ``python -m pokesim.embedders.keras_export``, so
that a build neither loads TensorFlow nor prints its log messages.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from pokesim.embedders.catalog import EmbedderSpec, KerasSource, spec_of
from pokesim.files import atomic_path

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


def export(spec: EmbedderSpec, weights: Path, out: Path) -> None:
    """Export a network, including its preprocessing, as a LiteRT file, replaced in one step.

    Raises:
        ValueError, OSError: the weights do not fit the network or cannot be read, or ``out``
            cannot be written.
    """
    with atomic_path(out) as part:
        build(spec, weights).export(os.fspath(part), format="litert", verbose=False)


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
