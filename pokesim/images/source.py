"""Where a picture comes from: a file, a URL, standard input, or memory; all of it, or a part."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from PIL import Image

from pokesim.errors import PictureError
from pokesim.images.crop import Crop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WholePicture: TypeAlias = "str | Path | bytes | Image.Image | NDArray[np.uint8]"
"""A path, an http(s) URL, "-" for standard input, an encoded picture's bytes, a Pillow image, or an
array of RGB pixels, uint8 (height, width, 3)."""


@dataclass(frozen=True, slots=True, eq=False)
class CroppedPicture:
    """A part of a picture; it is read as if it were the picture."""

    picture: WholePicture
    crop: Crop


PictureSource: TypeAlias = "WholePicture | CroppedPicture"
"""A picture, or a part of one."""

MAX_BYTES = 64 * 1024 * 1024
"""Size limit for a picture from a URL or standard input."""


class _Received(bytes):
    """A picture's bytes that know where they came from.

    Attributes:
        filename: the name, as that of a Pillow image.
    """

    filename: str


def cropped(source: PictureSource, crop: Crop | None) -> PictureSource:
    """Return a part of a picture; the whole for None."""
    return CroppedPicture(whole(source), crop) if crop else source


def whole(source: PictureSource) -> WholePicture:
    """Return the picture that a source is, or is a part of."""
    return source.picture if isinstance(source, CroppedPicture) else source


def in_memory(source: PictureSource) -> PictureSource:
    """Load a source that can be read only once (standard input, a pipe) or slowly (a URL).

    Returns:
        its bytes; any other source unchanged.

    Raises:
        PictureError: the source is empty, larger than `MAX_BYTES`, or cannot be fetched.
    """
    if isinstance(source, CroppedPicture):
        return cropped(in_memory(source.picture), source.crop)
    if not is_file(source):
        data = sys.stdin.buffer.read(MAX_BYTES + 1) if source == "-" else _fetched(str(source))
    elif isinstance(source, str | Path) and _is_stream(Path(source)):
        with Path(source).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    else:
        return source
    if not 0 < len(data) <= MAX_BYTES:
        reason = f"larger than {MAX_BYTES >> 20} MiB" if data else "empty"
        raise PictureError(name_of(source), reason)
    received = _Received(data)
    received.filename = name_of(source)
    return received


def from_array(pixels: Any) -> Image.Image:
    """Return an array of RGB pixels, uint8 (height, width, 3), as a Pillow image.

    Raises:
        TypeError, ValueError: it is anything else.
    """
    import numpy as np  # takes longer to import than this module

    if not isinstance(pixels, np.ndarray):
        raise TypeError(f"not a picture but {type(pixels).__name__}")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(
            f"an array must be uint8 (height, width, 3), not {pixels.dtype} {pixels.shape}"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def is_file(source: PictureSource) -> bool:
    """Return False for standard input and for a URL, True for any other source."""
    source = whole(source)
    return not (
        isinstance(source, str)
        and (source == "-" or source.lower().startswith(("http://", "https://")))
    )


def _is_stream(path: Path) -> bool:
    try:
        return path.exists() and not path.is_file() and not path.is_dir()
    except (OSError, ValueError):  # such as a name that is too long: opening it says why
        return False


def _fetched(url: str) -> bytes:
    from pokesim import net  # urllib takes longer to import than this module

    try:
        return net.fetch(url, MAX_BYTES)
    except net.NetError as error:
        raise PictureError(url, str(error)) from error


def name_of(source: PictureSource) -> str:
    """Return the name of a picture source for messages and results."""
    source = whole(source)
    if isinstance(source, str | Path):
        return "standard input" if source == "-" else str(source)
    return str(getattr(source, "filename", "") or "picture in memory")
