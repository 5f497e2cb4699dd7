"""Pictures of the index for a browser: the file itself, or a thumbnail."""

from __future__ import annotations

import hashlib
import io
import stat
from collections import OrderedDict
from functools import partial
from pathlib import Path

from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from pokesim.images import head_of, thumbnail_of
from pokesim.index.item import changed_ns
from pokesim.web.params import item_of
from pokesim.web.responses import RequestError
from pokesim.web.service import SearchService

THUMBNAIL = 320
"""Pixels of a thumbnail's longer side, at most."""

_DRAWN = 2048  # the same, of a picture whose format browsers do not show

_KEPT_BYTES = 16 * 1024 * 1024

_SHOWN = {
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
}


class Media:
    """Sends the pictures of the index, and only these: by id."""

    def __init__(self, desk: SearchService) -> None:
        self._desk = desk
        self._thumbnails = _Kept()

    async def image(self, request: Request) -> Response:
        """Send a picture: its file if browsers show its format, else a PNG."""
        path, headers = self._found(request, "")
        if _has(request, headers):
            return Response(status_code=304, headers=headers)
        kind, drawn = await self._desk.drawing.do("The picture", partial(_as_it_is, path))
        if drawn is None:
            return FileResponse(path, media_type=kind, headers=headers)
        return Response(drawn, media_type=kind, headers=headers)

    async def thumbnail(self, request: Request) -> Response:
        """Send a picture as a small WebP; the last ones are kept."""
        path, headers = self._found(request, "s")
        if _has(request, headers):
            return Response(status_code=304, headers=headers)
        drawn = self._thumbnails.get(headers["ETag"])
        if drawn is None:
            drawn = await self._desk.drawing.do("The picture", partial(_thumbnail, path))
            self._thumbnails.keep(headers["ETag"], drawn)
        return Response(drawn, media_type="image/webp", headers=headers)

    def _found(self, request: Request, form: str) -> tuple[Path, dict[str, str]]:
        """Return a picture's path, and the headers by which a browser keeps its ``form``.

        Without the picture's hash the address means another picture after a build.
        """
        index = self._desk.index
        path = index.path_of(item_of(index, request, request.path_params["id"]))
        keep = "max-age=86400" if "sha256" in request.query_params else "no-cache"
        try:
            return path, {"ETag": f'"{form}{_tag_of(path)}"', "Cache-Control": f"private, {keep}"}
        except OSError:
            raise RequestError(404, "The picture is gone, or cannot be read.") from None


class _Kept:
    """What was drawn last, up to a number of bytes."""

    def __init__(self) -> None:
        self._bytes = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def get(self, tag: str) -> bytes | None:
        if tag in self._kept:
            self._kept.move_to_end(tag)
        return self._kept.get(tag)

    def keep(self, tag: str, drawn: bytes) -> None:
        """Keep something; what was asked for longest ago makes way."""
        self._bytes += len(drawn) - len(self._kept.pop(tag, b""))
        self._kept[tag] = drawn
        while self._bytes > _KEPT_BYTES:
            self._bytes -= len(self._kept.popitem(last=False)[1])


def png_of(picture: Image.Image) -> bytes:
    """Return a picture as PNG."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _has(request: Request, headers: dict[str, str]) -> bool:
    """Say whether the browser has what these headers are of."""
    given = request.headers.get("if-none-match", "").split(",")
    return headers["ETag"] in [tag.strip().removeprefix("W/") for tag in given]


def _tag_of(path: Path) -> str:
    """Return what changes with a file. Raises OSError where it is gone, or no regular file."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError
    told = f"{path} {found.st_size} {changed_ns(found)}"
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _as_it_is(path: Path) -> tuple[str, bytes | None]:
    """Return a picture's media type if browsers show it, else that of a PNG, and the PNG."""
    shown = _SHOWN.get(head_of(path).format)
    return (shown, None) if shown else ("image/png", png_of(_at_most(_DRAWN, path)))


def _thumbnail(path: Path) -> bytes:
    out = io.BytesIO()
    _at_most(THUMBNAIL, path).save(out, "WEBP", quality=82)
    return out.getvalue()


def _at_most(side: int, path: Path) -> Image.Image:
    head = head_of(path)
    side = min(side, max(head.width, head.height))
    return thumbnail_of(path, side, side)
