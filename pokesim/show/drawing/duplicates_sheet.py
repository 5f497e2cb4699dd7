"""Contact sheet of groups of copies or of similar pictures, packed into rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from PIL import Image

from pokesim.analysis.duplicates import Duplicate
from pokesim.show.drawing.canvas import GREY, INK, MAT, PAPER, paste, rounded, save_picture
from pokesim.show.drawing.typeset import write
from pokesim.show.reports import groups_text

MOST = 40
"""Maximum number of groups on a sheet."""

_MOST_OF_GROUP = 6  # pictures shown of one group

_ACROSS = range(_MOST_OF_GROUP, 10)  # pictures in a row: as many as leave the fewest places empty

_SIDE = 150

_GAP = 12

_MARGIN = 28

_CELL = (_SIDE + _GAP, _SIDE + 2 * _GAP + 46)  # width, height

_HEAD = 44


def save_groups(groups: Sequence[Sequence[Duplicate]], path: Path) -> int:
    """Draw the first pictures of each group, for at most `MOST` groups.

    Returns:
        number of groups drawn; if 0, no file is written.

    Raises:
        PokesimError: the file cannot be written.
    """
    shown = groups[:MOST]
    if not shown:
        return 0
    sizes = [min(len(group), _MOST_OF_GROUP) for group in shown]
    across = min(_ACROSS, key=lambda across: across * len(_rows(sizes, across)))
    rows = _rows(sizes, across)
    starts = [_starts([sizes[at] for at in row]) for row in rows]
    room = max(ends[-1] for ends in starts) - _GAP
    size = (2 * _MARGIN + room, 2 * _MARGIN + _HEAD + len(rows) * (_CELL[1] + _GAP) - _GAP)
    canvas = Image.new("RGB", size, PAPER)
    write(canvas, (_MARGIN, _MARGIN + 16), groups_text(groups), room, 22, INK, least=15)
    for number, row in enumerate(rows):
        y = _MARGIN + _HEAD + number * (_CELL[1] + _GAP)
        for at, x in zip(row, starts[number], strict=False):
            _draw_group(canvas, shown[at], _MARGIN + x, y)
    save_picture(canvas, path)
    return len(shown)


def _rows(sizes: Sequence[int], across: int) -> list[list[int]]:
    """Pack groups of these sizes into rows, each into the first that has room for it."""
    rows: list[list[int]] = []
    for at, size in enumerate(sizes):
        for row in rows:
            if sum(sizes[other] for other in row) + size <= across:
                row.append(at)
                break
        else:
            rows.append([at])
    return rows


def _starts(sizes: Sequence[int]) -> list[int]:
    """Return where the panels of a row start, and where one more would."""
    return [0, *accumulate(size * _CELL[0] + 2 * _GAP for size in sizes)]


def _draw_group(canvas: Image.Image, group: Sequence[Duplicate], x: int, y: int) -> None:
    more = len(group) - _MOST_OF_GROUP
    shown = group[:_MOST_OF_GROUP]
    panel = Image.new("RGB", (len(shown) * _CELL[0] + _GAP, _CELL[1]), MAT)
    canvas.paste(panel, (x, y), rounded(*panel.size, radius=20))
    x, y = x + _GAP, y + _GAP
    for column, one in enumerate(shown):
        paste(canvas, one.path, (x, y, x + _SIDE, y + _SIDE), whole=True)
        caption = f"{one.bytes / 1e3:,.0f} kB"
        if column:
            is_similar = one.kind == "similar"
            caption = f"{f'{one.similarity:.0f} % ' if is_similar else ''}{one.kind}, {caption}"
        if more > 0 and column == _MOST_OF_GROUP - 1:
            caption = f"and {more:,} more"
        write(canvas, (x + 2, y + _SIDE + 20), one.path.name, _SIDE - 4, 15, INK)
        write(canvas, (x + 2, y + _SIDE + 39), caption, _SIDE - 4, 14, GREY)
        x += _CELL[0]
