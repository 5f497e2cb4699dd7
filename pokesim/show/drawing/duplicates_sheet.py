"""Contact sheet of groups of copies or of similar pictures, one group per row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pokesim.analysis.duplicates import Duplicate
from pokesim.show.drawing.canvas import GREY, INK, PAPER, paste, save_picture
from pokesim.show.drawing.typeset import write
from pokesim.show.reports import groups_text

MOST = 40
"""Maximum number of groups on a sheet."""

_COLUMNS = 6

_SIDE = 150

_GAP = 12

_MARGIN = 28

_ROW = _SIDE + 62

_HEAD = 40


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
    columns = min(_COLUMNS, max(map(len, shown)))
    width = 2 * _MARGIN + max(3, columns) * (_SIDE + _GAP) - _GAP
    canvas = Image.new("RGB", (width, 2 * _MARGIN + _HEAD + len(shown) * _ROW), PAPER)
    write(canvas, (_MARGIN, _MARGIN + 16), groups_text(groups), width - 2 * _MARGIN, 22, INK)
    for row, group in enumerate(shown):
        _draw_group(canvas, group, _MARGIN + _HEAD + row * _ROW)
    save_picture(canvas, path)
    return len(shown)


def _draw_group(canvas: Image.Image, group: Sequence[Duplicate], y: int) -> None:
    more = len(group) - _COLUMNS
    for column, one in enumerate(group[:_COLUMNS]):
        x = _MARGIN + column * (_SIDE + _GAP)
        paste(canvas, one.path, (x, y, x + _SIDE, y + _SIDE))
        caption = f"{one.bytes / 1e3:,.0f} kB"
        if column:
            is_similar = one.kind == "similar"
            caption = f"{f'{one.similarity:.0f} % ' if is_similar else ''}{one.kind}, {caption}"
        if more > 0 and column == _COLUMNS - 1:
            caption = f"and {more:,} more"
        write(canvas, (x + 2, y + _SIDE + 20), one.path.name, _SIDE, 15, INK)
        write(canvas, (x + 2, y + _SIDE + 39), caption, _SIDE, 14, GREY)
