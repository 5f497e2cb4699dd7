"""The rotation that suits an index's vectors, and how many coordinates of it make the best codes.

More and larger coordinates take longer to scan, but leave fewer vectors to compare: a cost model,
tried on a sample, weighs the one against the other.
"""

from __future__ import annotations

import math

import numpy as np

from pokesim.index.vectors.flat import FlatVectors, spread
from pokesim.index.vectors.pca.codes import (
    FLOAT16,
    INT8,
    LEVELS,
    Kind,
    Quantizer,
    Rows,
    coordinates,
)

_MAX_SAMPLE = 20_000

_WIDTH = 64  # the number of coordinates is a multiple of it: whole cache lines are scanned fastest

_ROOM = 1.1  # for coordinates that are larger than those of the sample

_QUERIES, _MAX_BASE = 64, 5_000  # vectors of the index that choose the number of coordinates

# What such a query seeks: the nearest 2 in 5,000. It is turned away from all vectors until this is
# its cosine with what it was, as a photo is only so much like its nearest picture.
_SOUGHT, _LIKE = 0.0004, 0.5

_COMPARING = 40  # how much longer comparing a coordinate takes than scanning a byte


def fit_quantizer(flat: FlatVectors) -> tuple[Quantizer, Kind]:
    """Return a quantizer for vectors, fitted to a sample, and how to store coordinates.

    Its radius is not known yet.
    """
    x = spread(flat, _MAX_SAMPLE)
    mean = x.mean(axis=0)
    centred = x - mean
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    directions = directions[:, ::-1]  # the strongest first
    width, kind = _choose(centred @ directions.astype(np.float32))
    mixing, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((width - 1, width - 1)))
    # Shorter by more than rounding to float32 can make a vector longer.
    kept = (directions[:, : width - 1] @ mixing * (1 - 1e-5)).astype(np.float32)
    found = coordinates(x, mean.astype(np.float64), kept.astype(np.float64))
    origin = np.zeros(width, np.float32)
    origin[-1] = (found[:, -1].min() + found[:, -1].max()) / 2
    step = np.float32(_ROOM * np.abs(found - origin).max(initial=0) / LEVELS)
    of_codes = (one.astype(np.float64) for one in (mean, kept, origin))
    return Quantizer(float(step) or 1.0, flat.ntotal, 0.0, *of_codes), kind


def _choose(x: Rows) -> tuple[int, Kind]:
    """Return how many coordinates, and which kind of them, make a search the quickest.

    Fewer and smaller ones are scanned faster, but leave more vectors to compare.

    Args:
        x: a sample, (n, d), in the principal directions.
    """
    queries = _LIKE * x[:: math.ceil(len(x) / _QUERIES)]
    base = x[:: math.ceil(len(x) / _MAX_BASE)]
    dimension = x.shape[1]
    whole = _lengths(base)
    away = (1 - _LIKE**2) * float(whole.mean())
    squared = _squared_distances(queries, base)
    limits = np.sqrt(np.quantile(squared, _SOUGHT, axis=1, keepdims=True) + away)
    costs: dict[tuple[int, Kind], float] = {}
    for width in [*range(_WIDTH, dimension + 1, _WIDTH)] or [dimension]:
        kept = width - 1
        rest_q, rest = (
            np.sqrt((_lengths(some) - _lengths(some[:, :kept]) + more).clip(0))
            for some, more in ((queries, away), (base, 0))
        )
        bounds = _squared_distances(queries[:, :kept], base[:, :kept])
        bounds = np.sqrt(bounds + np.square(rest_q[:, None] - rest))
        length = math.sqrt(max(float(np.mean(whole - np.square(rest))), 0))
        for kind in (INT8, FLOAT16) if 2 * width <= dimension else (INT8,):
            near = float((bounds <= limits + kind.radius * length).mean())
            costs[width, kind] = kind.bytes * width + _COMPARING * dimension * near
    return min(costs, key=lambda option: costs[option])


def _lengths(x: Rows) -> Rows:
    """Return the squared lengths of vectors, (n,)."""
    lengths: Rows = np.einsum("nd,nd->n", x, x)
    return lengths


def _squared_distances(queries: Rows, base: Rows) -> Rows:
    squared: Rows = _lengths(queries)[:, None] + _lengths(base) - 2 * queries @ base.T
    return squared.clip(0)
