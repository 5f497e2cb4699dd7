"""Functions that create pictures for tests."""

import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

# EXIF orientation → how an upright picture is stored with it; 1 is unchanged.
STORED_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stranger() -> Image.Image:
    """Return a picture of coloured patches that looks like none of the creatures."""
    patches = np.random.default_rng(1).integers(0, 256, (12, 16, 3), np.uint8)
    return Image.fromarray(patches).resize((320, 240))


def as_png(path: Path) -> bytes:
    """Return a picture file as a PNG, transparency included."""
    buffer = io.BytesIO()
    with Image.open(path) as picture:
        picture.save(buffer, "PNG")
    return buffer.getvalue()


def png_of_zeros(width: int, height: int) -> bytes:
    """Return a black PNG with 1 bit per pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 6)
    head = width.to_bytes(4) + height.to_bytes(4) + bytes([1, 0, 0, 0, 0])
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
