"""Building blocks of drawn pictures: colours and rounded tiles."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from pokesim.errors import PictureError
from pokesim.images import PictureSource, thumbnail_of
from pokesim.show.output import output_file

PAPER = "#f4f1ea"

TILE = "#ffffff"

INK = "#23262f"

GREY = "#6b7080"

BAR = "#e4e0d6"

ACCENT = "#e4572e"

_BLUR = 8  # pixels

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""


def save_picture(canvas: Image.Image, path: Path) -> None:
    """Write a drawing as PNG or JPEG, according to the file's ending.

    Raises:
        PokesimError: the file cannot be written.
    """
    with output_file(path) as part:
        canvas.save(part, quality=92, subsampling=0)  # no chroma subsampling, which would blur text


def paste(
    canvas: Image.Image,
    source: PictureSource,
    box: Box,
    *,
    must_exist: bool = False,
    trim: bool = True,
) -> None:
    """Draw a picture into a box with rounded corners; see `tile`."""
    left, top, right, bottom = box
    drawn = tile(source, right - left, bottom - top, must_exist=must_exist, trim=trim)
    canvas.paste(drawn, (left, top), rounded(*drawn.size, radius=14))


def tile(
    source: PictureSource, width: int, height: int, *, must_exist: bool = False, trim: bool = True
) -> Image.Image:
    """Draw a whole picture in proportion, centred on a tile of the given size in pixels.

    If the picture covers more than half of the tile, its blurred edges fill the rest; otherwise the
    rest is white. ``trim`` reduces the white margin of a cut-out.

    Raises:
        PictureError: the picture cannot be read and ``must_exist`` is set; without it, the tile is
            white.
    """
    canvas = Image.new("RGB", (width, height), TILE)
    try:
        # Larger than the tile, to stay sharp after its white margin is cut off.
        picture = thumbnail_of(source, 2 * width, 2 * height)
    except PictureError:
        if must_exist:
            raise
        return canvas
    picture = _trimmed(picture) if trim else picture
    scale = min(width / picture.width, height / picture.height)
    size = (max(1, round(scale * picture.width)), max(1, round(scale * picture.height)))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    if 2 * picture.width * picture.height > width * height:
        _extend_edges(canvas, picture)
    canvas.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    return canvas


def _extend_edges(canvas: Image.Image, picture: Image.Image) -> None:
    """Fill each half of a canvas as wide or as high as the picture with the edge on that side."""
    (width, height), across = picture.size, canvas.width > picture.width
    for end in (0, 1):  # left and right, or above and below
        if across:
            edge = picture.crop((end * (width - 1), 0, end * (width - 1) + 1, height))
            half = (end * canvas.width // 2, 0, (end + 1) * canvas.width // 2, canvas.height)
        else:
            edge = picture.crop((0, end * (height - 1), width, end * (height - 1) + 1))
            half = (0, end * canvas.height // 2, canvas.width, (end + 1) * canvas.height // 2)
        edge = edge.filter(ImageFilter.GaussianBlur(_BLUR))
        canvas.paste(edge.resize((half[2] - half[0], half[3] - half[1])), half)


def _trimmed(picture: Image.Image) -> Image.Image:
    """Set the white margin of a cut-out, which may be any size, to a tenth of its longer side."""
    dark = ImageChops.invert(picture.convert("L")).point(lambda dark: 255 * (dark > 8))
    right, bottom = picture.width - 1, picture.height - 1
    inside = dark.getbbox()
    if inside is None or any(dark.getpixel((x, y)) for x in (0, right) for y in (0, bottom)):
        return picture
    margin = max(inside[2] - inside[0], inside[3] - inside[1]) // 10
    return ImageOps.expand(picture.crop(inside), margin, TILE)


def rounded(width: int, height: int, radius: int) -> Image.Image:
    """Draw a mask with rounded corners, at four times the size because Pillow does not smooth."""
    scale = 4
    mask = Image.new("L", (scale * width, scale * height), 0)
    corners = (0, 0, mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(corners, scale * radius, 255)
    return mask.resize((width, height), Image.Resampling.BOX)
