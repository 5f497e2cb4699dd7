"""A photo and its matches side by side in one picture, good enough to post."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps

from pokesim.errors import PictureError, PokesimError
from pokesim.images import PictureSource, thumbnail_of
from pokesim.index.search import Answer, Match

WIDTH, HEIGHT = 1200, 630
"""Pixels of a card: the size that social networks show whole."""

_MARGIN = 36
_PHOTO = 558  # side of the photo's square
_GAP = 16
_COLUMNS = 4
_MOST = 1 + 2 * _COLUMNS  # the best match and two rows of others

_PAPER = "#f4f1ea"
_TILE = "#ffffff"
_INK = "#23262f"
_GREY = "#767b88"
_BAR = "#e4e0d6"
_ACCENT = "#e4572e"

Box = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""


def card(photo: PictureSource, matches: Sequence[Match]) -> Image.Image:
    """Draw a photo, large at the left, its best match and up to eight others at the right.

    Returns:
        RGB, 1200 × 630 pixels.

    Raises:
        PictureError: the photo cannot be read. A match's picture that has gone is left blank.
    """
    canvas = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    top = _MARGIN
    _paste(canvas, photo, (_MARGIN, top, _MARGIN + _PHOTO, top + _PHOTO), must_exist=True)
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
    canvas = Image.new("RGB", (WIDTH, HEIGHT * len(answers)), _PAPER)
    for number, answer in enumerate(answers):
        canvas.paste(card(answer.photo, answer.matches), (0, number * HEIGHT))
    try:
        canvas.save(path)
    except OSError as error:
        raise PokesimError(f"{path} cannot be written ({error.strerror or error}).") from error


def _draw_best(canvas: Image.Image, match: Match, box: Box) -> None:
    """Draw the best match: picture, and beside it or below it name, similarity and bar."""
    left, top, right, bottom = box
    draw = ImageDraw.Draw(canvas)
    if bottom - top > 420:  # no other match: the picture above, the words below
        side = bottom - top - 138
        _paste(canvas, match.path, (left, top, right, top + side))
        words = (left, top + side + 14, right)
    else:
        side = bottom - top
        _paste(canvas, match.path, (left, top, left + min(side, 300), bottom))
        words = (left + min(side, 300) + 22, top + max(0, side // 2 - 66), right)
    x, y, end = words
    draw.text((x, y), "looks most like", _GREY, _font(18))
    size = 44
    while size > 20 and draw.textlength(match.label, _font(size)) > end - x:
        size -= 2
    draw.text((x, y + 24), _fitted(draw, match.label, end - x, size), _INK, _font(size))
    y += 24 + int(size * 1.35)
    _draw_bar(canvas, (x, y, end, y + 12), match.similarity)
    draw.text((x, y + 20), f"{match.similarity:.1f} % similar", _INK, _font(22))


def _draw_other(canvas: Image.Image, match: Match, x: int, y: int, side: int) -> None:
    """Draw a small match: picture, then rank and name, then similarity."""
    draw = ImageDraw.Draw(canvas)
    _paste(canvas, match.path, (x, y, x + side, y + side))
    name = _fitted(draw, f"{match.rank}  {match.label}", side, 16)
    draw.text((x + 2, y + side + 4), name, _INK, _font(16))
    draw.text((x + 2, y + side + 22), f"{match.similarity:.1f} %", _GREY, _font(15))


def _paste(canvas: Image.Image, source: PictureSource, box: Box, must_exist: bool = False) -> None:
    """Put a picture in proportion into the middle of a rounded white tile."""
    left, top, right, bottom = box
    tile = Image.new("RGB", (right - left, bottom - top), _TILE)
    try:
        # Larger than the tile, so that it is still sharp when its white margin is cut off.
        picture = _trimmed(thumbnail_of(source, 2 * tile.width, 2 * tile.height))
        picture = ImageOps.contain(picture, tile.size, Image.Resampling.LANCZOS)
        corner = ((tile.width - picture.width) // 2, (tile.height - picture.height) // 2)
        tile.paste(picture, corner)
    except PictureError:
        if must_exist:
            raise
    canvas.paste(tile, (left, top), _rounded(*tile.size, radius=14))


def _trimmed(picture: Image.Image) -> Image.Image:
    """Cut a white margin down to a narrow one; cut-out pictures often lie in a lot of white."""
    inside = ImageChops.invert(picture.convert("L")).point(lambda dark: 255 * (dark > 8)).getbbox()
    if inside is None or inside == (0, 0, *picture.size):
        return picture
    air = max(inside[2] - inside[0], inside[3] - inside[1]) // 10
    return ImageOps.expand(picture.crop(inside), air, _TILE)


def _draw_bar(canvas: Image.Image, box: Box, percent: float) -> None:
    left, top, right, bottom = box
    height = bottom - top
    for width, colour in (
        (right - left, _BAR),
        (max(height, round((right - left) * percent / 100)), _ACCENT),
    ):
        canvas.paste(colour, (left, top), _rounded(width, height, radius=height // 2))


def _rounded(width: int, height: int, radius: int) -> Image.Image:
    """Draw a mask with round corners; large, then shrunk, because Pillow does not smooth them."""
    scale = 4
    mask = Image.new("L", (scale * width, scale * height), 0)
    corners = (0, 0, mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(corners, scale * radius, 255)
    return mask.resize((width, height), Image.Resampling.BOX)


def _fitted(draw: ImageDraw.ImageDraw, text: str, width: int, size: int) -> str:
    """Shorten a text with "…" until it fits into ``width`` pixels."""
    if draw.textlength(text, _font(size)) <= width:
        return text
    while text and draw.textlength(text + "…", _font(size)) > width:
        text = text[:-1]
    return text + "…"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
