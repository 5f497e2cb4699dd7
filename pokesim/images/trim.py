"""Make the plain margins of pictures equally wide.

Two pictures of the same figure are hard to recognise as such if it fills the one and is small in
the middle of the other. What a picture shows in front of a plain colour is therefore scaled to the
same size in all of them. A picture without such margins stays as it is, as most photographs do.
"""

from __future__ import annotations

from typing import TypeAlias

from PIL import Image, ImageChops

from pokesim.images.crop import Box
from pokesim.images.frame import Region

_SHOWN = 0.86
"""How much of the square is filled by what is in front of the margins, across or down."""

_FULL = 0.94
"""What fills so much of a picture, across or down, has no margins to speak of."""

_ALIKE = 12
"""The most by which a plain colour varies, in levels of a channel: JPEG leaves some noise."""

_BEYOND = [255 * (level > _ALIKE) for level in range(256)] * 3

Colour: TypeAlias = tuple[int, int, int]
"""RGB, 0..255."""


def trimmed(picture: Image.Image, side: int) -> Image.Image:
    """Squeeze an RGB picture to a square of ``side`` pixels, with plain margins equally wide."""
    found = _content(picture)
    if found is None:
        return picture.resize((side, side), Image.Resampling.BILINEAR)
    box, colour = found
    left, top, right, bottom = _around(box, picture.size)
    width = max(1, round(side * (box[2] - box[0]) / (right - left)))
    height = max(1, round(side * (box[3] - box[1]) / (bottom - top)))
    square = Image.new("RGB", (side, side), colour)
    inner = picture.resize((width, height), Image.Resampling.BILINEAR, box)
    square.paste(inner, ((side - width) // 2, (side - height) // 2))
    return square


def shown(picture: Image.Image) -> Region:
    """Return what `trimmed` shows of an RGB picture, in its pixels; this may reach beyond it."""
    found = _content(picture)
    return _around(found[0], picture.size) if found else (0, 0, *picture.size)


def _content(picture: Image.Image) -> tuple[Box, Colour] | None:
    """Return the box of what is in front of plain margins, and their colour; None without them."""
    last = picture.width - 1, picture.height - 1
    corners = [_pixel(picture, x, y) for x in (0, last[0]) for y in (0, last[1])]
    red, green, blue = (sorted(values)[1] for values in zip(*corners, strict=True))
    colour = red, green, blue
    if sum(_are_alike(corner, colour) for corner in corners) < 3:  # a figure may reach into one
        return None
    plain = Image.new("RGB", picture.size, colour)
    box = ImageChops.difference(picture, plain).point(_BEYOND).getbbox()
    if box is None or _filled(box, picture.size) >= _FULL:
        return None
    return box, colour


def _around(box: Box, size: tuple[int, int]) -> Region:
    """Return the region, in the proportions of the picture, of which a box fills `_SHOWN`."""
    share = _filled(box, size) / _SHOWN / 2
    across, down = share * size[0], share * size[1]
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return x - across, y - down, x + across, y + down


def _filled(box: Box, size: tuple[int, int]) -> float:
    """Return how much of a picture of this size a box fills, across or down."""
    return max((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])


def _pixel(picture: Image.Image, x: int, y: int) -> Colour:
    red, green, blue = picture.getpixel((x, y))  # type: ignore[misc]  # it is RGB
    return red, green, blue


def _are_alike(colour: Colour, other: Colour) -> bool:
    return all(abs(one - two) <= _ALIKE for one, two in zip(colour, other, strict=True))
