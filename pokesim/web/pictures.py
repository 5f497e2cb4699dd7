"""Pictures of the index for a browser: the file itself, or a thumbnail."""

from __future__ import annotations

import hashlib
import io
import stat
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pokesim.images import head_of, thumbnail_of
from pokesim.index.items import changed_ns

THUMBNAIL = 320
"""Pixels of a thumbnail's longer side, at most."""

_DRAWN = 2048  # the same, of a picture whose format browsers do not show
_SHOWN = {
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes to the browser: the media type, and the bytes or the file that holds them."""

    kind: str
    body: bytes | Path


class Kept:
    """What was drawn last, up to a number of bytes."""

    def __init__(self, most: int = 16 * 1024 * 1024) -> None:
        self._most, self._bytes = most, 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def get(self, tag: str) -> bytes | None:
        """Return what was kept under an entity tag."""
        if tag in self._kept:
            self._kept.move_to_end(tag)
        return self._kept.get(tag)

    def keep(self, tag: str, drawn: bytes) -> None:
        """Keep something; what was not asked for longest makes way."""
        self._bytes += len(drawn) - len(self._kept.pop(tag, b""))
        self._kept[tag] = drawn
        while self._bytes > self._most:
            self._bytes -= len(self._kept.popitem(last=False)[1])


def tag_of(path: Path) -> str:
    """Return an entity tag of a file as it is now.

    Raises:
        OSError: it is gone, or no regular file.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError
    told = f"{path} {found.st_size} {changed_ns(found)}"
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def as_it_is(path: Path) -> Sent:
    """Return a picture's file if browsers show its format, else a PNG of it.

    Raises:
        PictureError: it cannot be read.
    """
    kind = _SHOWN.get(head_of(path).format)
    return Sent(kind, path) if kind else Sent("image/png", png_of(_at_most(_DRAWN, path)))


def thumbnail(path: Path) -> bytes:
    """Return a small WebP of a picture. Raises PictureError where it cannot be read."""
    out = io.BytesIO()
    _at_most(THUMBNAIL, path).save(out, "WEBP", quality=82)
    return out.getvalue()


def png_of(picture: Image.Image) -> bytes:
    """Return a picture as PNG."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _at_most(side: int, path: Path) -> Image.Image:
    head = head_of(path)
    side = min(side, max(head.width, head.height))
    return thumbnail_of(path, side, side)
