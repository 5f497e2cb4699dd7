"""Name the clusters of pictures on a grid by what most of a cluster share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pokesim.analysis.layout.grid import Grid

_LEAST = 3  # cells of a cluster that gets a name

_MOST = 300  # tags that are looked for; the commonest

_BEYOND_CHANCE = 0.1  # how much oftener neighbours share a tag than any two pictures


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a cluster.

    Attributes:
        text: the tag that is commonest in it.
        x: the middle of the cluster, in columns of the grid.
        y: the same in rows.
        size: number of cells.
    """

    text: str
    x: float
    y: float
    size: int


def without_number(label: str) -> str:
    """Return a label without what tells it from others of its kind, as "cat" for "cat_0002"."""
    return re.sub(r"[\W\d_]+$", "", label)


def telling_tags(sources: Mapping[str, Sequence[str]], grid: Grid) -> Sequence[str] | None:
    """Return the tags that neighbours on a grid share most, if any do more than by chance.

    Args:
        sources: for each source, such as the folder, a tag of every picture; "" is none.
        grid: the cells of the pictures.
    """
    scores = {source: _agreement(tags, grid) for source, tags in sources.items()}
    best = max(scores, key=lambda source: scores[source], default=None)
    return sources[best] if best is not None and scores[best] > _BEYOND_CHANCE else None


def cluster_names(tags: Sequence[str], grid: Grid) -> list[Name]:
    """Return the names of the clusters of a grid, the largest first.

    A cell belongs to the tag that is commonest among it and its eight neighbours, if two more of
    them have it; a cluster is a connected set of cells of one tag.
    """
    texts, numbers = _numbered(tags)
    by_cell = grid.filled(numbers)
    # (tags, rows, columns): how many of a cell and its neighbours have each tag.
    counts = np.stack([_around(by_cell == number) for number in range(len(texts))] or [by_cell * 0])
    commonest = np.where(counts.max(axis=0) >= _LEAST, counts.argmax(axis=0), -1)
    clusters = [one for one in _connected(commonest) if len(one) >= _LEAST]
    names = [_name(texts[commonest[one[0]]], one) for one in clusters]
    return sorted(names, key=lambda name: -name.size)


def _agreement(tags: Sequence[str], grid: Grid) -> float:
    """Return how much oftener cells side by side share a tag than any two cells."""
    texts, numbers = _numbered(tags)
    if len(texts) < 2:
        return 0.0
    by_cell = grid.filled(numbers)
    pairs = [(by_cell[:, 1:], by_cell[:, :-1]), (by_cell[1:], by_cell[:-1])]
    alike = sum(int(((one == other) & (one >= 0)).sum()) for one, other in pairs)
    shares = np.bincount(numbers[numbers >= 0]) / len(numbers)
    return alike / max(1, sum(one.size for one, _ in pairs)) - float((shares**2).sum())


def _numbered(tags: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the commonest tags, and the number (n,) of each picture's among them, or -1."""
    found, inverse, counts = np.unique(np.array(tags), return_inverse=True, return_counts=True)
    counts = np.where(found == "", 0, counts)
    kept = [at for at in np.argsort(-counts, kind="stable")[:_MOST] if counts[at] >= _LEAST]
    numbers = np.full(len(found), -1)
    numbers[kept] = np.arange(len(kept))
    return [str(found[at]) for at in kept], numbers[inverse]


def _around(holds: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count, for each cell, where it holds of the cell and its eight neighbours."""
    padded = np.pad(holds, 1).astype(np.int64)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    counts: NDArray[np.int64] = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return counts


def _connected(numbers: NDArray[np.int64]) -> list[list[tuple[int, int]]]:
    """Return the sets of cells (row, column) side by side with one number that is not -1."""
    left = {(row, column): int(number) for (row, column), number in np.ndenumerate(numbers)}
    found = []
    while left:
        start, number = left.popitem()
        cluster = [start]
        for row, column in cluster:  # which grows meanwhile
            for one in ((row, column + 1), (row, column - 1), (row + 1, column), (row - 1, column)):
                if left.get(one) == number:
                    del left[one]
                    cluster.append(one)
        if number >= 0:
            found.append(cluster)
    return found


def _name(text: str, cluster: Sequence[tuple[int, int]]) -> Name:
    y, x = np.mean(cluster, axis=0).tolist()
    return Name(text, x, y, len(cluster))
