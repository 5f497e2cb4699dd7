"""Scale a picture, or a part of it, in bounded memory: upright, on white, RGB."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from PIL import Image

from pokesim.images.crop import Box, Crop
from pokesim.images.frame import RESAMPLINGS, Frame, Region, outward
from pokesim.images.trim import inside_margins

Size: TypeAlias = tuple[int, int]
"""Width and height, in pixels."""

# A larger picture is converted and reduced in bands, so that no second copy of it is needed.
_BAND_PIXELS = 16_000_000

_MOST_SCALED = 16
"""A picture is scaled as a whole before its middle is cut out, up to so many times the middle."""

# EXIF orientation → the operation that makes the picture upright (EXIF 2.32, tag 0x0112).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableError(Exception):
    """A picture cannot be read; the message is the reason."""


class NoSuchPartError(UnreadableError):
    """The picture has no such part."""


def scaled(
    picture: Image.Image,
    size: tuple[int, int],
    crop: Crop | None,
    proportional: bool,
    frame: Frame | None = None,
) -> Image.Image:
    """Scale a picture, or a part of it, upright, on white, RGB.

    Args:
        picture: the picture, not decoded yet.
        size: width and height to scale to, in pixels.
        crop: the part; None for the whole.
        proportional: fit into the size in proportion, instead of filling it.
        frame: the rule by which a network sees the picture, instead of filling the size.

    Raises:
        NoSuchPartError: the picture has no such part.
    """
    width, height = upright = _upright_size(picture)
    part = None
    if crop:
        try:
            part = crop.box(width, height)
        except ValueError as error:
            raise NoSuchPartError(str(error)) from error
        width, height = part[2] - part[0], part[3] - part[1]
    if proportional:
        scale = min(size[0] / width, size[1] / height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
    if frame and frame.trims:
        return _trimmed(picture, frame.side, upright, part)
    if frame is None or not frame.resampling:
        return _scaled(picture, *size, part)
    whole = frame.scaled_size(width, height)
    if whole[0] * whole[1] <= _MOST_SCALED * frame.side**2:
        region = _moved((0, 0, width, height), part or (0, 0), back=True)
        return _scaled(picture, *whole, part, region, frame.resampling).crop(frame.cut(*whole))
    # Of a very long picture, only the middle is scaled; the rounding of its edges may show.
    region = _moved(frame.region(width, height), part or (0, 0), back=True)
    return _scaled(picture, *size, part, region, frame.resampling)


def _trimmed(picture: Image.Image, side: int, upright: Size, part: Box | None) -> Image.Image:
    """Scale a picture, or a part of it, to a square that shows what is inside plain margins.

    Args:
        picture: the picture, not decoded yet.
        side: of the square.
        upright: width and height of the upright picture.
        part: the part; None for the whole.
    """
    of = part or (0, 0, *upright)
    size = of[2] - of[0], of[3] - of[1]
    small = _scaled(picture, min(side, size[0]), min(side, size[1]), part)
    inside = inside_margins(small, size, side)
    if inside is None:
        return small.resize((side, side), Image.Resampling.BILINEAR)
    if small.size == size:
        inner = small.resize(inside.size, Image.Resampling.BILINEAR, inside.box)
    else:  # from the picture itself, or a small figure would be blurred
        box = _in_decoded(inside.box, small.size, of, upright, _upright_size(picture))
        inner = _scaled(picture, *inside.size, box)
    square = Image.new("RGB", (side, side), inside.colour)
    square.paste(inner, ((side - inner.width) // 2, (side - inner.height) // 2))
    return square


def _in_decoded(box: Box, small: Size, of: Box, upright: Size, decoded: Size) -> Box:
    """Return where a box in a small copy is in the picture as it has been decoded.

    Args:
        box: the box.
        small: width and height of the copy.
        of: the part of the upright picture that the copy shows.
        upright: width and height of that picture.
        decoded: the same, as it has been decoded: a JPEG perhaps at a smaller scale.
    """
    ends = []
    for at, axis in zip(box, (0, 1, 0, 1), strict=True):
        whole = of[axis] + at / small[axis] * (of[axis + 2] - of[axis])
        ends.append(round(whole / upright[axis] * decoded[axis]))
    left, top, right, bottom = ends
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _scaled(
    picture: Image.Image,
    width: int,
    height: int,
    part: Box | None,
    region: Region | None = None,
    resampling: str = "bilinear",
) -> Image.Image:
    """Scale a picture, or a part of it, to ``width`` × ``height``, upright, on white, RGB.

    With a region of the part, only that is scaled, and exactly: a JPEG is decoded in full.
    """
    orientation = _orientation(picture)
    size = (height, width) if orientation >= 5 else (width, height)
    stored = part and _as_stored(part, picture.size, orientation)
    if region:
        box = _as_stored(region, picture.size, orientation)
        around = outward(stored or (0, 0, *picture.size))
    else:
        box = _drafted(picture, size, stored)
        around = outward(box)
    is_large = (around[2] - around[0]) * (around[3] - around[1]) > _BAND_PIXELS
    if is_large and not _scales(picture):
        small = _scaled_in_bands(picture, size, box, around)
    else:
        top = _brightest(picture)
        if part and not is_large:
            # Scaled without the pixels around it, so it is as if the part were the picture.
            picture, box = picture.crop(around), _moved(box, around)
        gap = None if region else 3.0
        method = RESAMPLINGS[resampling]
        small = _scalable(picture, top).resize(size, method, box, reducing_gap=gap)
    if orientation in _UPRIGHT:
        # Turning the small picture is cheap and gives the same pixels as turning the large one.
        small = small.transpose(_UPRIGHT[orientation])
    if small.mode == "RGBA":
        on_white = Image.new("RGB", small.size, "white")
        on_white.paste(small, mask=small)
        return on_white
    return small.convert("RGB")


def _as_stored(part: Region, stored: tuple[int, int], orientation: int) -> Region:
    """Return a part of an upright picture as that of the stored one, of this size."""
    left, top, right, bottom = part
    width, height = stored[::-1] if orientation >= 5 else stored
    if orientation in (2, 3, 6, 7):
        left, right = width - right, width - left
    if orientation in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if orientation >= 5 else (left, top, right, bottom)


def _drafted(picture: Image.Image, size: tuple[int, int], part: Region | None) -> Region:
    """Let a JPEG be decoded small; return the part's place, or the whole, in the decoded picture.

    libjpeg decodes at 1/2, 1/4 or 1/8 scale if that is still twice the required size.
    """
    if not part:
        picture.draft(None, (2 * size[0], 2 * size[1]))
        return (0, 0, *picture.size)
    width, height = picture.size
    columns = math.ceil(2 * size[0] * width / (part[2] - part[0]))
    rows = math.ceil(2 * size[1] * height / (part[3] - part[1]))
    drafted = picture.draft(None, (columns, rows))
    times = width / drafted[1][2] if drafted else 1  # 1, 2, 4 or 8
    left, top, right, bottom = part
    return left / times, top / times, right / times, bottom / times


def _scaled_in_bands(
    picture: Image.Image, size: tuple[int, int], box: Region, around: Box
) -> Image.Image:
    """Scale what is in a box of a large picture that must be converted: reduce it in bands.

    Args:
        picture: the picture; without alpha and in mode L or RGB, it needs no bands.
        size: the size to scale to.
        box: the region to scale.
        around: the whole pixels around it.
    """
    white = _brightest(picture)
    left, top, right, bottom = around
    columns = max(1, (right - left) // (3 * size[0]))
    rows = max(1, (bottom - top) // (3 * size[1]))
    tall = rows * max(1, _BAND_PIXELS // 4 // ((right - left) * rows))
    reduced: Image.Image | None = None
    for start, band in _bands(picture, around, tall):
        part = _scalable(band, white)
        # Colours are averaged in proportion to their alpha.
        part = (part.convert("RGBa") if part.mode == "RGBA" else part).reduce((columns, rows))
        if reduced is None:
            reduced = Image.new(part.mode, (part.width, math.ceil((bottom - top) / rows)))
        reduced.paste(part, (0, (start - top) // rows))
    assert reduced
    inner = _moved(box, around)
    inner = (inner[0] / columns, inner[1] / rows, inner[2] / columns, inner[3] / rows)
    small = reduced.resize(size, Image.Resampling.BILINEAR, inner)
    return small.convert("RGBA") if small.mode == "RGBa" else small


def _moved(box: Region, around: Sequence[int], back: bool = False) -> Region:
    """Return a region from the corner of the pixels around it, or of the picture again."""
    left, top = (-at if back else at for at in around[:2])
    return box[0] - left, box[1] - top, box[2] - left, box[3] - top


def _bands(picture: Image.Image, box: Box, tall: int) -> Iterator[tuple[int, Image.Image]]:
    left, top, right, bottom = box
    for start in range(top, bottom, tall):
        yield start, picture.crop((left, start, right, min(start + tall, bottom)))


def _upright_size(picture: Image.Image) -> Size:
    return picture.size[::-1] if _orientation(picture) >= 5 else picture.size


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1..8; 1 if the EXIF data is missing or damaged.

    A HEIF file's orientation is part of the picture, which its decoder has turned upright already.
    """
    if picture.format == "HEIF":
        return 1
    try:
        value = picture.getexif().get(0x0112, 1)
    except Exception:
        return 1
    return value if value in _UPRIGHT else 1


def _scales(picture: Image.Image) -> bool:
    """Return True for a picture that scales correctly without a copy."""
    return picture.mode in ("L", "RGB") and not picture.has_transparency_data


def _scalable(picture: Image.Image, top: float) -> Image.Image:
    """Return the picture as L, RGB or RGBA, the modes that scale correctly.

    Args:
        picture: the picture, or a part of it.
        top: the brightest value of the whole picture, if it has more than 8 bits per value.
    """
    if _is_deep(picture):
        return _eight_bit(picture, top)
    if picture.has_transparency_data:
        return picture if picture.mode == "RGBA" else picture.convert("RGBA")
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def _is_deep(picture: Image.Image) -> bool:
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def _brightest(picture: Image.Image) -> float:
    """Return the brightest value of a grey picture of 16 or 32 bits per pixel, else 0."""
    if not _is_deep(picture):
        return 0.0
    import numpy as np  # only here and below: it takes longer to import than Pillow, and memory

    tall = max(1, _BAND_PIXELS // 4 // picture.width)
    bands = _bands(picture, (0, 0, *picture.size), tall)
    grey = (np.array(band, dtype=np.float32) for _, band in bands)
    return max(float(np.nan_to_num(values, copy=False).max()) for values in grey)


def _eight_bit(picture: Image.Image, top: float) -> Image.Image:
    """Map a grey picture of 16 or 32 bits per pixel to 0..255; Pillow's convert would clip it."""
    import numpy as np

    grey = np.nan_to_num(np.array(picture, dtype=np.float32), copy=False)
    if picture.mode != "F" and (picture.mode != "I" or 255 < top <= 65535):
        white = 65535.0
    else:
        white = 1.0 if top <= 1.0 else max(top, 255.0)
    grey *= 255.0 / white
    return Image.fromarray(np.clip(grey, 0, 255, out=grey).astype(np.uint8))
