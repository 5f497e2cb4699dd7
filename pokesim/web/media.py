"""Pictures of the index for a browser: the original file or a thumbnail."""

from __future__ import annotations

import hashlib
import io
import stat
from functools import partial
from pathlib import Path

from cachetools import LRUCache
from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from pokesim.gallery import webp_of
from pokesim.images import head_of, reduced
from pokesim.index.item import changed_ns
from pokesim.web.params import item_of
from pokesim.web.responses import RequestError
from pokesim.web.service import SearchService

THUMBNAIL = 320
"""Maximum length of a thumbnail's longer side, in pixels."""

_CONVERTED = 2048  # the same for a picture in a format that browsers do not show

_CACHE_BYTES = 16 * 1024 * 1024

_MEDIA_TYPES = {
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
}


class Media:
    """Sends pictures of the index by id, and no other files."""

    def __init__(self, service: SearchService) -> None:
        self._service = service
        # Used by the event loop's thread alone, so it needs no lock.
        self._thumbnails: LRUCache[str, bytes] = LRUCache(_CACHE_BYTES, getsizeof=len)

    async def image(self, request: Request) -> Response:
        """Send a picture: the file itself if browsers show its format, else a WebP."""
        path, headers = self._located(request, "")
        if _is_cached(request, headers):
            return Response(status_code=304, headers=headers)
        media_type, webp = await self._service.drawing.do(
            "The picture", partial(_for_browser, path)
        )
        if webp is None:
            return FileResponse(path, media_type=media_type, headers=headers)
        return Response(webp, media_type=media_type, headers=headers)

    async def thumbnail(self, request: Request) -> Response:
        """Send a picture as a small WebP; recent ones are cached."""
        path, headers = self._located(request, "s")
        if _is_cached(request, headers):
            return Response(status_code=304, headers=headers)
        webp = self._thumbnails.get(headers["ETag"])
        if webp is None:
            webp = await self._service.drawing.do("The picture", partial(_thumbnail, path))
            self._thumbnails[headers["ETag"]] = webp
        return Response(webp, media_type="image/webp", headers=headers)

    def _located(self, request: Request, form: str) -> tuple[Path, dict[str, str]]:
        """Return a picture's path, and the cache headers of its ``form``.

        Without the picture's hash, the address may mean another picture after the next build.
        """
        index = self._service.index
        path = index.path_of(item_of(index, request, request.path_params["id"]))
        keep = "max-age=86400" if "sha256" in request.query_params else "no-cache"
        try:
            return path, {"ETag": f'"{form}{_tag_of(path)}"', "Cache-Control": f"private, {keep}"}
        except OSError:
            raise RequestError(404, "The picture is gone or cannot be read.") from None


def png_of(picture: Image.Image) -> bytes:
    """Return a picture as PNG."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _is_cached(request: Request, headers: dict[str, str]) -> bool:
    """Return True if the browser has the response with these headers."""
    given = request.headers.get("if-none-match", "").split(",")
    return headers["ETag"] in [tag.strip().removeprefix("W/") for tag in given]


def _tag_of(path: Path) -> str:
    """Return a tag that changes with a file. Raises OSError if it is gone or not a regular file."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError
    state = f"{path} {found.st_size} {changed_ns(found)}"
    return hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _for_browser(path: Path) -> tuple[str, bytes | None]:
    """Return a picture's media type, and a WebP if browsers do not show its own format."""
    shown = _MEDIA_TYPES.get(head_of(path).format)
    return (shown, None) if shown else ("image/webp", webp_of(reduced(path, _CONVERTED)))


def _thumbnail(path: Path) -> bytes:
    return webp_of(reduced(path, THUMBNAIL))
