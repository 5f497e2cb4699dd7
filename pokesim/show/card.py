"""A photo and its matches side by side in one picture, good enough to post."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from pokesim.images import PictureSource
from pokesim.index.matches import Answer, Match
from pokesim.show.draw import (
    ACCENT,
    BAR,
    GREY,
    INK,
    PAPER,
    Box,
    fitted,
    font,
    paste,
    rounded,
    save_picture,
)

WIDTH, HEIGHT = 1200, 630
"""Pixels of a card: the size that social networks show whole."""

_MARGIN = 36
_PHOTO = 558  # side of the photo's square
_GAP = 16
_COLUMNS = 4
_MOST = 1 + 2 * _COLUMNS  # the best match and two rows of others


def card(photo: PictureSource, matches: Sequence[Match]) -> Image.Image:
    """Draw a photo, large at the left, its best match and up to eight others at the right.

    Returns:
        RGB, 1200 × 630 pixels.

    Raises:
        PictureError: the photo cannot be read. A match's picture that has gone is left blank.
    """
    canvas = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    top = _MARGIN
    paste(canvas, photo, (_MARGIN, top, _MARGIN + _PHOTO, top + _PHOTO), must_exist=True)
    left, right = 2 * _MARGIN + _PHOTO, WIDTH - _MARGIN
    others = matches[1:_MOST]
    rows = -(-len(others) // _COLUMNS)
    side = (right - left - (_COLUMNS - 1) * _GAP) // _COLUMNS
    row_height = side + 40
    hero_bottom = HEIGHT - _MARGIN - rows * (row_height + _GAP // 2)
    _draw_best(canvas, matches[0], (left, top, right, hero_bottom - _GAP // 2))
    for place, match in enumerate(others):
        x = left + place % _COLUMNS * (side + _GAP)
        y = hero_bottom + _GAP // 2 + place // _COLUMNS * (row_height + _GAP // 2)
        _draw_other(canvas, match, x, y, side)
    return canvas


def save_cards(answers: Sequence[Answer], path: Path) -> None:
    """Write a card of each answered photo, below each other, as one PNG or JPEG file.

    Raises:
        PokesimError: the file cannot be written.
    """
    canvas = Image.new("RGB", (WIDTH, HEIGHT * len(answers)), PAPER)
    for number, answer in enumerate(answers):
        canvas.paste(card(answer.photo, answer.matches), (0, number * HEIGHT))
    save_picture(canvas, path)


def _draw_best(canvas: Image.Image, match: Match, box: Box) -> None:
    """Draw the best match: picture, and beside it or below it name, similarity and bar."""
    left, top, right, bottom = box
    draw = ImageDraw.Draw(canvas)
    if bottom - top > 420:  # no other match: the picture above, the words below
        side = bottom - top - 138
        paste(canvas, match.path, (left, top, right, top + side))
        words = (left, top + side + 14, right)
    else:
        side = bottom - top
        paste(canvas, match.path, (left, top, left + min(side, 300), bottom))
        words = (left + min(side, 300) + 22, top + max(0, side // 2 - 66), right)
    x, y, end = words
    draw.text((x, y), "looks most like", GREY, font(18))
    size = 44
    while size > 20 and draw.textlength(match.label, font(size)) > end - x:
        size -= 2
    draw.text((x, y + 24), fitted(draw, match.label, end - x, size), INK, font(size))
    y += 24 + size + 16
    _draw_bar(canvas, (x, y, end, y + 12), match.similarity)
    draw.text((x, y + 20), f"{match.similarity:.1f} % similar", INK, font(22))


def _draw_other(canvas: Image.Image, match: Match, x: int, y: int, side: int) -> None:
    """Draw a small match: picture, then rank and name, then similarity."""
    draw = ImageDraw.Draw(canvas)
    paste(canvas, match.path, (x, y, x + side, y + side))
    name = fitted(draw, f"{match.rank}  {match.label}", side, 16)
    draw.text((x + 2, y + side + 4), name, INK, font(16))
    draw.text((x + 2, y + side + 22), f"{match.similarity:.1f} %", GREY, font(15))


def _draw_bar(canvas: Image.Image, box: Box, percent: float) -> None:
    left, top, right, bottom = box
    height = bottom - top
    for width, colour in (
        (right - left, BAR),
        (max(height, round((right - left) * percent / 100)), ACCENT),
    ):
        canvas.paste(colour, (left, top), rounded(width, height, radius=height // 2))
