"""Decode a picture with Pillow and scale it, in this process.

Pictures are read in the same way for an index and for a query: first frame, upright by its EXIF
orientation, transparency on white, RGB, squeezed to a square. Of a query, it may be a part.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, TypeAlias

from PIL import Image, ImageFile, UnidentifiedImageError

from pokesim.images.crop import Box, Crop
from pokesim.images.kinds import START_BYTES, is_heif

MAX_PIXELS = 89_478_485
"""Default limit on width × height; the same as Pillow's."""

MEMORY_BYTES = 600_000_000
"""Limit on the memory for reading a picture; a larger ``max_pixels`` raises it in proportion."""

READING = "first frame, EXIF upright, alpha on white, RGB, squeezed to a square, bilinear"
"""How a picture becomes pixels. Recorded in each index's manifest; it changes only if they do."""

NO_DECODER = {"BUFR", "GRIB", "HDF5", "MPEG"}
"""Formats that Pillow recognises but cannot decode: data files rather than pictures."""

UPLOADED = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000")
"""Formats to accept from strangers, by Pillow's names, beside HEIF. Others are rare or decoded in
Python."""

LIGHT_BYTES = 16 * 1024 * 1024
"""Size limit for the file of a light picture."""

# Formats of which Pillow decodes a normal picture in a fraction of a second, without Python's lock.
_LIGHT = ("JPEG", "PNG", "WEBP", "GIF", "BMP")

# Limit on the work for a light picture: its pixels × 4, or × the number of scans of a JPEG.
_LIGHT_WORK = 100_000_000

# Bytes per pixel while decoding, as measured, with the picture itself (at most 4).
_DECODER_BYTES = {"WEBP": 16, "AVIF": 16, "JPEG2000": 24, "HEIF": 12}

# A larger picture is converted and reduced in bands, so that no second copy of it is needed.
_BAND_PIXELS = 16_000_000

# A picture is either read or refused with a reason. Pillow's warnings about damaged metadata, and
# about size (we check that ourselves), would only be noise.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_Region: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom of what is scaled, in decoded pixels, of which a JPEG has fewer."""

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


class Head(NamedTuple):
    """A picture's header: its format, by Pillow's name, and its stored size in pixels."""

    format: str
    width: int
    height: int


class UnreadableError(Exception):
    """A picture cannot be read; the message is the reason."""


class UnknownFormatError(UnreadableError):
    """The data is not an image in one of the accepted formats."""


class NoSuchPartError(UnreadableError):
    """The picture has no such part."""


class HeavyError(Exception):
    """A picture is not light: reading it may take long, or a lot of memory."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read of a picture.

    Attributes:
        width: of the result, in pixels; 0 for the header only.
        height: the same.
        proportional: fit into width × height in proportion, instead of filling it.
        crop: the part of the picture to read; None for the whole.
        max_pixels: limit on the picture's width × height, checked before it is decoded.
        uploaded: accept HEIF and the formats in `UPLOADED` only.
        light: raise HeavyError unless the picture is light.
    """

    width: int = 0
    height: int = 0
    proportional: bool = False
    crop: Crop | None = None
    max_pixels: int = MAX_PIXELS
    uploaded: bool = False
    light: bool = False

    @property
    def memory(self) -> int:
        """Limit on the memory for reading the picture, in bytes."""
        return max(MEMORY_BYTES, MEMORY_BYTES * self.max_pixels // MAX_PIXELS)


def read(file: BinaryIO, wanted: Wanted) -> tuple[Head, Image.Image | None]:
    """Read an encoded picture: its header and, unless only that is wanted, its RGB pixels.

    Raises:
        UnreadableError: it is damaged, exceeds a limit, is not an image, or lacks the part.
        HeavyError: it is not light, and must be.
    """
    with _reasons(wanted), _opened(file, wanted) as picture:
        _check(picture, wanted)
        if wanted.light and not _is_light(picture, file):
            raise HeavyError
        head = Head(picture.format or "", *picture.size)
        if not wanted.width:
            return head, None
        try:
            return head, _fitted(picture, wanted)
        except NoSuchPartError:
            raise
        except Exception as error:
            # A decoder may report that memory ran out as if the data were damaged.
            needed = _DECODER_BYTES.get(head.format, 8) * head.width * head.height
            raise (MemoryError if needed > wanted.memory else error) from error


def read_opened(picture: Image.Image, wanted: Wanted) -> tuple[Head, Image.Image | None]:
    """Read a picture that is in memory, as `read` does."""
    with _reasons(wanted):
        _check(picture, wanted)
        copy = picture.copy()  # draft mode would change the caller's picture
        return Head(picture.format or "", *picture.size), _fitted(copy, wanted)


def _opened(file: BinaryIO, wanted: Wanted) -> ImageFile.ImageFile:
    start = file.read(START_BYTES)
    file.seek(0)
    if is_heif(start):
        if wanted.light:
            raise HeavyError
        return _opened_heif(file)
    formats = UPLOADED if wanted.uploaded else _LIGHT if wanted.light else None
    return Image.open(file, formats=formats)


def _opened_heif(file: BinaryIO) -> ImageFile.ImageFile:
    """Open the main picture of a HEIF file; it may hold others, such as those of a series."""
    import pi_heif  # no other picture needs it, and importing it takes as long as importing Pillow

    options = pi_heif.options
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
    options.DECODE_THREADS = 1  # other cores read other pictures
    # Not registered with Pillow, where it would also take AVIF files that begin like HEIF.
    picture: ImageFile.ImageFile = pi_heif.HeifImageFile(file)
    return picture


@contextmanager
def _reasons(wanted: Wanted) -> Iterator[None]:
    """Raise any exception as one with a reason; Pillow's plugins raise nearly any on damage."""
    if wanted.max_pixels > MAX_PIXELS:
        # The caller chose a higher limit; Pillow would raise an error at twice its own.
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, wanted.max_pixels)
    option = "" if wanted.uploaded else " (--max-pixels raises the limit)"
    try:
        yield
    except (UnreadableError, HeavyError):
        raise
    except UnidentifiedImageError as error:
        if wanted.light and not wanted.uploaded:
            raise HeavyError from error  # of another format, perhaps
        accepted = "a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF or JPEG 2000 image"
        reason = f"not {accepted if wanted.uploaded else 'an image pokesim can read'}"
        raise UnknownFormatError(reason) from error
    except Image.DecompressionBombError as error:
        raise UnreadableError(f"too many pixels{option}") from error
    except MemoryError as error:
        raise UnreadableError(too_much_memory(wanted)) from error
    except Exception as error:
        detail = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        if detail == "could not create decoder object":  # of a WebP, for either reason
            raise UnreadableError(f"damaged, or {too_much_memory(wanted)}") from error
        raise UnreadableError(f"damaged or unsupported ({detail})") from error


def too_much_memory(wanted: Wanted) -> str:
    """Return the reason not to read a picture that takes more memory than is allowed."""
    option = "" if wanted.uploaded else " (--max-pixels raises the limit)"
    return f"decoding it takes over {wanted.memory // 1_000_000} MB of memory{option}"


def _check(picture: Image.Image, wanted: Wanted) -> None:
    """Check a picture's header before any pixel is decoded."""
    if picture.format in NO_DECODER:
        raise UnidentifiedImageError
    if picture.format == "EPS":
        raise UnreadableError("EPS is a program, not an image; convert it to PNG")
    if picture.width * picture.height > wanted.max_pixels:
        size = f"{picture.width} × {picture.height} pixels"
        option = "" if wanted.uploaded else " (--max-pixels)"
        raise UnreadableError(f"{size} exceed the limit of {wanted.max_pixels}{option}")


def _is_light(picture: ImageFile.ImageFile, file: BinaryIO) -> bool:
    """Return True if the work for a picture is small."""
    if any(tile.codec_name in Image.DECODERS for tile in picture.tile):
        return False  # decoded in Python, such as a BMP with run lengths
    if picture.format in ("JPEG", "MPO"):
        # Each scan passes over the whole picture, and a small file may have thousands of them.
        file.seek(0)
        passes = file.read().count(b"\xff\xda")
    elif picture.format in _LIGHT:
        passes = 4
    else:
        return False
    return picture.width * picture.height * passes <= _LIGHT_WORK


def _fitted(picture: Image.Image, wanted: Wanted) -> Image.Image:
    """Scale a picture, or the wanted part of it, as wanted."""
    width, height = picture.size[::-1] if _orientation(picture) >= 5 else picture.size
    part = None
    if wanted.crop:
        try:
            part = wanted.crop.box(width, height)
        except ValueError as error:
            raise NoSuchPartError(str(error)) from error
        width, height = part[2] - part[0], part[3] - part[1]
    if not wanted.proportional:
        return _scaled(picture, wanted.width, wanted.height, part)
    scale = min(wanted.width / width, wanted.height / height)
    return _scaled(picture, max(1, round(width * scale)), max(1, round(height * scale)), part)


def _scaled(picture: Image.Image, width: int, height: int, part: Box | None) -> Image.Image:
    """Scale a picture, or a part of it, to ``width`` × ``height``, upright, on white, RGB."""
    orientation = _orientation(picture)
    size = (height, width) if orientation >= 5 else (width, height)
    box = _drafted(picture, size, part and _as_stored(part, picture.size, orientation))
    around = (math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3]))
    is_large = (around[2] - around[0]) * (around[3] - around[1]) > _BAND_PIXELS
    if is_large and not _scales(picture):
        small = _scaled_in_bands(picture, size, box, around)
    else:
        top = _brightest(picture)
        if part and not is_large:
            # Scaled without the pixels around it, so it is as if the part were the picture.
            picture, box = picture.crop(around), _moved(box, around)
        bilinear = Image.Resampling.BILINEAR
        small = _scalable(picture, top).resize(size, bilinear, box, reducing_gap=3.0)
    if orientation in _UPRIGHT:
        # Turning the small picture is cheap and gives the same pixels as turning the large one.
        small = small.transpose(_UPRIGHT[orientation])
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    return small.convert("RGB")


def _as_stored(part: Box, stored: tuple[int, int], orientation: int) -> Box:
    """Return a part of an upright picture as that of the stored one, of this size."""
    left, top, right, bottom = part
    width, height = stored[::-1] if orientation >= 5 else stored
    if orientation in (2, 3, 6, 7):
        left, right = width - right, width - left
    if orientation in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if orientation >= 5 else (left, top, right, bottom)


def _drafted(picture: Image.Image, size: tuple[int, int], part: Box | None) -> _Region:
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
    picture: Image.Image, size: tuple[int, int], box: _Region, around: Box
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


def _moved(box: _Region, around: Box) -> _Region:
    """Return a region from the corner of the pixels around it."""
    left, top = around[:2]
    return box[0] - left, box[1] - top, box[2] - left, box[3] - top


def _bands(picture: Image.Image, box: Box, tall: int) -> Iterator[tuple[int, Image.Image]]:
    left, top, right, bottom = box
    for start in range(top, bottom, tall):
        yield start, picture.crop((left, start, right, min(start + tall, bottom)))


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
