"""Building blocks of drawn pictures: colours and rounded tiles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageChops, ImageDraw, ImageOps

from pokesim.errors import PictureError
from pokesim.images import PictureSource, thumbnail_of
from pokesim.show.output import output_file

PAPER = "#f4f1ea"

TILE = "#ffffff"

INK = "#23262f"

GREY = "#6b7080"

BAR = "#e4e0d6"

ACCENT = "#e4572e"

MAT = "#e9e5dc"
"""Around a picture that does not fill its tile."""


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a card: its ground, its text, a bar and what fills it, and a mat."""

    paper: str
    ink: str
    grey: str
    bar: str
    accent: str
    mat: str


LIGHT = Palette(PAPER, INK, GREY, BAR, ACCENT, MAT)

DARK = Palette("#22252e", "#f3f0e8", "#a9aebd", "#393e4b", "#ff7d52", "#17191f")

# Share of a picture that must stay visible for it to fill a tile. On a large tile, 3:2 on 5:4 keeps
# 0.83; on a small one, where a mat would leave little to see, 4:3 on a square keeps 0.75.
_LEAST, _LEAST_OF_SMALL = 0.83, 0.74

_SMALL = 160  # longest side of a small tile, in pixels

_ALIKE = 16  # largest difference between corners of one colour, of 255

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
    whole: bool = False,
    mat: str = MAT,
) -> None:
    """Draw a picture into a box with rounded corners; see `tile`."""
    left, top, right, bottom = box
    drawn = tile(source, right - left, bottom - top, must_exist=must_exist, whole=whole, mat=mat)
    radius = min(14, min(drawn.size) // 6)
    canvas.paste(drawn, (left, top), rounded(*drawn.size, radius))


def paste_empty(canvas: Image.Image, box: Box) -> None:
    """Draw a tile without a picture into a box with rounded corners."""
    left, top, right, bottom = box
    empty = _mat(right - left, bottom - top, TILE)
    canvas.paste(empty, (left, top), rounded(*empty.size, 14))


def tile(
    source: PictureSource,
    width: int,
    height: int,
    *,
    must_exist: bool = False,
    whole: bool = False,
    mat: str = MAT,
    is_clear: bool = False,
) -> Image.Image:
    """Draw a picture in proportion, centred on a tile of the given size in pixels.

    A picture whose corners have one colour, such as a cut-out on white, is drawn whole on a tile of
    that colour, without most of its white margin. Any other fills the tile if most of it stays
    visible, and otherwise is whole on a plain mat.

    Args:
        source: the picture.
        width: width of the tile in pixels.
        height: height of the tile in pixels.
        must_exist: raise if the picture cannot be read; otherwise, the tile is then empty.
        whole: show all of the picture, its margin included, on the mat if it does not fit.
        mat: the colour of the mat.
        is_clear: leave the mat transparent, for a page that is light or dark.

    Returns:
        RGB, or RGBA if ``is_clear`` is set.

    Raises:
        PictureError: the picture cannot be read and ``must_exist`` is set.
    """
    try:
        # Larger than the tile, to stay sharp after its edges are cut off.
        picture = thumbnail_of(source, 2 * width, 2 * height)
    except PictureError:
        if must_exist:
            raise
        return _mat(width, height, None if is_clear else TILE)
    ground = None if whole else _ground(picture)
    if ground:
        picture = _trimmed(picture)
    scales = width / picture.width, height / picture.height
    least = _LEAST_OF_SMALL if max(width, height) <= _SMALL else _LEAST
    fills = not whole and not ground and min(scales) >= least * max(scales)
    scale = max(scales) if fills else min(scales)
    size = (max(1, round(scale * picture.width)), max(1, round(scale * picture.height)))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    canvas = _mat(width, height, ground or (None if is_clear else mat))
    canvas.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    return canvas


def _mat(width: int, height: int, colour: str | tuple[int, ...] | None) -> Image.Image:
    """Return an empty tile of a colour; None is transparent."""
    if colour is None:
        return Image.new("RGBA", (width, height))
    return Image.new("RGB", (width, height), colour)


def _ground(picture: Image.Image) -> tuple[int, ...] | None:
    """Return the colour of a picture's corners if all four have the same."""
    right, bottom = picture.width - 1, picture.height - 1
    corners = [picture.getpixel(at) for at in ((0, 0), (right, 0), (0, bottom), (right, bottom))]
    channels = [*zip(*corners, strict=True)]
    if any(max(values) - min(values) > _ALIKE for values in channels):
        return None
    return tuple(sum(values) // 4 for values in channels)


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
