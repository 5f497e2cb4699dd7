"""The addresses of the server, and what answers at each; `pokesim.web.openapi` describes them."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pokesim import __version__
from pokesim.errors import PictureError, PokesimError, UsageError
from pokesim.index.items import Item
from pokesim.index.matches import FOLDER, STEM, Match, Question
from pokesim.index.search import Index
from pokesim.show.text import match_dict
from pokesim.web.answers import Json, Refused
from pokesim.web.desk import Desk, Found
from pokesim.web.openapi import K_MAX, description
from pokesim.web.pictures import Kept, as_it_is, png_of, tag_of, thumbnail
from pokesim.web.uploads import MAX_BYTES, Uploads

STATIC = Path(__file__).parent / "static"

_VALUES = 50  # of a column, as /api/info lists them

log = logging.getLogger(__name__)


def create_app(desk: Desk, name: str, needs_token: bool) -> Starlette:
    """Return the application.

    Args:
        desk: what answers.
        name: what the index is called.
        needs_token: it stands behind a guard that asks for a token.
    """
    answers = _Answers(desk, name)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with desk.open():
            yield

    return Starlette(
        routes=[
            Route("/", _page),
            Route("/healthz", _health),
            Route("/openapi.json", partial(_openapi, needs_token)),
            Route("/api/info", answers.info),
            Route("/api/search", answers.search, methods=["POST"]),
            Route("/api/card", answers.card, methods=["POST"]),
            Route("/api/items/{id}/similar", answers.similar),
            Route("/images/{id}", answers.image),
            Route("/thumbnails/{id}", answers.thumbnail),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        lifespan=lifespan,
        exception_handlers={
            Refused: _refused,
            PokesimError: _refused,
            HTTPException: _not_here,
            Exception: _failed,
        },
    )


async def _page(_: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


async def _health(_: Request) -> Response:
    return Json({"status": "ok"})


async def _openapi(needs_token: bool, _: Request) -> Response:
    return Json(description(needs_token))


class _Answers:
    """What is answered from the index."""

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk, self._name = desk, name
        self._uploads = Uploads()
        self._thumbnails = Kept()

    async def info(self, _: Request) -> Response:
        """Tell what the index is, and what may be asked."""
        told = await self._desk.drawing.do(
            "The index", partial(_info, self._desk.index, self._name)
        )
        return Json(told)

    async def search(self, request: Request) -> Response:
        """Find the pictures most like a photo."""
        question = _question(request)
        async with self._uploads.received(request) as body:
            upload = await self._desk.parse(body, request.headers.get("content-type", ""))
            found = await self._desk.find(upload, question)
        return _matches(upload.name, found)

    async def similar(self, request: Request) -> Response:
        """Find the pictures most like one of the index."""
        index, item = self._item(request, request.path_params["id"])
        found = await self._desk.similar(index, item.id, _question(request))
        return _matches(item.label, found)

    async def card(self, request: Request) -> Response:
        """Draw a photo, or a picture of the index, and its matches."""
        from pokesim.show.card import card

        question = _question(request)
        if "item" in request.query_params:
            index, item = self._item(request, request.query_params["item"])
            found = await self._desk.similar(index, item.id, question)
            return await self._drawn(partial(card, _path(index, item)), found)
        async with self._uploads.received(request) as body:
            upload = await self._desk.parse(body, request.headers.get("content-type", ""))
            found = await self._desk.find(upload, question)
            return await self._drawn(partial(card, upload.data), found)

    async def _drawn(
        self, draw: Callable[[list[Match]], Image.Image], found: list[Found]
    ) -> Response:
        matches = [one.match for one in found]
        if not matches:
            raise Refused(404, "No picture is as asked, so there is no card.")
        png = await self._desk.drawing.do("The card", lambda: png_of(draw(matches)))
        name = re.sub(r"[^\w.-]+", "-", matches[0].label)[:80].strip("-.") or "match"
        kept = f"attachment; filename*=UTF-8''pokesim-{quote(name)}.png"
        return Response(png, media_type="image/png", headers={"Content-Disposition": kept})

    async def image(self, request: Request) -> Response:
        """Send a picture of the index."""
        index, item = self._item(request, request.path_params["id"])
        path = _path(index, item)
        tag, known = _known(request, item, path, "")
        if known:
            return known
        sent = await self._desk.drawing.do(item.label, partial(as_it_is, path))
        headers = _cached(request, tag)
        if isinstance(sent.body, Path):
            return FileResponse(sent.body, media_type=sent.kind, headers=headers)
        return Response(sent.body, media_type=sent.kind, headers=headers)

    async def thumbnail(self, request: Request) -> Response:
        """Send a picture of the index, small."""
        index, item = self._item(request, request.path_params["id"])
        path = _path(index, item)
        tag, known = _known(request, item, path, "small")
        if known:
            return known
        drawn = self._thumbnails.get(tag)
        if drawn is None:
            drawn = await self._desk.drawing.do(item.label, partial(thumbnail, path))
            self._thumbnails.keep(tag, drawn)
        return Response(drawn, media_type="image/webp", headers=_cached(request, tag))

    def _item(self, request: Request, given: str) -> tuple[Index, Item]:
        """Return the item with an id; with ``sha256`` the one that had it when this was told.

        Raises:
            Refused: there is none.
        """
        index = self._desk.index
        digest = request.query_params.get("sha256")
        if digest is not None and not re.fullmatch("[0-9a-f]{64}", digest):
            raise Refused(400, "sha256 must be 64 digits from 0 to f.")
        item_id = int(given) if re.fullmatch("[0-9]{1,12}", given) else -1
        item = index.items[item_id] if 0 <= item_id < len(index) else None
        if digest is not None and (item is None or item.sha256 != digest):
            found = index.items.find(digest)
            item = None if found is None else index.items[found]
        if item is None:
            raise Refused(404, "There is no such picture in the index.")
        return index, item


def _path(index: Index, item: Item) -> Path:
    return Path(index.manifest.images) / item.path


def _known(request: Request, item: Item, path: Path, form: str) -> tuple[str, Response | None]:
    """Return the tag of a picture in some form, and the answer if the browser has it."""
    try:
        tag = f'"{tag_of(path)}{form}"'
    except OSError:
        raise Refused(404, f"{item.label}: the picture is gone.") from None
    given = [
        one.strip().removeprefix("W/")
        for one in request.headers.get("if-none-match", "").split(",")
    ]
    if tag in given or "*" in given:
        return tag, Response(status_code=304, headers=_cached(request, tag))
    return tag, None


def _cached(request: Request, tag: str) -> dict[str, str]:
    """Return the headers of a picture; without the hash, an id is good until the next build."""
    how = "max-age=86400" if "sha256" in request.query_params else "no-cache"
    return {"ETag": tag, "Cache-Control": f"private, {how}"}


def _question(request: Request) -> Question:
    """Read what is asked from the query string.

    Raises:
        Refused: k is no number from 1 to `K_MAX`, or group neither true nor false.
    """
    asked = request.query_params
    k, group = asked.get("k", "5"), asked.get("group", "false")
    if not re.fullmatch("[0-9]{1,3}", k) or not 1 <= int(k) <= K_MAX:
        raise Refused(400, f"k must be a number from 1 to {K_MAX}.")
    if group not in ("true", "false"):
        raise Refused(400, "group must be true or false.")
    return Question(int(k), asked.get("where"), asked.get("label", STEM), group == "true")


def _matches(query: str, found: list[Found]) -> Response:
    return Json({"query": query, "matches": [_match(one) for one in found]})


def _match(found: Found) -> dict[str, Any]:
    item = found.item
    address = f"{item.id}?sha256={item.sha256}"
    return match_dict(found.match) | {
        "path": PurePosixPath(item.path).name if item.path.startswith("/") else item.path,
        "id": item.id,
        "sha256": item.sha256,
        "image": f"/images/{address}",
        "thumbnail": f"/thumbnails/{address}",
    }


def _info(index: Index, name: str) -> dict[str, Any]:
    manifest, metadata = index.manifest, index.metadata
    columns = metadata.record.columns if metadata else {}
    return {
        "name": name,
        "count": len(index),
        "embedder": manifest.embedder.name,
        "dimension": manifest.dimension,
        "created": manifest.created,
        "pokesim": __version__,
        "exact": manifest.search.recall is None,
        "labels": [STEM, FOLDER, *columns],
        "columns": [
            {"name": column, "numbers": numbers, "values": metadata.values(column, _VALUES)}
            for column, numbers in columns.items()
            if metadata
        ],
        "k_max": K_MAX,
        "upload_max_bytes": MAX_BYTES,
        "explains": False,
    }


async def _refused(request: Request, error: Exception) -> Response:
    """Say what is wrong; of what is wrong with the server only that, for its paths are its own."""
    match error:
        case Refused():
            return error.response()
        case UsageError():
            return Refused(400, str(error)).response()
        case PictureError():
            return Refused(404, "The picture is gone, or cannot be read.").response()
    return await _failed(request, error)


async def _not_here(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = {404: "There is nothing at this address.", 405: "This address takes no such request."}
    return Refused(
        error.status_code, told.get(error.status_code, error.detail), error.headers
    ).response()


async def _failed(request: Request, error: Exception) -> Response:
    log.error("%s failed: %s: %s", request.url.path, type(error).__name__, error)
    return Refused(500, "The server failed to answer; its log says why.").response()
