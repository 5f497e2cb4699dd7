"""Decode a picture with Pillow and scale it, in this process.

Pictures are read in the same way for an index and for a query: first frame, upright by its EXIF
orientation, transparency on white, RGB, squeezed to a square without cropping.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from PIL import Image, ImageFile, UnidentifiedImageError

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


class HeavyError(Exception):
    """A picture is not light: reading it may take long, or a lot of memory."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read of a picture.

    Attributes:
        width: of the result, in pixels; 0 for the header only.
        height: the same.
        proportional: fit into width × height in proportion, instead of filling it.
        max_pixels: limit on the picture's width × height, checked before it is decoded.
        uploaded: accept HEIF and the formats in `UPLOADED` only.
        light: raise HeavyError unless the picture is light.
    """

    width: int = 0
    height: int = 0
    proportional: bool = False
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
        UnreadableError: it is damaged, exceeds a limit, or is not an image.
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
    """Scale a whole picture as wanted."""
    if not wanted.proportional:
        return _scaled(picture, wanted.width, wanted.height)
    width, height = picture.size[::-1] if _orientation(picture) >= 5 else picture.size
    scale = min(wanted.width / width, wanted.height / height)
    return _scaled(picture, max(1, round(width * scale)), max(1, round(height * scale)))


def _scaled(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Scale a whole picture to ``width`` × ``height``, upright, on white, RGB."""
    orientation = _orientation(picture)
    size = (height, width) if orientation >= 5 else (width, height)
    # libjpeg decodes a JPEG at 1/2, 1/4 or 1/8 scale if that is still twice the required size.
    picture.draft(None, (2 * size[0], 2 * size[1]))
    if picture.width * picture.height <= _BAND_PIXELS or _scales(picture):
        small = _scalable(picture).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    else:
        small = _scaled_in_bands(picture, size)
    if orientation in _UPRIGHT:
        # Turning the small picture is cheap and gives the same pixels as turning the large one.
        small = small.transpose(_UPRIGHT[orientation])
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    return small.convert("RGB")


def _scaled_in_bands(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale a large picture that must be converted first, or has alpha: reduce it in bands."""
    picture.load()
    columns, rows = (
        max(1, side // (3 * small)) for side, small in zip(picture.size, size, strict=True)
    )
    tall = rows * max(1, _BAND_PIXELS // 4 // (picture.width * rows))
    tops = range(0, picture.height, tall)
    white = max((_top(band) for _, band in _bands(picture, tops)), default=0.0)
    reduced: Image.Image | None = None
    for top, band in _bands(picture, tops):
        part = _scalable(band, white)
        # Colours are averaged in proportion to their alpha.
        part = (part.convert("RGBa") if part.mode == "RGBA" else part).reduce((columns, rows))
        if reduced is None:
            reduced = Image.new(part.mode, (part.width, math.ceil(picture.height / rows)))
        reduced.paste(part, (0, top // rows))
    assert reduced
    box = (0, 0, picture.width / columns, picture.height / rows)
    small = reduced.resize(size, Image.Resampling.BILINEAR, box)
    return small.convert("RGBA") if small.mode == "RGBa" else small


def _bands(picture: Image.Image, tops: range) -> Iterator[tuple[int, Image.Image]]:
    for top in tops:
        bottom = min(top + tops.step, picture.height)
        yield top, picture.crop((0, top, picture.width, bottom))


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


def _scalable(picture: Image.Image, top: float | None = None) -> Image.Image:
    """Return the picture as L, RGB or RGBA, the modes that scale correctly.

    Args:
        picture: the picture, or a part of it.
        top: the brightest value of the whole picture, if it has more than 8 bits per value.
    """
    if _is_deep(picture):
        return _eight_bit(picture, _top(picture) if top is None else top)
    if picture.has_transparency_data:
        return picture if picture.mode == "RGBA" else picture.convert("RGBA")
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def _is_deep(picture: Image.Image) -> bool:
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def _top(picture: Image.Image) -> float:
    """Return the brightest value of a grey picture of 16 or 32 bits per pixel, else 0."""
    import numpy as np  # only here and below, as it takes longer to import than Pillow

    if not _is_deep(picture):
        return 0.0
    return float(np.nan_to_num(np.array(picture, dtype=np.float32), copy=False).max())


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
