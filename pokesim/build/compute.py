"""Choose the runtime and the precision of a build by measuring them, on this machine.

LiteRT starts fastest and is part of every installation. Once it runs, OpenVINO may be faster: that
depends on the network and on the processor. So a long build times both on its first pictures.
bfloat16 changes the vectors a little; whether that matters depends on the pictures.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.catalog import AUTO, LITERT, Compute, Precision, Runtime
from pokesim.embedders.embedder import Embedder, Model
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.embedders.runtimes import open_embedder
from pokesim.errors import ModelError, PictureError
from pokesim.images import Frame, pixels_of
from pokesim.index.manifest import EmbedderRecord
from pokesim.metric import normalized
from pokesim.threads import read_ahead

OPENVINO = Compute(Runtime.OPENVINO)
BFLOAT16 = Compute(Runtime.OPENVINO, Precision.BFLOAT16)

_MANY_PICTURES = 3000
"""Timing LiteRT pays from here on: it computes two batches twice."""

_LONG_SECONDS = 60
"""Opening and timing OpenVINO takes some seconds, and pays in a build of this length."""

_FASTER = 0.9
"""OpenVINO is chosen if it takes at most this share of LiteRT's time."""

_ROUNDS = 3

_SAMPLE = 1000
"""Pictures to measure the precision on."""

_LEAST_SAMPLE = 100

_SAME = 0.99
"""bfloat16 is chosen if it keeps at least this share of first places."""

_ROUNDING = 1e-6
"""Squared distances that differ by less, relative to a vector's squared length, are equal."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestedCompute:
    """The runtime and precision that a caller asks for.

    Attributes:
        runtime: None means the fastest.
        precision: None means bfloat16 if it keeps the answers.
    """

    runtime: Runtime | None
    precision: Precision | None

    @staticmethod
    def named(runtime: str, precision: str) -> RequestedCompute:
        """Return the request with these names; "auto" stands for None.

        Raises:
            UsageError: no such runtime or precision, or the runtime does not have the precision.
        """
        assumed = Precision.FLOAT32 if precision == AUTO else precision
        if runtime == AUTO:
            is_half = assumed == Precision.BFLOAT16
            compute = Compute.named(Runtime.OPENVINO if is_half else Runtime.LITERT, assumed)
        else:
            compute = Compute.named(runtime, assumed)
        return RequestedCompute(
            None if runtime == AUTO else compute.runtime,
            None if precision == AUTO else compute.precision,
        )

    def resolved(self, measured: Callable[[], Precision]) -> Compute | None:
        """Return the runtime and precision; None means the fastest runtime in float32.

        Args:
            measured: returns the precision, if the caller leaves it open.

        Raises:
            UsageError: the runtime does not have the precision.
        """
        can_halve = self.runtime in (None, Runtime.OPENVINO)
        precision = self.precision or (measured() if can_halve else Precision.FLOAT32)
        if precision is Precision.BFLOAT16:
            return BFLOAT16
        return Compute(self.runtime) if self.runtime else None


def fastest_embedder(
    model: Model, pixels: NDArray[np.uint8], pictures: int
) -> tuple[Embedder, Compute]:
    """Load a model into LiteRT, or into OpenVINO if that is faster and the build is long.

    Args:
        model: the model to load.
        pixels: uint8 (n, side, side, 3), the first batch of the build.
        pictures: number of pictures of the build.

    Raises:
        ModelError: the model is damaged.
    """
    litert = open_embedder(model)
    if pictures < _MANY_PICTURES:
        return litert, LITERT
    litert.embed(pixels)  # opens what a batch needs
    seconds = _seconds_a_picture(litert, pixels)
    if pictures * seconds < _LONG_SECONDS:
        return litert, LITERT
    if find_spec("openvino") is None:
        log.info(
            "Using LiteRT, at %.1f ms a picture. OpenVINO may be faster; `pip install "
            "'pokesim[openvino]'` installs it.",
            1e3 * seconds,
        )
        return litert, LITERT
    try:
        openvino = open_embedder(model, OPENVINO)
    except ModelError as error:
        log.info("Using LiteRT: %s", error)
        return litert, LITERT
    openvino.embed(pixels)
    other = _seconds_a_picture(openvino, pixels)
    for _ in range(_ROUNDS - 1):  # in turns, as other processes come and go
        seconds = min(seconds, _seconds_a_picture(litert, pixels))
        other = min(other, _seconds_a_picture(openvino, pixels))
    is_faster = other <= _FASTER * seconds
    log.info(
        "Using %s: here LiteRT takes %.1f ms a picture, OpenVINO %.1f.",
        "OpenVINO" if is_faster else "LiteRT",
        1e3 * seconds,
        1e3 * other,
    )
    return (openvino, OPENVINO) if is_faster else (litert, LITERT)


def _seconds_a_picture(embedder: Embedder, pixels: NDArray[np.uint8]) -> float:
    start = time.perf_counter()
    embedder.embed(pixels)
    return (time.perf_counter() - start) / len(pixels)


def lasting_precision(
    model: Model, record: EmbedderRecord, root: Path, files: Sequence[str], max_pixels: int
) -> Precision:
    """Return bfloat16 if it is available and keeps the answers, else float32.

    Pictures spread over the folder are embedded both ways. Each is looked for among the others by
    its float32 vector, as a query computes it; bfloat16 keeps the answers if at least 99 % of the
    pictures have the same nearest one among vectors of bfloat16 as among those of float32.

    Args:
        model: the model of the build.
        record: how the index takes pictures and vectors.
        root: the picture folder.
        files: the pictures, relative to ``root``.
        max_pixels: cap on a picture's width × height.
    """
    try:
        other = open_embedder(model, BFLOAT16)
    except ModelError as error:
        log.info("The build computes in float32: %s", error)
        return Precision.FLOAT32
    litert = open_embedder(model)
    step = max(1, len(files) // _SAMPLE)
    sample = [root / name for name in files[::step][:_SAMPLE]]
    read = partial(_pixels_or_none, frame=record.frame, max_pixels=max_pixels)
    pictures = [one for one in read_ahead(read, sample, 2 * BATCH_SIZE) if one is not None]
    if len(pictures) < _LEAST_SAMPLE:
        log.info(
            "The build computes in float32: too few pictures to measure bfloat16 on (%d of %d).",
            len(pictures),
            _LEAST_SAMPLE,
        )
        return Precision.FLOAT32
    xq, xb = (_vectors(embedder, pictures, record.normalized) for embedder in (litert, other))
    same = _kept(xq, xb)
    chosen = Precision.BFLOAT16 if same >= _SAME else Precision.FLOAT32
    log.info(
        "The build computes in %s: bfloat16 keeps %.1f %% of the first places among %s of these "
        "pictures.",
        chosen,
        100 * same,
        f"{len(pictures):,}",
    )
    return chosen


def _pixels_or_none(path: Path, frame: Frame, max_pixels: int) -> NDArray[np.uint8] | None:
    try:
        return pixels_of(path, frame, max_pixels)
    except PictureError:  # the build reports it
        return None


def _vectors(
    embedder: Embedder, pictures: Sequence[NDArray[np.uint8]], normalize: bool
) -> NDArray[np.float32]:
    """Return the vectors, float32 (n, d), of pictures, uint8 (side, side, 3)."""
    starts = range(0, len(pictures), BATCH_SIZE)
    chunks = [embedder.embed(np.stack(pictures[at : at + BATCH_SIZE])) for at in starts]
    rows = np.concatenate(chunks)
    return normalized(rows) if normalize else rows


def _kept(xq: NDArray[np.float32], xb: NDArray[np.float32]) -> float:
    """Return the share of the pictures whose nearest one in ``xb`` is also the nearest in ``xq``.

    Both are the vectors, float32 (n, d), of the same pictures. A copy of a picture is as near.
    """
    exact, other = _squared_distances(xq, xq), _squared_distances(xq, xb)
    found = exact[np.arange(len(xq)), other.argmin(axis=1)]
    return float(np.mean(found <= exact.min(axis=1) + _ROUNDING * (xq**2).sum(axis=1)))


def _squared_distances(xq: NDArray[np.float32], xb: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return squared distances, (n, n), of each row of ``xq`` to the rows of ``xb`` but its own."""
    queries, base = xq.astype(np.float64), xb.astype(np.float64)
    distances: NDArray[np.float64] = (
        (queries**2).sum(axis=1)[:, None] - 2 * queries @ base.T + (base**2).sum(axis=1)
    )
    np.fill_diagonal(distances, np.inf)
    return distances
