"""Find the pictures in a folder; read a picture from any source into the pixels of a network.

A light picture, such as a normal photo, is read in this process, and any other in one that can be
ended and whose memory is limited. For pictures from strangers, `read_isolated` leaves nothing to
this process.
"""

from __future__ import annotations

import errno
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

from pokesim.errors import CropError, NotAPictureError, PictureError
from pokesim.files import open_regular
from pokesim.images import decode
from pokesim.images.crop import Crop, CropArgument, as_crop
from pokesim.images.decode import (
    LIGHT_BYTES,
    MAX_PIXELS,
    Head,
    HeavyError,
    UnknownFormatError,
    Wanted,
)
from pokesim.images.find import find_files, has_picture_ending
from pokesim.images.frame import READING, RESAMPLINGS, Frame, Region
from pokesim.images.kinds import FOLDER_REASON, VIDEO_REASON, is_video
from pokesim.images.process import Decoded, PictureProcesses, TooSlowError
from pokesim.images.scale import NoSuchPartError, UnreadableError
from pokesim.images.source import (
    MAX_BYTES,
    CroppedPicture,
    PictureSource,
    WholePicture,
    cropped,
    from_array,
    in_memory,
    is_file,
    name_of,
    whole,
)
from pokesim.images.trim import inside_margins

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "FILE_SECONDS",
    "FOLDER_REASON",
    "MAX_BYTES",
    "MAX_PIXELS",
    "READING",
    "RESAMPLINGS",
    "Crop",
    "CropArgument",
    "CroppedPicture",
    "Frame",
    "Head",
    "HeavyError",
    "PictureProcesses",
    "PictureSource",
    "Pixels",
    "Region",
    "SlowPictureError",
    "Wanted",
    "WholePicture",
    "as_crop",
    "as_pixels",
    "cropped",
    "find_files",
    "has_picture_ending",
    "head_of",
    "image_of",
    "in_memory",
    "name_of",
    "pixels_isolated",
    "pixels_of",
    "read",
    "read_isolated",
    "reduced",
    "seen_of",
    "thumbnail_of",
    "whole",
]

Pixels: TypeAlias = "NDArray[np.uint8]"
"""RGB, 0..255, shape (height, width, 3)."""

FILE_SECONDS = 60.0
"""Default time limit for reading one picture."""

_processes = PictureProcesses()


class SlowPictureError(PictureError):
    """Reading a picture took longer than allowed."""


def pixels_of(source: PictureSource, frame: Frame | int, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Read one picture into a (side, side, 3) uint8 RGB array.

    Args:
        source: what to read; see `PictureSource`.
        frame: how it becomes the square, or the square's side in pixels for ``Frame(side)``.
        max_pixels: limit on the picture's width × height, checked before it is decoded.

    Raises:
        NotAPictureError: the source is not an image.
        PictureError: the picture cannot be fetched or decoded, or exceeds a limit.
    """
    frame = Frame(frame) if isinstance(frame, int) else frame
    return as_pixels(read(source, Wanted.square(frame, max_pixels=max_pixels))[1])


def head_of(source: PictureSource, max_pixels: int = MAX_PIXELS) -> Head:
    """Read a picture's header, without decoding the picture.

    Raises:
        NotAPictureError, PictureError: as `pixels_of` does, except for damage after the header.
    """
    return read(source, Wanted(max_pixels=max_pixels))[0]


def thumbnail_of(source: PictureSource, width: int, height: int) -> Image.Image:
    """Read one picture as RGB, scaled in proportion to fit ``width`` × ``height`` pixels.

    Raises:
        PictureError: the picture cannot be fetched or decoded, or exceeds a limit.
    """
    picture = read(source, Wanted(width, height, proportional=True))[1]
    assert picture
    return picture


def reduced(source: PictureSource, side: int) -> Image.Image:
    """Read one picture as `thumbnail_of` does, at most ``side`` wide and high, and never enlarged.

    Raises:
        PictureError: as `thumbnail_of`.
    """
    head = head_of(source)
    side = min(side, max(head.width, head.height))
    return thumbnail_of(source, side, side)


def image_of(source: PictureSource) -> Image.Image:
    """Read one picture as RGB, upright, in its own size.

    Raises:
        PictureError: the picture cannot be fetched or decoded, or exceeds a limit.
    """
    source = in_memory(source)
    side = max(head_of(source)[1:])
    return thumbnail_of(source, side, side)


def seen_of(source: PictureSource, frame: Frame) -> tuple[Region, tuple[int, int]]:
    """Return what a network sees of a picture, and the picture's size, in a common unit.

    What it sees may reach beyond the picture.

    Raises:
        PictureError: as `thumbnail_of`.
    """
    side = frame.side
    if not (frame.trims or frame.shorter):
        return (0, 0, side, side), (side, side)
    picture = thumbnail_of(source, 4 * side, 4 * side)  # of no more use if larger
    inside = inside_margins(picture, picture.size, side) if frame.trims else None
    return inside.region if inside else frame.region(*picture.size), picture.size


def as_pixels(picture: Image.Image | None) -> Pixels:
    """Return an RGB picture as an array."""
    import numpy as np  # takes longer to import than this module

    assert picture
    return np.asarray(picture)


def read(
    source: PictureSource, wanted: Wanted, seconds: float = FILE_SECONDS
) -> tuple[Head, Image.Image | None]:
    """Read a picture, in this process if it is light, else in another.

    Args:
        source: what to read; see `PictureSource`.
        wanted: what to read of it.
        seconds: time limit for a picture that is not light.

    Raises:
        NotAPictureError, PictureError: as `pixels_of` does; SlowPictureError beyond ``seconds``.
    """
    if isinstance(source, CroppedPicture):
        wanted, source = replace(wanted, crop=source.crop), source.picture
    if not is_file(source):
        source = whole(in_memory(source))
    try:
        if not isinstance(source, str | os.PathLike | bytes | Image.Image):
            source = from_array(source)
        if isinstance(source, Image.Image):
            return decode.read_opened(source, wanted)
        encoded = source if isinstance(source, bytes) else Path(source)
        if data := encoded if isinstance(encoded, bytes) else _content(encoded):
            return decode.read(io.BytesIO(data), replace(wanted, light=True))
    except HeavyError:
        pass
    except (UnreadableError, OSError, TypeError, ValueError) as error:  # or it is no path
        raise _picture_error(source, error) from error
    return read_isolated(encoded, wanted, seconds)


def read_isolated(
    source: Path | bytes,
    wanted: Wanted,
    seconds: float,
    processes: PictureProcesses = _processes,
    *,
    cpu_seconds: float = 0,
) -> tuple[Head, Image.Image | None]:
    """Read a file or an encoded picture in another process, whatever it is.

    Args:
        source: what to read.
        wanted: what to read of it.
        seconds: time limit.
        processes: the processes to use.
        cpu_seconds: limit on the processor time for a light picture; 0 means none.

    Raises:
        NotAPictureError, PictureError: as `pixels_of` does; SlowPictureError beyond ``seconds``.
        HeavyError: the picture is not light, and must be, or takes more than ``cpu_seconds``.
    """
    head, size, pixels = _decoded(source, wanted, seconds, processes, cpu_seconds)
    return head, Image.frombytes("RGB", size, pixels) if pixels else None


def pixels_isolated(
    source: Path | bytes,
    wanted: Wanted,
    seconds: float,
    processes: PictureProcesses,
    *,
    cpu_seconds: float = 0,
) -> Pixels:
    """Read the pixels of a picture in another process; the arguments are those of `read_isolated`.

    Raises:
        NotAPictureError, PictureError, HeavyError: as `read_isolated` does.
    """
    import numpy as np

    _, (width, height), pixels = _decoded(source, wanted, seconds, processes, cpu_seconds)
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def _decoded(
    source: Path | bytes,
    wanted: Wanted,
    seconds: float,
    processes: PictureProcesses,
    cpu_seconds: float,
) -> Decoded:
    try:
        given = source if isinstance(source, bytes) else str(source.absolute())
        return processes.read(given, wanted, seconds, cpu_seconds)
    except TooSlowError as error:
        raise SlowPictureError(name_of(source), f"reading it took over {seconds:g} s") from error
    except (UnreadableError, OSError) as error:
        raise _picture_error(source, error) from error


def _content(path: Path) -> bytes:
    """Return the content of a file; nothing if it is too large for a light picture."""
    with open_regular(path, follow_links=True) as file:
        return b"" if os.fstat(file.fileno()).st_size > LIGHT_BYTES else file.read()


def _picture_error(source: PictureSource, error: Exception) -> PictureError:
    """Return an error that names the picture and says in a few words what is wrong."""
    match error:
        case UnknownFormatError() if is_video(name_of(source)):
            return NotAPictureError(name_of(source), VIDEO_REASON)
        case UnknownFormatError():
            return NotAPictureError(name_of(source), str(error))
        case NoSuchPartError():
            return CropError(name_of(source), str(error))
        case FileNotFoundError():
            reason = "no such file"
        case PermissionError():
            reason = "no permission to read it"
        case OSError(errno=errno.EINVAL):
            is_folder = isinstance(source, str | Path) and Path(source).is_dir()
            reason = FOLDER_REASON if is_folder else "not a regular file"
        case OSError():
            reason = error.strerror or str(error)
        case _:
            reason = str(error)
    return PictureError(name_of(source), reason)
