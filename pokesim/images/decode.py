"""Decode a picture with Pillow and scale it, in this process.

Pictures are read in the same way for an index and for a query: first frame, upright by its EXIF
orientation, transparency on white, RGB, and a square by the rule of the network (`Frame`). Of a
query, it may be a part.
"""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import BinaryIO, NamedTuple

from PIL import Image, ImageFile, UnidentifiedImageError

from pokesim.images.crop import Crop
from pokesim.images.frame import Frame
from pokesim.images.kinds import START_BYTES, is_heif
from pokesim.images.scale import NoSuchPartError, UnreadableError, scaled

MAX_PIXELS = 89_478_485
"""Default limit on width × height; the same as Pillow's."""

MEMORY_BYTES = 600_000_000
"""Limit on the memory for reading a picture; a larger ``max_pixels`` raises it in proportion."""

NO_DECODER = {"BUFR", "GRIB", "HDF5", "MPEG"}
"""Formats that Pillow recognises but cannot decode: data files rather than pictures."""

UPLOADED = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000")
"""Formats to accept from strangers, by Pillow's names, beside HEIF. Others are rare or decoded in
Python."""

LIGHT_BYTES = 16 * 1024 * 1024
"""Size limit for the file of a light picture."""

# Formats of which Pillow decodes a normal picture in a fraction of a second, without Python's lock:
# how a file starts, and the plugin.
_LIGHT = {b"\xff\xd8": "Jpeg", b"\x89PNG": "Png", b"RIFF": "WebP", b"GIF8": "Gif", b"BM": "Bmp"}

# Limit on the work for a light picture: its pixels × 4, or × the number of scans of a JPEG.
_LIGHT_WORK = 100_000_000

# Bytes per pixel while decoding, as measured, with the picture itself (at most 4).
_DECODER_BYTES = {"WEBP": 16, "AVIF": 16, "JPEG2000": 24, "HEIF": 12}

# A picture is either read or refused with a reason. Pillow's warnings about damaged metadata, and
# about size (we check that ourselves), would only be noise.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class Head(NamedTuple):
    """A picture's header: its format, by Pillow's name, and its stored size in pixels."""

    format: str
    width: int
    height: int


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
        crop: the part of the picture to read; None for the whole.
        frame: the rule by which the picture becomes width × height, a square; None for filling it.
        max_pixels: limit on the picture's width × height, checked before it is decoded.
        uploaded: accept HEIF and the formats in `UPLOADED` only.
        light: raise HeavyError unless the picture is light.
    """

    width: int = 0
    height: int = 0
    proportional: bool = False
    crop: Crop | None = None
    frame: Frame | None = None
    max_pixels: int = MAX_PIXELS
    uploaded: bool = False
    light: bool = False

    @staticmethod
    def square(frame: Frame, crop: Crop | None = None, *, max_pixels: int = MAX_PIXELS) -> Wanted:
        """Return the square that a network sees of a picture, or of a part of it."""
        return Wanted(frame.side, frame.side, crop=crop, frame=frame, max_pixels=max_pixels)

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
        head = Head(picture.format or "", *picture.size)
        # Of a copy, since draft mode would change the caller's picture.
        return head, _fitted(picture.copy(), wanted) if wanted.width else None


def _fitted(picture: Image.Image, wanted: Wanted) -> Image.Image:
    size = wanted.width, wanted.height
    return scaled(picture, size, wanted.crop, wanted.proportional, wanted.frame)


def _opened(file: BinaryIO, wanted: Wanted) -> ImageFile.ImageFile:
    start = file.read(START_BYTES)
    file.seek(0)
    if is_heif(start):
        if wanted.light:
            raise HeavyError
        return _opened_heif(file)
    if wanted.light and not wanted.uploaded:
        return _opened_light(file, start)
    return Image.open(file, formats=UPLOADED if wanted.uploaded else None)


def _opened_light(file: BinaryIO, start: bytes) -> ImageFile.ImageFile:
    """Open a picture of a light format as `Image.open` does, which first imports all plugins."""
    name = next((name for head, name in _LIGHT.items() if start.startswith(head)), None)
    if name is None:
        raise UnidentifiedImageError
    import_module(f"PIL.{name}ImagePlugin")
    factory, accept = Image.OPEN[name.upper()]
    try:
        if not accept or accept(start) is not True:  # or a text, why it cannot be decoded
            raise UnidentifiedImageError
        picture = factory(file, "")
    except (SyntaxError, IndexError, TypeError, struct.error) as error:
        raise UnidentifiedImageError from error
    if picture.width * picture.height > 2 * (Image.MAX_IMAGE_PIXELS or math.inf):
        raise Image.DecompressionBombError
    return picture


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
    elif picture.format in {name.upper() for name in _LIGHT.values()}:
        passes = 4
    else:
        return False
    return picture.width * picture.height * passes <= _LIGHT_WORK
