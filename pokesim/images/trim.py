"""What a picture shows inside plain margins, and how the square of a network shows that.

Two pictures of the same figure are hard to recognise as such if it fills the one and is small in
the other, or if one is squeezed. So a figure in front of a plain colour has one size and its own
proportions in the square, and a photo in a plain frame is taken out of it. A picture without plain
margins, as most photographs are, is squeezed to the square as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image, ImageChops

from pokesim.images.crop import Box
from pokesim.images.frame import Region

_FIGURE = 0.74
"""How much of the square's side the longer side of a figure takes."""

_FULL = 0.94
"""What fills so much of a picture, both across and down, has no margins to speak of."""

_FRAMED = 0.4
"""A figure touches the sides of the box around it with less than this share; a photo fills them."""

_ALIKE = 12
"""The most by which a plain colour varies, in levels of a channel: JPEG leaves some noise."""

_BEYOND = [255 * (level > _ALIKE) for level in range(256)] * 3

Colour: TypeAlias = tuple[int, int, int]
"""RGB, 0..255."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What is inside plain margins.

    Attributes:
        box: the box around it, in pixels of the picture.
        region: what the square shows, likewise; of a figure, it may reach beyond the picture.
        size: width and height of the box in the square, in pixels.
        colour: that of the margins.
    """

    box: Box
    region: Region
    size: tuple[int, int]
    colour: Colour


def inside_margins(picture: Image.Image, size: tuple[int, int], side: int) -> Inside | None:
    """Return what is inside the plain margins of a picture, or None if it has none.

    Args:
        picture: the picture, RGB; it may be squeezed.
        size: width and height in its own proportions, in any unit.
        side: width and height of the square.
    """
    if (colour := _margin(picture)) is None:
        return None
    plain = Image.new("RGB", picture.size, colour)
    bands = ImageChops.difference(picture, plain).point(_BEYOND).split()
    differs = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    box = differs.getbbox()
    if box is None:
        return None
    across, down = (box[2] - box[0]) / picture.width, (box[3] - box[1]) / picture.height
    if min(across, down) >= _FULL:
        return None
    if _touched(differs.crop(box)) >= _FRAMED:
        return Inside(box, box, (side, side), colour)
    # In the unit of ``size``: the figure, and the square that shows it.
    width, height = across * size[0], down * size[1]
    shown = max(width, height) / _FIGURE
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = shown / 2 * picture.width / size[0], shown / 2 * picture.height / size[1]
    region = x - half[0], y - half[1], x + half[0], y + half[1]
    fitted = max(1, round(side * width / shown)), max(1, round(side * height / shown))
    return Inside(box, region, fitted, colour)


def _margin(picture: Image.Image) -> Colour | None:
    """Return the colour of a picture's corners, or None if they have none in common."""
    ends = (0, picture.width - 1), (0, picture.height - 1)
    corners = [_pixel(picture, x, y) for x in ends[0] for y in ends[1]]
    red, green, blue = (sorted(values)[1] for values in zip(*corners, strict=True))
    colour = red, green, blue
    # A figure may reach into one corner.
    return colour if sum(_are_alike(corner, colour) for corner in corners) >= 3 else None


def _pixel(picture: Image.Image, x: int, y: int) -> Colour:
    red, green, blue = picture.getpixel((x, y))  # type: ignore[misc]  # it is RGB
    return red, green, blue


def _are_alike(colour: Colour, other: Colour) -> bool:
    return all(abs(one - two) <= _ALIKE for one, two in zip(colour, other, strict=True))


def _touched(differs: Image.Image) -> float:
    """Return the share of the sides of a mask, of 0 and 255, that are set."""
    width, height = differs.size
    sides = (0, 0, width, 1), (0, height - 1, width, height), (0, 0, 1, height)
    strips = [differs.crop(side) for side in (*sides, (width - 1, 0, width, height))]
    return sum(strip.histogram()[255] for strip in strips) / (2 * width + 2 * height)
