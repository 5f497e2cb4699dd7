"""A contact sheet of the worst misses: what was asked, what is right, what came first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from pokesim.evaluate import Ranked
from pokesim.show.draw import ACCENT, GREY, INK, PAPER, fitted, font, paste, save_picture

MOST = 24

_COLUMNS = 3
_SIDE = 128
_GAP = 10
_MARGIN = 28
_CELL = (3 * _SIDE + 2 * _GAP + 30, _SIDE + 58)  # width, height
_HEAD = 46


def save_misses(ranked: Sequence[Ranked], path: Path) -> int:
    """Draw the photos whose right picture came latest, the worst first, at most `MOST`.

    Returns:
        how many were drawn; with none, no file is written.

    Raises:
        PokesimError: the file cannot be written.
    """
    worst = sorted((one for one in ranked if one.rank > 1), key=lambda one: -one.rank)[:MOST]
    if not worst:
        return 0
    rows = -(-len(worst) // _COLUMNS)
    size = (2 * _MARGIN + _COLUMNS * _CELL[0] - 30, 2 * _MARGIN + _HEAD + rows * _CELL[1])
    canvas = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(canvas)
    title = "Worst misses: the photo, the right picture with its rank, what came first"
    draw.text((_MARGIN, _MARGIN - 6), title, INK, font(22))
    for place, one in enumerate(worst):
        x = _MARGIN + place % _COLUMNS * _CELL[0]
        y = _MARGIN + _HEAD + place // _COLUMNS * _CELL[1]
        _draw_miss(canvas, one, x, y)
    save_picture(canvas, path)
    return len(worst)


def _draw_miss(canvas: Image.Image, one: Ranked, x: int, y: int) -> None:
    draw = ImageDraw.Draw(canvas)
    columns = (
        (one.photo.path, one.photo.style or "photo", GREY),
        (one.right, f"{one.rank}  {one.photo.label}", INK),
        (one.first, f"1  {one.first_label}", ACCENT),
    )
    for picture, caption, colour in columns:
        paste(canvas, picture, (x, y, x + _SIDE, y + _SIDE))
        draw.text((x + 2, y + _SIDE + 5), fitted(draw, caption, _SIDE, 15), colour, font(15))
        x += _SIDE + _GAP
