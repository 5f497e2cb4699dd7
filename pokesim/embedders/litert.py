"""Runs a LiteRT (TensorFlow Lite) file: pixels in, vectors out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import ModelError
from pokesim.threads import usable_cores
from pokesim.timing import span

BATCH_SIZE = 32
"""Pictures embedded at a time unless told otherwise; more is no faster, and takes more memory."""


class LiteRTEmbedder:
    """A network loaded from a ``.tflite`` file with one input and one output.

    The file takes RGB pixels 0..255 as float32 (n, side, side, 3), its preprocessing inside, and
    gives float32 (n, dimension).
    """

    def __init__(self, path: Path, keep_tensors: bool = False) -> None:
        """Load a model file.

        Args:
            path: the file.
            keep_tensors: keep all that is computed, for `tensor`; takes several times as long,
                because XNNPACK's kernels, which keep nothing, are not used.

        Raises:
            ModelError: the file is missing or is no LiteRT model.
        """
        with span("import LiteRT"):
            from ai_edge_litert.interpreter import Interpreter, OpResolverType

        if not path.is_file():
            raise ModelError(f"The model file {path} is missing.")
        kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            with _quiet_stderr():
                self._interpreter: Any = Interpreter(
                    model_path=os.fspath(path),
                    num_threads=usable_cores(),
                    experimental_op_resolver_type=kernels if keep_tensors else OpResolverType.AUTO,
                    experimental_preserve_all_tensors=keep_tensors,
                )
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"The model file {path} is damaged; delete it and build again."
            ) from error
        self._input: dict[str, Any] = self._interpreter.get_input_details()[0]
        self._output: int = self._interpreter.get_output_details()[0]["index"]
        self._batch = 0
        self.side = int(self._input["shape_signature"][1])
        self.dimension = int(self._interpreter.get_output_details()[0]["shape_signature"][-1])

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors of a batch.

        Args:
            pixels: uint8 (n, side, side, 3), RGB.

        Returns:
            float32 (n, dimension), as the network gives them.
        """
        batch = len(pixels)  # n
        if batch != self._batch:
            with _quiet_stderr():
                self._interpreter.resize_tensor_input(self._input["index"], pixels.shape)
                self._interpreter.allocate_tensors()
            self._batch = batch
        self._interpreter.set_tensor(self._input["index"], pixels.astype(np.float32))
        self._interpreter.invoke()
        vectors: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return vectors

    def tensor(self, number: int) -> NDArray[np.float32]:
        """Return what the last `embed` computed for a tensor of the file; see ``keep_tensors``."""
        values: NDArray[np.float32] = self._interpreter.get_tensor(number)
        return values


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keep LiteRT's C++ notes ("Created TensorFlow Lite XNNPACK delegate…") off standard error.

    They bypass Python, so the file descriptor itself is turned away for the moment.
    """
    try:
        saved = os.dup(2)
    except OSError:  # there is no standard error to keep clean
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
