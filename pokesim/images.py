"""Find the pictures of a folder; read one, from wherever it is, into the pixels a network sees.

Every picture goes the same way, for an index and for a query: first frame, upright by its EXIF
orientation, transparency laid on white, RGB, squeezed to a square without cropping.
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
"""Default cap on width × height; Pillow's own (¼ GiB of RGB)."""

FILE_SECONDS = 60.0
"""How long reading one file of a folder may take by default."""

MAX_BYTES = 64 * 1024 * 1024
"""Cap on a picture that comes from a URL or standard input."""

READING = "first frame, EXIF upright, alpha on white, RGB, squeezed to a square, bilinear"
"""What `pixels_of` does, as an index's manifest records it."""

# A picture is either read, or refused with a reason; Pillow's remarks on damaged metadata and on
# size (our cap takes their place) would only stand between the two.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

# Formats that Pillow names but has no decoder for; a folder's data files, not its pictures.
_NAMED_ONLY = {"BUFR", "GRIB", "HDF5", "MPEG"}

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
    """What a picture's first bytes tell: its format, as Pillow names it, and its size in pixels."""

    format: str
    width: int
    height: int


class _RefusedError(Exception):
    """A picture that we will not decode; the text is the reason."""


def find_files(
    folder: Path, passed_over: Callable[[str, str], object] = lambda path, reason: None
) -> list[str]:
    """List the regular files below ``folder`` in sorted order, hidden ones passed over.

    Returns paths relative to ``folder`` with "/" between their parts. Links to files are followed,
    links to folders are not, so a loop of links ends. ``passed_over`` is told, with the reason, of
    folders that cannot be opened and of what is named like a picture but is no file.
    """
    return sorted(_walk(folder, "", passed_over))


def _walk(folder: Path, prefix: str, passed_over: Callable[[str, str], object]) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        passed_over(prefix, f"the folder cannot be opened ({error.strerror})")
        return
    for entry in entries:
        path = prefix + entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{path}/", passed_over)
        elif _is_file(entry):
            yield path
        elif has_picture_ending(path):
            passed_over(path, _kind(entry))


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # links that lead round in a circle, for one
        return False


def _kind(entry: os.DirEntry[str]) -> str:
    if not entry.is_symlink():
        return "a pipe, a socket or a device, not a file"
    try:
        entry.stat()
    except OSError as error:
        return f"a link that leads to no file ({error.strerror})"
    return "a link to a folder, which is not followed" if entry.is_dir() else "a link to no file"


def has_picture_ending(path: str) -> bool:
    """Say whether a file's name claims to be a picture's, by the endings that Pillow reads."""
    form = Image.registered_extensions().get(Path(path).suffix.lower())
    return form in Image.OPEN and form not in _NAMED_ONLY


def pixels_of(source: PictureSource, side: int, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Read one picture into a (side, side, 3) uint8 RGB array.

    Args:
        source: what to read; see `PictureSource`.
        side: side of the square, in pixels.
        max_pixels: cap on the picture's width × height, looked at before it is decoded.

    Raises:
        NotAPictureError: this is no picture.
        PictureError: the picture cannot be fetched or decoded, or is over the cap.
    """
    with _opened(source, max_pixels) as picture:
        return np.asarray(_scaled(picture, side, side))


def head_of(source: PictureSource, max_pixels: int = MAX_PIXELS) -> Head:
    """Look at the first bytes of what may be a picture, however large; nothing is decoded.

    Raises:
        NotAPictureError, PictureError: as `pixels_of`, but for damage farther on.
    """
    with _opened(source, max_pixels) as picture:
        return Head(picture.format or "", *picture.size)


def thumbnail_of(source: PictureSource, width: int, height: int) -> Image.Image:
    """Read one picture as RGB, in proportion, as large as fits into ``width`` × ``height`` pixels.

    Raises:
        PictureError: the picture cannot be fetched or decoded, or is over `MAX_PIXELS`.
    """
    with _opened(source, MAX_PIXELS) as picture:
        full = picture.size[::-1] if _orientation(picture) >= 5 else picture.size
        scale = min(width / full[0], height / full[1])
        return _scaled(picture, max(1, round(full[0] * scale)), max(1, round(full[1] * scale)))


def in_memory(source: PictureSource) -> PictureSource:
    """Fetch what can be read only once (standard input, a pipe) or slowly (a URL).

    Returns:
        its bytes; any other source as it is.

    Raises:
        PictureError: nothing came, or too much.
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
        reason = f"more than {MAX_BYTES >> 20} MiB" if data else "empty"
        raise PictureError(name_of(source), reason)
    return data


def _is_stream(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _fetched(url: str) -> bytes:
    from pokesim import net  # urllib takes longer to import than all of this module

    try:
        return net.fetch(url, MAX_BYTES)
    except net.NetError as error:
        raise PictureError(url, str(error)) from error


def name_of(source: PictureSource) -> str:
    """Name a picture source for a message or a result."""
    if isinstance(source, str | Path):
        return "standard input" if source == "-" else str(source)
    return str(getattr(source, "filename", "") or "picture in memory")


@contextmanager
def _opened(source: PictureSource, max_pixels: int) -> Iterator[Image.Image]:
    """Open a picture from any source, its size looked at before any pixel is decoded.

    What goes wrong inside the ``with`` block becomes a PictureError too: decoding is lazy, and
    Pillow's plugins raise nearly any exception on a damaged file.
    """
    if max_pixels > MAX_PIXELS:
        # Asked for by name, so Pillow's own limit (an error at twice its value) makes way.
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, max_pixels)
    try:
        with _open(in_memory(source)) as picture:
            if picture.format in _NAMED_ONLY:
                raise UnidentifiedImageError
            if picture.format == "EPS":
                raise _RefusedError("EPS is a program, not a picture; convert it to PNG")
            if picture.width * picture.height > max_pixels:
                size = f"{picture.width} × {picture.height} pixels"
                raise _RefusedError(f"{size} is over the cap of {max_pixels} (--max-pixels)")
            yield picture
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise NotAPictureError(name_of(source), "not a picture that Pillow reads") from error
    except Exception as error:
        raise PictureError(name_of(source), _reason(error)) from error


def _open(source: PictureSource) -> Image.Image:
    if isinstance(source, Image.Image):
        return source.copy()  # draft mode would change the caller's
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)


def _reason(error: Exception) -> str:
    """Put what was raised about a bad file into a few words."""
    match error:
        case FileNotFoundError():
            return "no such file"
        case IsADirectoryError():
            return "a folder, not a picture"
        case PermissionError():
            return "no permission to read it"
        case Image.DecompressionBombError():
            return "too many pixels (--max-pixels raises the cap)"
        case MemoryError():
            return "too large for the memory at hand"
        case _RefusedError():
            return str(error)
    detail = (str(error) or type(error).__name__).splitlines()[0]
    return f"damaged or of an unsupported kind ({detail})"


def _scaled(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Scale a whole picture to ``width`` × ``height``, upright, on white, RGB."""
    orientation = _orientation(picture)
    size = (height, width) if orientation >= 5 else (width, height)
    # For a JPEG, libjpeg decodes at 1/2, 1/4 or 1/8 where that is still twice what is needed.
    picture.draft(None, (2 * size[0], 2 * size[1]))
    small = _plain_mode(picture).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    if orientation in _UPRIGHT:
        # Turning the small picture gives the same pixels as turning the large one, and is cheap.
        small = small.transpose(_UPRIGHT[orientation])
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    return small.convert("RGB")


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1..8; a damaged EXIF block does not spoil a good picture."""
    try:
        value = picture.getexif().get(0x0112, 1)
    except Exception:
        return 1
    return value if value in _UPRIGHT else 1


def _plain_mode(picture: Image.Image) -> Image.Image:
    """Return the picture as L, RGB or RGBA, the modes in which scaling is right."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return _eight_bit(picture)
    if picture.has_transparency_data:
        return picture if picture.mode == "RGBA" else picture.convert("RGBA")
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Bring a grey picture of 16 or 32 bits a pixel to 0..255; Pillow's own convert clips it."""
    grey = np.array(picture, dtype=np.float32)
    np.nan_to_num(grey, copy=False)  # in place, here and below: a picture may be large
    top = float(grey.max())
    if picture.mode != "F" and (picture.mode != "I" or 255 < top <= 65535):
        white = 65535.0
    else:
        white = 1.0 if top <= 1.0 else max(top, 255.0)
    grey *= 255.0 / white
    return Image.fromarray(np.clip(grey, 0, 255, out=grey).astype(np.uint8))
