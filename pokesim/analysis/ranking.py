"""The exact rank of the nearest vector with the right label, computed block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def first_right_ranks(
    xq: NDArray[np.float32],
    yq: IntArray,
    blocks: Callable[[], Iterable[NDArray[np.float32]]],
    yb: IntArray,
    same: tuple[IntArray, IntArray] | None = None,
) -> tuple[IntArray, IntArray, IntArray]:
    """Return for each query the rank of the nearest vector with the right label.

    Args:
        xq: queries, float32 (nq, d).
        yq: the label number of each query, (nq,).
        blocks: iterates over all vectors in blocks, float32 (≤ block, d); called twice.
        yb: the label numbers of each vector, (nb, labels per vector).
        same: content numbers of the queries (nq,) and of the vectors (nb,); a query ignores
            vectors with its own number.

    Returns:
        the rank (0 if no vector has the label), the row of the nearest right vector, and the row of
        the nearest vector of any label, each int64 (nq,).
    """
    queries = xq.astype(np.float64)
    best, nearest = (np.full(len(xq), np.inf) for _ in range(2))
    right, first, nearer = (np.zeros(len(xq), np.int64) for _ in range(3))
    rows = np.arange(len(xq))

    def distances() -> Iterable[tuple[int, NDArray[np.float64]]]:
        start = 0
        for block in blocks():
            xb = block.astype(np.float64)
            lengths = np.sum(queries**2, 1)[:, None] + np.sum(xb**2, 1)
            D = lengths - 2 * queries @ xb.T  # squared, (nq, block)
            if same:
                D[same[0][:, None] == same[1][None, start : start + len(xb)]] = np.inf
            yield start, D
            start += len(xb)

    for start, D in distances():
        ids = D.argmin(1)
        better = D[rows, ids] < nearest
        nearest, first = (
            np.where(better, D[rows, ids], nearest),
            np.where(better, start + ids, first),
        )
        is_right = (yb[None, start : start + D.shape[1]] == yq[:, None, None]).any(2)
        right_only = np.where(is_right, D, np.inf)
        ids = right_only.argmin(1)
        better = right_only[rows, ids] < best
        best = np.where(better, right_only[rows, ids], best)
        right = np.where(better, start + ids, right)
    for start, D in distances():
        ids = np.arange(start, start + D.shape[1])
        farther = (best[:, None] < D) | ((best[:, None] == D) & (ids >= right[:, None]))
        nearer += D.shape[1] - farther.sum(1)
    return np.where(np.isfinite(best), nearer + 1, 0), right, first
