"""Keras application + weights → a network, and one LiteRT file of it.

The export runs as a process of its own, ``python -m pokesim.embedders.keras_export``, so that
whoever builds an index neither loads tensorflow nor hears its log messages.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from pokesim.embedders.catalog import EmbedderSpec, KerasSource, spec_of

REASON_MARK = "pokesim-export-failed: "
"""What stands before the reason, on the last line of standard error, when the export fails."""


def download(spec: EmbedderSpec) -> Path:
    """Fetch a backbone's ImageNet weights into Keras' own cache, checked by hash; return the file.

    Raises:
        Exception: as `keras.utils.get_file` does, a bare one among them.
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


def build(spec: EmbedderSpec, weights: Path) -> Any:  # noqa: ANN401 - keras is untyped
    """Build the Keras model from RGB pixels 0..255 (n, side, side, 3) to vectors (n, dimension).

    Raises:
        ValueError, OSError: the weights do not fit, or cannot be read.
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
    """Write a backbone, its preprocessing inside, as a LiteRT file, whole or not at all.

    Raises:
        ValueError, OSError: the weights do not fit, cannot be read, or ``out`` not be written.
    """
    part = out.with_name(f".{out.stem}.{os.getpid()}.tflite")
    try:
        build(spec, weights).export(os.fspath(part), format="litert", verbose=False)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _source_of(spec: EmbedderSpec) -> KerasSource:
    if spec.keras is None:
        raise ValueError(f"{spec.name} is not a Keras network")
    return spec.keras


def main() -> int:
    """Run ``download NAME`` or ``export NAME WEIGHTS OUT``; a failure's reason ends stderr."""
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
            # Converters print what they do; standard output is the caller's.
            with contextlib.redirect_stdout(sys.stderr):
                export(spec, arguments.weights, arguments.out)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        words = (str(error) or type(error).__name__).strip().splitlines()[0]
        print(f"\n{REASON_MARK}{words}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
