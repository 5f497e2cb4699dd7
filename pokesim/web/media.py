"""Pictures of the index for a browser: the original file or a thumbnail."""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cachetools import LRUCache
from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from pokesim.files import numbered_name
from pokesim.gallery import webp_of
from pokesim.images import head_of, reduced
from pokesim.index.item import Item, changed_ns
from pokesim.search.index import Index
from pokesim.search.matches import AUTO
from pokesim.web.params import item_of, pictures_of
from pokesim.web.responses import RequestError, disposition
from pokesim.web.service import SearchService
from pokesim.web.zips import Entry, ZipResponse, check_size

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


# Of a picture in a tab of its own, which the browser's viewer lays out with inline styles.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


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
        name = path.name if webp is None else f"{path.stem}.webp"
        headers["Content-Disposition"] = disposition("inline", name)
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

    async def zip(self, request: Request) -> Response:
        """Send the files of several pictures as a zip, named by number and label."""
        index, label = self._service.index, request.query_params.get("label", AUTO)
        named = partial(_named, index, pictures_of(index, request), label)
        entries = await self._service.drawing.do("The zip", named)
        return ZipResponse([] if request.method == "HEAD" else entries)

    def _located(self, request: Request, form: str) -> tuple[Path, dict[str, str]]:
        """Return a picture's path, and the cache headers of its ``form``.

        Without the picture's hash, the address may mean another picture after the next build.
        """
        index = self._service.index
        path = index.path_of(item_of(index, request, request.path_params["id"]))
        keep = "max-age=86400" if "sha256" in request.query_params else "no-cache"
        try:
            tag = _tag_of(path)
        except OSError:
            raise RequestError(404, "The picture is gone or cannot be read.") from None
        return path, {
            "ETag": f'"{form}{tag}"',
            "Cache-Control": f"private, {keep}",
            "Content-Security-Policy": _POLICY,
        }


def png_of(picture: Image.Image) -> bytes:
    """Return a picture as PNG."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _is_cached(request: Request, headers: dict[str, str]) -> bool:
    """Return True if the browser has the response with these headers."""
    given = request.headers.get("if-none-match", "").split(",")
    return headers["ETag"] in [tag.strip().removeprefix("W/") for tag in given]


def _named(index: Index, items: Sequence[Item | None], label: str) -> list[Entry]:
    """Return the name and the path of each picture for a zip; no path for one that is gone.

    Raises:
        UsageError: there is no such label.
        RequestError: the pictures are too large together.
    """
    check_size(sum(item.size for item in items if item))
    entries: list[Entry] = []
    for number, item in enumerate(items, 1):
        name, ending = (index.label_of(item, label), Path(item.path).suffix) if item else ("", "")
        path = index.path_of(item) if item else None
        entries.append((numbered_name(number, len(items), name, ending), path))
    return entries


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
