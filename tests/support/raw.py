"""Write a camera's raw file (DNG), as small as LibRaw reads it."""

import io
import struct
from pathlib import Path

from PIL import Image

BYTE, ASCII, SHORT, LONG, RATIONAL, SRATIONAL = 1, 2, 3, 4, 5, 10

_FORMATS = {BYTE: "B", SHORT: "H", LONG: "I"}


def write_dng(path: Path, preview: Image.Image | None, *, orientation: int = 1) -> None:
    """Write 64 × 64 grey sensor values, and a picture as the JPEG preview that cameras embed."""
    jpeg = io.BytesIO()
    if preview:
        preview.save(jpeg, "JPEG", quality=92)
    side, colours = 64, (0, 1, 1, 2)  # a Bayer pattern: red, green, green, blue
    sensor = struct.pack(f"<{side * side}H", *[20000] * (side * side))
    matrix = [one for value in (1, 0, 0, 0, 1, 0, 0, 0, 1) for one in (value, 1)]

    def directory(at: int, strips: int, nested: int) -> bytes:
        return _directory(
            at,
            {
                254: (LONG, [0]),  # NewSubfileType: the picture itself
                256: (LONG, [side]),
                257: (LONG, [side]),
                258: (SHORT, [16]),
                259: (SHORT, [1]),  # uncompressed
                262: (SHORT, [32803]),  # a colour filter array
                271: (ASCII, b"pokesim\0"),
                272: (ASCII, b"test\0"),
                273: (LONG, [strips]),
                274: (SHORT, [orientation]),
                277: (SHORT, [1]),
                278: (LONG, [side]),
                279: (LONG, [len(sensor)]),
                **({330: (LONG, [nested])} if preview else {}),
                33421: (SHORT, [2, 2]),
                33422: (BYTE, list(colours)),
                50706: (BYTE, [1, 4, 0, 0]),  # DNGVersion
                50708: (ASCII, b"pokesim test\0"),  # UniqueCameraModel
                50717: (LONG, [65535]),  # WhiteLevel
                50721: (SRATIONAL, matrix),  # ColorMatrix1
                50728: (RATIONAL, [1, 1, 1, 1, 1, 1]),  # AsShotNeutral
                50778: (SHORT, [21]),  # CalibrationIlluminant1: D65
            },
        )

    def nested(at: int, strips: int) -> bytes:
        assert preview
        return _directory(
            at,
            {
                254: (LONG, [1]),  # a smaller copy
                256: (LONG, [preview.width]),
                257: (LONG, [preview.height]),
                258: (SHORT, [8, 8, 8]),
                259: (SHORT, [7]),  # JPEG
                262: (SHORT, [6]),
                273: (LONG, [strips]),
                277: (SHORT, [3]),
                278: (LONG, [preview.height]),
                279: (LONG, [len(jpeg.getvalue())]),
            },
        )

    first = 8
    second = first + len(directory(0, 0, 0))
    strips = second + (len(nested(0, 0)) if preview else 0)
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, first)
        + directory(first, strips, second)
        + (nested(second, strips + len(sensor)) if preview else b"")
        + sensor
        + jpeg.getvalue()
    )


def _directory(at: int, tags: dict[int, tuple[int, list[int] | bytes]]) -> bytes:
    """Return a TIFF directory that starts at an offset, and after it what does not fit into it."""
    entries, beyond = b"", b""
    start = at + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        count = len(values)
        if isinstance(values, bytes):
            data = values
        elif kind in (RATIONAL, SRATIONAL):
            data, count = struct.pack(f"<{count}i", *values), count // 2
        else:
            data = struct.pack(f"<{count}{_FORMATS[kind]}", *values)
        if len(data) > 4:
            data += bytes(len(data) % 2)
            data, beyond = struct.pack("<I", start + len(beyond)), beyond + data
        entries += struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\0")
    return struct.pack("<H", len(tags)) + entries + bytes(4) + beyond
