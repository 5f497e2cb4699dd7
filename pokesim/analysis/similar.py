"""Pairs and groups of similar vectors, by exact range search, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.metric import normalized
from pokesim.progress import Progress

BLOCK = 2048  # rows per block; the similarities of two blocks take 16 MB

_ROUNDING = 1e-5  # of a float32 cosine; pairs this close to the threshold are computed in float64

Ids = NDArray[np.int64]

Rows = NDArray[np.float32]


def similar_groups(
    base: BaseVectors, ids: Ids, least: float, on_progress: Progress
) -> Iterator[Ids]:
    """Yield the groups of similar vectors, joined by single linkage.

    Args:
        base: the vectors.
        ids: the rows to compare.
        least: cosine that every vector of a group has with another one of it.
        on_progress: called with (pairs of blocks compared, total).

    Returns:
        the positions in ``ids`` of each group of two or more, in the order of their first.
    """
    parent = np.arange(len(ids))
    starts = range(0, len(ids), BLOCK)
    total, done = len(starts) * (len(starts) + 1) // 2, 0
    on_progress(0, total)
    for first in starts:
        upper = normalized(base.rows(ids[first : first + BLOCK]))
        for second in range(first, len(ids), BLOCK):
            is_same = second == first
            lower = upper if is_same else normalized(base.rows(ids[second : second + BLOCK]))
            a, b = near_pairs(upper, lower, least)
            _join(parent, a + first, b + second)
            done += 1
            on_progress(done, total)
    yield from _members(parent)


def near_pairs(upper: Rows, lower: Rows, least: float) -> tuple[Ids, Ids]:
    """Return the pairs of rows of two blocks, of length 1, whose cosine is at least ``least``."""
    cosines = upper @ lower.T
    a, b = np.nonzero(cosines >= least - _ROUNDING)
    near = np.flatnonzero(cosines[a, b] < least + _ROUNDING)
    kept = np.ones(len(a), np.bool_)
    for start in range(0, len(near), BLOCK):
        some = near[start : start + BLOCK]
        x, y = upper[a[some]].astype(np.float64), lower[b[some]].astype(np.float64)
        lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        kept[some] = (x * y).sum(1) >= (least - 1e-9) * lengths
    return a[kept], b[kept]


def _join(parent: Ids, a: Ids, b: Ids) -> None:
    """Merge the groups of each pair (a, b)."""
    while True:
        a, b = _roots(parent, a), _roots(parent, b)
        apart = a != b
        if not apart.any():
            return
        a, b = a[apart], b[apart]
        np.minimum.at(parent, np.maximum(a, b), np.minimum(a, b))


def _roots(parent: Ids, rows: Ids) -> Ids:
    while not np.array_equal(above := parent[rows], rows):
        rows = above
    return rows


def _members(parent: Ids) -> Iterator[Ids]:
    """Yield the rows of each group of two or more, in the order of their first rows."""
    roots = _roots(parent, np.arange(len(parent)))
    order = np.argsort(roots, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(roots[order])) + 1):
        if len(rows) > 1:
            yield rows
