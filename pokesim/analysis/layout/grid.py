"""Put points of a plane on a grid, so that no two overlap and neighbours stay neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The cells of points on a grid.

    Attributes:
        columns: its width.
        rows: its height.
        cells: column and row of each point, int64 (n, 2), counted from the upper left; no two
            points have the same cell, and fewer than ``columns`` cells stay empty.
    """

    columns: int
    rows: int
    cells: NDArray[np.int64]

    def filled(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return values (n,) of the points by their cells, (rows, columns); -1 where none is."""
        by_cell = np.full((self.rows, self.columns), -1)
        by_cell[self.cells[:, 1], self.cells[:, 0]] = values
        return by_cell


def on_grid(points: NDArray[np.float64], aspect: float) -> Grid:
    """Put points (n, 2) on the grid whose cells are largest in a window of this width ÷ height.

    The grid is halved again and again, across its longer side, and the points in it are divided in
    the order of that coordinate (Hilasaca, Marcílio-Jr, Eler, Martins & Paulovich 2023, "A
    Grid-based Method for Removing Overlaps of Dimensionality Reduction Scatterplot Layouts"). It
    takes O(n log² n) time.
    """
    count = len(points)
    columns = _columns(count, aspect)
    rows = max(1, math.ceil(count / columns))
    cells = np.zeros((count, 2), np.int64)
    waiting = [(np.arange(count), (0, 0), (columns, rows))]
    while waiting:
        ids, start, size = waiting.pop()
        if size == (1, 1) or not len(ids):
            cells[ids] = start
            continue
        axis = int(size[1] > size[0])
        half = size[axis] // 2
        sizes = [(half, size[1]), (size[0] - half, size[1])]
        if axis:
            sizes = [(size[0], half), (size[0], size[1] - half)]
        room, other_room = (math.prod(one) for one in sizes)
        # Cells that stay empty are shared by the columns, and are the lowest of each.
        first = room if axis else round(len(ids) * half / size[0])
        first = min(max(first, len(ids) - other_room), room)
        ordered = ids[np.argsort(points[ids, axis], kind="stable")]
        beyond = (start[0], start[1] + half) if axis else (start[0] + half, start[1])
        waiting += [(ordered[:first], start, sizes[0]), (ordered[first:], beyond, sizes[1])]
    return Grid(columns, rows, cells)


def _columns(count: int, aspect: float) -> int:
    """Return how many columns leave square cells the most room, with the fewest empty."""
    ideal = math.sqrt(max(1, count) * aspect)
    about = range(max(1, math.floor(0.8 * ideal)), math.ceil(1.25 * ideal) + 1)

    def room(columns: int) -> tuple[float, int]:
        return min(aspect / columns, 1 / max(1, math.ceil(count / columns))), -(-count % columns)

    return max(about, key=room)
