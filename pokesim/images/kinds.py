"""Kinds of files beside those that Pillow itself knows: HEIF, and what cannot be read here."""

from __future__ import annotations

import re

HEIF_ENDINGS = (".heic", ".heics", ".heif", ".heifs", ".hif")

START_BYTES = 64
"""How much of a file's start shows whether it is HEIF."""

# Brands (ISO/IEC 23008-12) of pictures that are coded with HEVC, and of pictures in general.
_HEVC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_ANY_CODEC = {b"mif1", b"msf1"}

_RAW = re.compile(
    r"\.(3fr|arw|cr[23w]|dcr|dng|erf|iiq|kdc|mef|mos|mrw|nef|nrw|orf|pef|raf|rw[2l]|sr[2fw]|x3f)$",
    re.IGNORECASE,
)

_VIDEO = re.compile(r"\.(3g2|3gp|avi|flv|m2ts|m4v|mkv|mov|mp4|mpe?g|ogv|webm|wmv)$", re.IGNORECASE)

FOLDER_REASON = "a folder, not a picture"

VIDEO_REASON = "a video, not a picture; save a frame of it as JPEG"

RAW_REASON = "a camera's raw file; pip install 'pokesim[raw]', or export it as JPEG"


def is_heif(start: bytes) -> bool:
    """Return True if a file that starts with these bytes is a HEIF picture, coded with HEVC.

    An AVIF picture may start with the same brand; what else it is compatible with tells them apart.
    """
    if start[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(start[:4]), len(start))
    brands = [start[at : at + 4] for at in (8, *range(16, end - 3, 4))]
    return brands[0] in _HEVC or (brands[0] in _ANY_CODEC and not _HEVC.isdisjoint(brands))


def is_video(path: str) -> bool:
    """Return True if a file name has the ending of a video."""
    return _VIDEO.search(path) is not None


def is_raw(path: str) -> bool:
    """Return True if a file name has the ending of a camera's raw file."""
    return _RAW.search(path) is not None
