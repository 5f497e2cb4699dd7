"""The runtime LiteRT (formerly TensorFlow Lite): runs a ``.tflite`` file on the processor."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.embedder import at_once
from pokesim.errors import ModelError
from pokesim.threads import usable_cores
from pokesim.timing import span

BATCH_SIZE = 32
"""Default number of pictures in a batch; larger batches are no faster and take more memory."""

_redirecting = threading.Lock()
"""Held while standard error, which all threads share, is redirected."""


class LiteRTEmbedder:
    """Runs a ``.tflite`` file with one input and one output; safe to use from several threads.

    The model takes RGB pixels 0..255 as float32 (n, side, side, 3), includes its preprocessing, and
    returns float32 (n, dimension). One batch at a time runs.
    """

    def __init__(
        self, path: Path, threads: int | None = None, *, keep_tensors: bool = False
    ) -> None:
        """Load a model file.

        Args:
            path: the model file.
            threads: number of threads that compute; by default, one for each core.
            keep_tensors: keep every intermediate tensor, for `tensor`. This takes several times as
                long, because it rules out XNNPACK's kernels, which keep none.

        Raises:
            ModelError: the file is missing or not a LiteRT model.
        """
        try:
            with quiet_stderr():
                self._interpreter = open_interpreter(path, threads, keep_tensors=keep_tensors)
                details = self._interpreter.get_input_details()[0]
                self._input: int = details["index"]
                self.side = int(details["shape_signature"][1])
                # Only the first allocation creates the delegate that LiteRT reports.
                self._allocate(1)
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"The model file {path} is damaged; delete it and build again."
            ) from error
        self._output: int = self._interpreter.get_output_details()[0]["index"]
        self._keeps_tensors = keep_tensors
        self._lock = threading.Lock()
        self.dimension = int(self._interpreter.get_output_details()[0]["shape_signature"][-1])

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors of a batch.

        Args:
            pixels: uint8 (n, side, side, 3), RGB.

        Returns:
            float32 (n, dimension), not normalized.
        """
        size = len(pixels) if self._keeps_tensors else at_once(self.side)
        with self._lock:
            chunks = [self._run(pixels[at : at + size]) for at in range(0, len(pixels), size)]
        return np.concatenate(chunks) if len(chunks) > 1 else chunks[0]

    def _run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(pixels) != self._batch:
            self._allocate(len(pixels))
        self._interpreter.tensor(self._input)()[:] = pixels  # converted without another copy
        self._interpreter.invoke()
        vectors: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return vectors

    def _allocate(self, batch: int) -> None:
        shape = (batch, self.side, self.side, 3)
        self._interpreter.resize_tensor_input(self._input, shape)
        self._interpreter.allocate_tensors()
        self._batch = batch

    def tensor(self, number: int) -> NDArray[np.float32]:
        """Return a tensor of the last `embed` by its number in the file; needs ``keep_tensors``.

        No other thread may call `embed` in between.
        """
        values: NDArray[np.float32] = self._interpreter.get_tensor(number)
        return values


def open_interpreter(path: Path, threads: int | None = None, *, keep_tensors: bool = False) -> Any:
    """Load a model file, under `quiet_stderr`; the arguments are those of `LiteRTEmbedder`.

    Raises:
        ModelError: the file is missing.
        ValueError, RuntimeError: it is not a LiteRT model.
    """
    with span("import LiteRT"):
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

    if not path.is_file():
        raise ModelError(f"The model file {path} is missing.")
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(
        model_path=os.fspath(path),
        num_threads=threads or usable_cores(),
        experimental_op_resolver_type=kernels if keep_tensors else OpResolverType.AUTO,
        experimental_preserve_all_tensors=keep_tensors,
    )


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep LiteRT's C++ notes ("Created TensorFlow Lite XNNPACK delegate…") off standard error.

    They bypass Python, so the file descriptor itself is redirected meanwhile, by one thread at a
    time: a second one would save, and later restore, the redirected descriptor.
    """
    with _redirecting:
        try:
            saved = os.dup(2)
        except OSError:  # this process has no standard error
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
