"""Read a camera's raw file by the preview that is embedded in it."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

from PIL import Image

from pokesim.images.decode import Head, Wanted, read, read_opened
from pokesim.images.kinds import RAW_REASON
from pokesim.images.scale import UnreadableError


def read_raw(file: BinaryIO, wanted: Wanted) -> tuple[Head, Image.Image | None]:
    """Read a raw file's JPEG preview or, if it has none, develop it at half of its size.

    Without the library, it is read as a TIFF, which some raw files are.

    Raises:
        UnreadableError: it is damaged, exceeds a limit, or is of an unknown camera; or the library
            is not installed.
    """
    try:
        import rawpy
    except ImportError:
        try:
            return read(file, wanted)
        except UnreadableError as error:
            raise UnreadableError(RAW_REASON) from error
    try:
        with rawpy.imread(file) as raw:
            preview = _preview(raw, wanted)
    except rawpy.LibRawError as error:
        detail = str(error.args[0], "ascii", "replace").lower() if error.args else "no detail"
        raise UnreadableError(f"damaged or unsupported raw file ({detail})") from error
    if isinstance(preview, bytes):
        head, picture = read(io.BytesIO(preview), wanted)
    else:
        head, picture = read_opened(preview, wanted)
    return head._replace(format="RAW"), picture


def _preview(raw: Any, wanted: Wanted) -> bytes | Image.Image:
    import rawpy

    try:
        preview = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        preview = None
    if preview and preview.format == rawpy.ThumbFormat.JPEG:
        return bytes(preview.data)  # LibRaw has added the orientation
    if raw.sizes.width * raw.sizes.height > wanted.max_pixels:
        raise UnreadableError("too many pixels (--max-pixels raises the limit)")
    return Image.fromarray(raw.postprocess(half_size=True))
