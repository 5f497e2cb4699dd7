"""The rank of the nearest vector with the right label, exact, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def first_right_ranks(
    xq: NDArray[np.float32],
    yq: Ints,
    blocks: Callable[[], Iterable[NDArray[np.float32]]],
    yb: Ints,
    same: tuple[Ints, Ints] | None = None,
) -> tuple[Ints, Ints, Ints]:
    """Rank, for each query, the nearest vector with the right label among all vectors.

    Args:
        xq: queries, float32 (nq, d).
        yq: the number of each query's label, (nq,).
        blocks: gives the vectors block by block, float32 (≤ block, d), each time it is called.
        yb: numbers of the labels of each vector, (nb, labels a vector).
        same: content numbers of queries (nq,) and vectors (nb,); a query does not meet its equal.

    Returns:
        the rank (0 where no vector has the label), the right vector's id, and the first one's id,
        each int64 (nq,).
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
        of_label = (yb[None, start : start + D.shape[1]] == yq[:, None, None]).any(2)
        of_label_only = np.where(of_label, D, np.inf)
        ids = of_label_only.argmin(1)
        better = of_label_only[rows, ids] < best
        best = np.where(better, of_label_only[rows, ids], best)
        right = np.where(better, start + ids, right)
    for start, D in distances():
        ids = np.arange(start, start + D.shape[1])
        farther = (best[:, None] < D) | ((best[:, None] == D) & (ids >= right[:, None]))
        nearer += D.shape[1] - farther.sum(1)
    return np.where(np.isfinite(best), nearer + 1, 0), right, first
