"""A zip of pictures, made while it is sent: neither in memory nor on the disk as a whole."""

from __future__ import annotations

import io
import logging
import os
import time
import zipfile
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeAlias

from starlette.responses import StreamingResponse
from starlette.types import Send

from pokesim.errors import PictureError
from pokesim.files import open_regular
from pokesim.images import head_of
from pokesim.web.responses import RequestError, disposition

ZIP_BYTES = 1 << 30
"""Cap on the pictures in a zip."""

Entry: TypeAlias = tuple[str, Path | None]
"""The name of a picture in the zip, and its file; None if it is not in the index any more."""

_BLOCK = 1 << 18

_EARLIEST, _LATEST = 315_619_200.0, 4_354_000_000.0  # times that a zip can hold, anywhere on earth

log = logging.getLogger(__name__)


def check_size(total: int) -> None:
    """Raise RequestError if pictures with so many bytes are too large for a zip."""
    if total > ZIP_BYTES:
        raise RequestError(
            413,
            f"These pictures have {total / 1e6:,.0f} MB, and a zip holds at most "
            f"{ZIP_BYTES / 1e6:,.0f} MB; choose fewer.",
        )


class ZipResponse(StreamingResponse):
    """Sends pictures as a zip.

    Those that are gone or cannot be read are named in a text file in it. If one breaks off while it
    is sent, so does the response, and no half picture looks like a whole one.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        headers = {
            "Content-Disposition": disposition("attachment", "pokesim-matches.zip"),
            "Cache-Control": "no-store",
        }
        super().__init__(_zipped(entries), media_type="application/zip", headers=headers)

    async def stream_response(self, send: Send) -> None:
        """Send the head and the body."""
        try:
            await super().stream_response(send)
        except OSError as error:  # without an end of the body, the server cuts the connection
            log.warning("A zip breaks off: %s", error.strerror or error)


def _zipped(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield a zip of pictures, at most `ZIP_BYTES` of them. Raises OSError if one breaks off."""
    out, missing, room = _Pieces(), [], ZIP_BYTES
    with zipfile.ZipFile(out, "w") as archive:  # stored: pictures are compressed already
        for name, path in entries:
            try:
                opened = _opened(path, room)
            except (OSError, PictureError):
                missing.append(name)
                continue
            with opened:
                found = os.fstat(opened.fileno())
                entry = _entry(name, found.st_mtime)
                entry.file_size, room = found.st_size, room - found.st_size
                with archive.open(entry, "w") as part:
                    for block in _blocks(opened, found.st_size):
                        part.write(block)
                        yield out.take()
        if missing:
            lines = ["These pictures are gone, cannot be read, or are too large:", *missing, ""]
            archive.writestr(_entry("not included.txt", time.time()), "\n".join(lines))
    yield out.take()


def _opened(path: Path | None, room: int) -> BufferedReader:
    """Open a picture of at most ``room`` bytes. Raises OSError or PictureError."""
    if path is None:
        raise FileNotFoundError
    head_of(path)  # the file may have become something else, which is nobody's business
    opened = open_regular(path, follow_links=True)
    if os.fstat(opened.fileno()).st_size > room:
        opened.close()
        raise OSError
    return opened


def _entry(name: str, changed: float) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, time.localtime(min(max(changed, _EARLIEST), _LATEST))[:6])
    entry.external_attr = 0o644 << 16
    return entry


def _blocks(opened: BufferedReader, size: int) -> Iterator[bytes]:
    """Yield a file of this size. Raises OSError if it has become shorter."""
    while size:
        block = opened.read(min(_BLOCK, size))
        if not block:
            raise OSError("a picture has become shorter")
        size -= len(block)
        yield block


class _Pieces(io.RawIOBase):
    """What a zip is written to; it cannot be rewound."""

    def __init__(self) -> None:
        self._pieces = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        self._pieces += piece
        return len(piece)

    def take(self) -> bytes:
        """Return what has been written since the last call."""
        pieces, self._pieces = bytes(self._pieces), bytearray()
        return pieces
