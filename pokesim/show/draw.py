"""What the pictures that we draw are made of: rounded tiles, type, colours."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps

from pokesim.errors import PictureError, PokesimError
from pokesim.images import PictureSource, thumbnail_of

PAPER = "#f4f1ea"
TILE = "#ffffff"
INK = "#23262f"
GREY = "#6b7080"
BAR = "#e4e0d6"
ACCENT = "#e4572e"

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""


def save_picture(canvas: Image.Image, path: Path) -> None:
    """Write a drawing as PNG or JPEG, by the ending.

    Raises:
        PokesimError: the file cannot be written.
    """
    try:
        canvas.save(path)
    except OSError as error:
        raise PokesimError(f"{path} cannot be written ({error.strerror or error}).") from error


def paste(canvas: Image.Image, source: PictureSource, box: Box, must_exist: bool = False) -> None:
    """Put a picture in proportion into the middle of a rounded white tile."""
    left, top, right, bottom = box
    tile = Image.new("RGB", (right - left, bottom - top), TILE)
    try:
        # Larger than the tile, so that it is still sharp when its white margin is cut off.
        picture = _trimmed(thumbnail_of(source, 2 * tile.width, 2 * tile.height))
        picture = ImageOps.contain(picture, tile.size, Image.Resampling.LANCZOS)
        corner = ((tile.width - picture.width) // 2, (tile.height - picture.height) // 2)
        tile.paste(picture, corner)
    except PictureError:
        if must_exist:
            raise
    canvas.paste(tile, (left, top), rounded(*tile.size, radius=14))


def _trimmed(picture: Image.Image) -> Image.Image:
    """Cut a white margin down to a narrow one; cut-out pictures often lie in a lot of white."""
    inside = ImageChops.invert(picture.convert("L")).point(lambda dark: 255 * (dark > 8)).getbbox()
    if inside is None or inside == (0, 0, *picture.size):
        return picture
    air = max(inside[2] - inside[0], inside[3] - inside[1]) // 10
    return ImageOps.expand(picture.crop(inside), air, TILE)


def rounded(width: int, height: int, radius: int) -> Image.Image:
    """Draw a mask with round corners; large, then shrunk, because Pillow does not smooth them."""
    scale = 4
    mask = Image.new("L", (scale * width, scale * height), 0)
    corners = (0, 0, mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(corners, scale * radius, 255)
    return mask.resize((width, height), Image.Resampling.BOX)


def fitted(draw: ImageDraw.ImageDraw, text: str, width: int, size: int) -> str:
    """Shorten a text with "…" until it fits into ``width`` pixels."""
    if draw.textlength(text, font(size)) <= width:
        return text
    while text and draw.textlength(text + "…", font(size)) > width:
        text = text[:-1]
    return text + "…"


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font at a size in pixels."""
    return ImageFont.load_default(size)
