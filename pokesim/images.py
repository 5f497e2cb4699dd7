"""Find the pictures in a folder; read a picture from any source into the pixels of a network.

Pictures are read in the same way for an index and for a query: first frame, upright by its EXIF
orientation, transparency on white, RGB, squeezed to a square without cropping.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pokesim.errors import NotAPictureError, PictureError

Pixels: TypeAlias = NDArray[np.uint8]
"""RGB, 0..255, shape (height, width, 3)."""

PictureSource: TypeAlias = str | Path | bytes | Image.Image
"""A path, an http(s) URL, "-" for standard input, an encoded picture's bytes, or a Pillow image."""

MAX_PIXELS = 89_478_485
"""Default limit on width × height; the same as Pillow's (¼ GiB of RGB)."""

FILE_SECONDS = 60.0
"""Default time limit for reading one file of a folder."""

MAX_BYTES = 64 * 1024 * 1024
"""Size limit for a picture from a URL or standard input."""

READING = "first frame, EXIF upright, alpha on white, RGB, squeezed to a square, bilinear"
"""What `pixels_of` does. Recorded in each index's manifest, so it changes only if the pixels do."""

# A picture is either read or refused with a reason. Pillow's warnings about damaged metadata, and
# about size (we check that ourselves), would only be noise.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

# Formats that Pillow recognises but cannot decode: data files rather than pictures.
_NO_DECODER = {"BUFR", "GRIB", "HDF5", "MPEG"}

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


class _RefusedError(Exception):
    """A picture that is refused before it is decoded; the message is the reason."""


def find_files(
    folder: Path, on_skipped: Callable[[str, str], object] = lambda path, reason: None
) -> list[str]:
    """List the regular files below ``folder``, except hidden ones, in sorted order.

    Links to files are followed, links to folders are not, so links cannot form a loop.

    Args:
        folder: where to start.
        on_skipped: called with the path and the reason for each folder that cannot be opened, and
            for each entry that is named like a picture but is not a file.

    Returns:
        paths relative to ``folder``, separated by "/".
    """
    return sorted(_walk(folder, "", on_skipped))


def _walk(folder: Path, prefix: str, on_skipped: Callable[[str, str], object]) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        on_skipped(prefix, f"the folder cannot be opened ({error.strerror})")
        return
    for entry in entries:
        path = prefix + entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{path}/", on_skipped)
        elif _is_file(entry):
            yield path
        elif has_picture_ending(path):
            on_skipped(path, _kind(entry))


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # such as a loop of links
        return False


def _kind(entry: os.DirEntry[str]) -> str:
    """Return what an entry is that is neither a file nor a folder."""
    if not entry.is_symlink():
        return "a pipe, a socket or a device, not a file"
    try:
        entry.stat()
    except OSError as error:
        return f"a broken link ({error.strerror})"
    if entry.is_dir():
        return "a link to a folder, which is not followed"
    return "a link to a pipe, a socket or a device"


def has_picture_ending(path: str) -> bool:
    """Return True if a file name has the ending of an image format that pokesim can read."""
    image_format = Image.registered_extensions().get(Path(path).suffix.lower())
    return image_format in Image.OPEN and image_format not in _NO_DECODER


def pixels_of(source: PictureSource, side: int, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Read one picture into a (side, side, 3) uint8 RGB array.

    Args:
        source: what to read; see `PictureSource`.
        side: side of the square, in pixels.
        max_pixels: limit on the picture's width × height, checked before it is decoded.

    Raises:
        NotAPictureError: the source is not an image.
        PictureError: the picture cannot be fetched or decoded, or exceeds the limit.
    """
    with _opened(source, max_pixels) as picture:
        return np.asarray(_scaled(picture, side, side))


def head_of(source: PictureSource, max_pixels: int = MAX_PIXELS) -> Head:
    """Read a picture's header, without decoding the picture.

    Raises:
        NotAPictureError, PictureError: as `pixels_of` does, except for damage after the header.
    """
    with _opened(source, max_pixels) as picture:
        return Head(picture.format or "", *picture.size)


def thumbnail_of(source: PictureSource, width: int, height: int) -> Image.Image:
    """Read one picture as RGB, scaled in proportion to fit ``width`` × ``height`` pixels.

    Raises:
        PictureError: the picture cannot be fetched or decoded, or exceeds `MAX_PIXELS`.
    """
    with _opened(source, MAX_PIXELS) as picture:
        full = picture.size[::-1] if _orientation(picture) >= 5 else picture.size
        scale = min(width / full[0], height / full[1])
        return _scaled(picture, max(1, round(full[0] * scale)), max(1, round(full[1] * scale)))


def in_memory(source: PictureSource) -> PictureSource:
    """Load a source that can be read only once (standard input, a pipe) or slowly (a URL).

    Returns:
        its bytes; any other source unchanged.

    Raises:
        PictureError: the source is empty, larger than `MAX_BYTES`, or cannot be fetched.
    """
    if source == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    elif isinstance(source, str) and source.lower().startswith(("http://", "https://")):
        data = _fetched(source)
    elif isinstance(source, str | Path) and _is_stream(Path(source)):
        with Path(source).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    else:
        return source
    if not 0 < len(data) <= MAX_BYTES:
        reason = f"larger than {MAX_BYTES >> 20} MiB" if data else "empty"
        raise PictureError(name_of(source), reason)
    return data


def _is_stream(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _fetched(url: str) -> bytes:
    from pokesim import net  # urllib takes longer to import than this module

    try:
        return net.fetch(url, MAX_BYTES)
    except net.NetError as error:
        raise PictureError(url, str(error)) from error


def name_of(source: PictureSource) -> str:
    """Return the name of a picture source for messages and results."""
    if isinstance(source, str | Path):
        return "standard input" if source == "-" else str(source)
    return str(getattr(source, "filename", "") or "picture in memory")


@contextmanager
def _opened(source: PictureSource, max_pixels: int) -> Iterator[Image.Image]:
    """Open a picture from any source and check its size before any pixel is decoded.

    Exceptions inside the ``with`` block become a PictureError too: decoding is lazy, and Pillow's
    plugins raise nearly any exception on a damaged file.
    """
    if max_pixels > MAX_PIXELS:
        # The caller chose a higher limit; Pillow would raise an error at twice its own.
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, max_pixels)
    try:
        with _open(in_memory(source)) as picture:
            if picture.format in _NO_DECODER:
                raise UnidentifiedImageError
            if picture.format == "EPS":
                raise _RefusedError("EPS is a program, not an image; convert it to PNG")
            if picture.width * picture.height > max_pixels:
                size = f"{picture.width} × {picture.height} pixels"
                raise _RefusedError(f"{size} exceed the limit of {max_pixels} (--max-pixels)")
            yield picture
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise NotAPictureError(name_of(source), "not an image pokesim can read") from error
    except Exception as error:
        raise PictureError(name_of(source), _reason(error)) from error


def _open(source: PictureSource) -> Image.Image:
    if isinstance(source, Image.Image):
        return source.copy()  # draft mode would change the caller's image
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)


def _reason(error: Exception) -> str:
    """Return why a picture could not be read, in a few words."""
    match error:
        case FileNotFoundError():
            return "no such file"
        case IsADirectoryError():
            return "a folder, not a picture"
        case PermissionError():
            return "no permission to read it"
        case Image.DecompressionBombError():
            return "too many pixels (--max-pixels raises the limit)"
        case MemoryError():
            return "not enough memory to decode it"
        case _RefusedError():
            return str(error)
    detail = (str(error) or type(error).__name__).splitlines()[0]
    return f"damaged or unsupported ({detail})"


def _scaled(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Scale a whole picture to ``width`` × ``height``, upright, on white, RGB."""
    orientation = _orientation(picture)
    size = (height, width) if orientation >= 5 else (width, height)
    # libjpeg decodes a JPEG at 1/2, 1/4 or 1/8 scale if that is still twice the required size.
    picture.draft(None, (2 * size[0], 2 * size[1]))
    small = _scalable(picture).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    if orientation in _UPRIGHT:
        # Turning the small picture is cheap and gives the same pixels as turning the large one.
        small = small.transpose(_UPRIGHT[orientation])
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    return small.convert("RGB")


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1..8; 1 if the EXIF data is missing or damaged."""
    try:
        value = picture.getexif().get(0x0112, 1)
    except Exception:
        return 1
    return value if value in _UPRIGHT else 1


def _scalable(picture: Image.Image) -> Image.Image:
    """Return the picture as L, RGB or RGBA, the modes that scale correctly."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return _eight_bit(picture)
    if picture.has_transparency_data:
        return picture if picture.mode == "RGBA" else picture.convert("RGBA")
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Map a grey picture of 16 or 32 bits per pixel to 0..255; Pillow's convert would clip it."""
    grey = np.array(picture, dtype=np.float32)
    np.nan_to_num(grey, copy=False)  # in place, here and below: a picture may be large
    top = float(grey.max())
    if picture.mode != "F" and (picture.mode != "I" or 255 < top <= 65535):
        white = 65535.0
    else:
        white = 1.0 if top <= 1.0 else max(top, 255.0)
    grey *= 255.0 / white
    return Image.fromarray(np.clip(grey, 0, 255, out=grey).astype(np.uint8))
