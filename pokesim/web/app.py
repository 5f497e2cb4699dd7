"""The addresses of the server, and what answers at each; ``openapi.json`` describes them."""

from __future__ import annotations

import logging
import mimetypes
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
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
from pokesim.search.index import Index
from pokesim.search.matches import FOLDER, STEM, Answer
from pokesim.show.answers import as_dict
from pokesim.show.card import card
from pokesim.show.text import plain
from pokesim.web.media import Media, png_of
from pokesim.web.openapi import K_MAX, description
from pokesim.web.params import item_of, query_options_of
from pokesim.web.responses import JsonResponse, RequestError
from pokesim.web.service import SearchResult, SearchService
from pokesim.web.uploads import MAX_BYTES, Uploads

STATIC = Path(__file__).parent / "static"

_VALUES = 50  # of a column, as /api/info lists them

log = logging.getLogger(__name__)

# The machine's own table may lack them, and a browser takes no module of another type.
mimetypes.add_type("text/javascript", ".js")

mimetypes.add_type("font/woff2", ".woff2")


def create_app(desk: SearchService, name: str, needs_token: bool) -> Starlette:
    """Return the application.

    Args:
        desk: what answers.
        name: what the index is called.
        needs_token: it stands behind a guard that asks for a token.
    """
    answers, pictures = _Answers(desk, name), Media(desk)

    async def openapi(_: Request) -> Response:
        return JsonResponse(description(needs_token))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with desk.open():
            yield

    return Starlette(
        routes=[
            Route("/", _page),
            Route("/healthz", _health),
            Route("/openapi.json", openapi),
            Route("/api/info", answers.info),
            Route("/api/search", answers.search, methods=["POST"]),
            Route("/api/items/{id}/similar", answers.similar),
            Route("/api/card", answers.card, methods=["POST"]),
            Route("/api/explain", answers.explain, methods=["POST"]),
            Route("/images/{id}", pictures.image),
            Route("/thumbnails/{id}", pictures.thumbnail),
            Mount("/static", _Static(directory=STATIC)),
        ],
        lifespan=lifespan,
        exception_handlers={
            RequestError: _refused,
            PokesimError: _refused,
            HTTPException: _not_here,
            Exception: _failed,
        },
    )


class _Static(StaticFiles):
    """Files that a browser keeps, but asks about, so that it sees a new version."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def _page(_: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


async def _health(_: Request) -> Response:
    return JsonResponse({"status": "ok"})


class _Answers:
    """What is answered from the index."""

    def __init__(self, desk: SearchService, name: str) -> None:
        self._desk, self._name = desk, name
        self._uploads = Uploads()
        self._info: tuple[Index | None, dict[str, Any]] = None, {}

    async def info(self, _: Request) -> Response:
        """Tell what the index is, and what may be asked."""
        index = self._desk.index
        if self._info[0] is not index:
            told = await self._desk.drawing.do("The index", partial(_info, index, self._name))
            self._info = index, told
        return JsonResponse(self._info[1])

    async def search(self, request: Request) -> Response:
        """Find the pictures most like a photo."""
        async with self._asked(request, None) as found:
            return JsonResponse(_as_dict(found))

    async def similar(self, request: Request) -> Response:
        """Find the pictures most like one of the index."""
        async with self._asked(request, request.path_params["id"]) as found:
            return JsonResponse(_as_dict(found))

    async def card(self, request: Request) -> Response:
        """Draw a photo, or a picture of the index, and its matches."""
        async with self._asked(request, request.query_params.get("item")) as found:
            if not found.answer.matches:
                raise RequestError(404, "No picture is as asked, so there is no card.")
            return await self._drawn("pokesim", found.answer, partial(card, found.answer))

    async def explain(self, request: Request) -> Response:
        """Draw where a photo, or a picture of the index, and one of its matches agree."""
        async with self._asked(request, request.query_params.get("item")) as found:
            asked = item_of(
                found.index, request, request.query_params.get("match", ""), "match_sha256"
            )
            matches = [match for match in found.answer.matches if match.id == asked.id]
            if not matches:
                raise RequestError(404, "This picture is not among the matches.")
            answer = replace(found.answer, matches=matches)
            return await self._drawn(
                "pokesim-why", answer, partial(_explained, found.index, answer)
            )

    @asynccontextmanager
    async def _asked(self, request: Request, item: str | None) -> AsyncIterator[SearchResult]:
        """Yield what is found for an item, or else for the photo in the request's body."""
        question = query_options_of(request)
        if item is not None:
            index = self._desk.index
            yield await self._desk.similar(index, item_of(index, request, item), question)
            return
        if "sha256" in request.query_params:
            raise RequestError(400, "sha256 goes with the id of an item.")
        async with self._uploads.received(request) as body:
            kind = request.headers.get("content-type", "")
            yield await self._desk.find(body, kind, question)

    async def _drawn(self, kind: str, answer: Answer, draw: Callable[[], Image.Image]) -> Response:
        png = await self._desk.drawing.do("The picture", lambda: png_of(draw()))
        name = re.sub(r"[^\w.-]+", "-", f"{kind}-{answer.matches[0].label[:80]}.png")
        plain = name.encode("ascii", "replace").decode().replace("?", "_")
        kept = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
        return Response(png, media_type="image/png", headers={"Content-Disposition": kept})


def _as_dict(found: SearchResult) -> dict[str, Any]:
    """Return an answer as the command line writes it, without paths of this machine."""
    told = as_dict(found.answer)
    for match, item in zip(told["matches"], found.items, strict=True):
        address = f"{item.id}?sha256={item.sha256}"
        match |= {
            "path": PurePath(item.path).name if PurePath(item.path).is_absolute() else item.path,
            "id": item.id,
            "sha256": item.sha256,
            "image": f"/images/{address}",
            "thumbnail": f"/thumbnails/{address}",
        }
    return told


def _explained(index: Index, answer: Answer) -> Image.Image:
    return card(answer, index.explain(answer.photo, answer.matches[0].path))


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
        "labels": [STEM, *([FOLDER] if index.items.in_folders else []), *columns],
        "columns": [
            {"name": column, "numbers": numbers, "values": metadata.values(column, _VALUES)}
            for column, numbers in columns.items()
            if metadata
        ],
        "k_max": K_MAX,
        "upload_max_bytes": MAX_BYTES,
        "explains": index.explains,
    }


async def _refused(request: Request, error: Exception) -> Response:
    """Say what is wrong; of what is wrong with the server only that, for its paths are its own."""
    match error:
        case RequestError():
            return error.response()
        case UsageError():
            return RequestError(400, str(error)).response()
        case PictureError():
            return RequestError(404, "The picture is gone, or cannot be read.").response()
    return await _failed(request, error)


async def _not_here(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = {404: "There is nothing at this address.", 405: "This address takes no such request."}
    sentence = told.get(error.status_code, error.detail)
    return RequestError(error.status_code, sentence, error.headers).response()


async def _failed(request: Request, error: Exception) -> Response:
    log.error(plain(f"{request.url.path} failed: {type(error).__name__}: {error}"))
    return RequestError(500, "The server failed to answer; its log says why.").response()
