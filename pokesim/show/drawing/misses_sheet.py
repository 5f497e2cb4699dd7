"""Contact sheet of the worst misses: the photo, the right picture and what came first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pokesim.analysis.evaluate import Ranked
from pokesim.show.drawing.canvas import ACCENT, GREY, INK, PAPER, paste, save_picture
from pokesim.show.drawing.typeset import write

MOST = 24
"""Maximum number of misses on a sheet."""

_SIDE = 128

_GAP = 10

_MARGIN = 28

_CELL = (3 * _SIDE + 2 * _GAP + 30, _SIDE + 48)  # width, height

_HEAD = 64


def save_misses(ranked: Sequence[Ranked], path: Path) -> int:
    """Draw the photos whose right picture ranked lowest, worst first, at most `MOST`.

    Returns:
        number of misses drawn; if 0, no file is written.

    Raises:
        PokesimError: the file cannot be written.
    """
    worst = sorted((one for one in ranked if one.rank > 1), key=lambda one: -one.rank)[:MOST]
    if not worst:
        return 0
    columns = min((3, 2), key=lambda across: -(-len(worst) // across) * across)
    columns = min(columns, len(worst))
    rows = -(-len(worst) // columns)
    size = (2 * _MARGIN + columns * _CELL[0] - 30, 2 * _MARGIN + _HEAD + rows * _CELL[1] - 16)
    canvas = Image.new("RGB", size, PAPER)
    room = size[0] - 2 * _MARGIN
    write(canvas, (_MARGIN, _MARGIN + 16), "Worst misses", room, 22, INK, bold=True)
    legend = "the photo, the right picture with its rank, and what came first"
    write(canvas, (_MARGIN, _MARGIN + 42), legend, room, 16, GREY, least=12)
    for place, one in enumerate(worst):
        x = _MARGIN + place % columns * _CELL[0]
        y = _MARGIN + _HEAD + place // columns * _CELL[1]
        _draw_miss(canvas, one, x, y)
    save_picture(canvas, path)
    return len(worst)


def _draw_miss(canvas: Image.Image, one: Ranked, x: int, y: int) -> None:
    columns = (
        (one.photo.path, one.photo.style or "photo", GREY),
        (one.right, f"{one.rank}  {one.photo.label}", INK),
        (one.first, f"1  {one.first_label}", ACCENT),
    )
    for picture, caption, colour in columns:
        paste(canvas, picture, (x, y, x + _SIDE, y + _SIDE))
        write(canvas, (x + 2, y + _SIDE + 20), caption, _SIDE, 15, colour)
        x += _SIDE + _GAP
