"""The routes of the server and their handlers; ``openapi.json`` describes them."""

from __future__ import annotations

import logging
import mimetypes
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path, PurePath
from typing import Any

from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pokesim import __version__
from pokesim.embedders.embedder import spec_for
from pokesim.embedders.words.vocabulary import takes_words
from pokesim.errors import CombinationError, PictureError, PokesimError, UsageError
from pokesim.gallery import webp_of
from pokesim.index.item import Item
from pokesim.search.index import Index
from pokesim.search.matches import AUTO, FOLDER, Answer, Matches
from pokesim.show.answers import as_dict
from pokesim.show.drawing.card import card
from pokesim.show.text import plain
from pokesim.web.media import Media, png_of
from pokesim.web.openapi import K_MAX, description
from pokesim.web.params import WORDS, item_of, search_request_of, truth_of, word_request_of
from pokesim.web.responses import JsonResponse, RequestError, disposition
from pokesim.web.service import SearchResult, SearchService
from pokesim.web.uploads import MAX_BYTES, Uploads
from pokesim.web.zips import ZIP_BYTES

STATIC = Path(__file__).parent / "static"

_VALUES = 50  # values of a column that /api/info lists at most

log = logging.getLogger(__name__)

# The system's table may lack these types, and browsers reject modules served as any other type.
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("font/woff2", ".woff2")


def create_app(service: SearchService, name: str, needs_token: bool) -> Starlette:
    """Return the application.

    Args:
        service: answers the searches.
        name: name of the index.
        needs_token: the middleware around the application requires a token.
    """
    api, media = _Api(service, name), Media(service)

    async def openapi(_: Request) -> Response:
        return JsonResponse(description(needs_token))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with service.open():
            yield

    return Starlette(
        routes=[
            Route("/", _page),
            Route("/healthz", _health),
            Route("/openapi.json", openapi),
            Route("/api/info", api.info),
            Route("/api/search", api.search, methods=["POST"]),
            Route("/api/words", api.words),
            Route("/api/items/{id}/similar", api.similar),
            Route("/api/preview", api.preview, methods=["POST"]),
            Route("/api/card", api.card, methods=["POST"]),
            Route("/api/explain", api.explain, methods=["POST"]),
            Route("/api/zip", media.zip),
            Route("/images/{id}", media.image),
            Route("/thumbnails/{id}", media.thumbnail),
            Mount("/static", _Static(directory=STATIC)),
        ],
        lifespan=lifespan,
        exception_handlers={
            RequestError: _on_error,
            PokesimError: _on_error,
            HTTPException: _on_http_exception,
            Exception: _on_failure,
        },
    )


class _Static(StaticFiles):
    """Static files that browsers cache but revalidate, so that they notice a new version."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def _page(_: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


async def _health(_: Request) -> Response:
    return JsonResponse({"status": "ok"})


class _Api:
    """The handlers of ``/api``."""

    def __init__(self, service: SearchService, name: str) -> None:
        self._service, self._name = service, name
        self._uploads = Uploads()
        self._info: tuple[Index | None, dict[str, Any]] = None, {}

    async def info(self, _: Request) -> Response:
        """Describe the index and the options of a search."""
        index = self._service.index
        if self._info[0] is not index:
            info = await self._service.drawing.do("The index", partial(_info, index, self._name))
            self._info = index, info
        return JsonResponse(self._info[1])

    async def search(self, request: Request) -> Response:
        """Find the pictures most like a photo."""
        async with self._result(request, None) as found:
            return JsonResponse(_as_dict(found) | {"indexed": found.indexed})

    async def similar(self, request: Request) -> Response:
        """Find the pictures most like a picture of the index."""
        async with self._result(request, request.path_params["id"]) as found:
            return JsonResponse(_as_dict(found))

    async def words(self, request: Request) -> Response:
        """Find the pictures nearest to a word."""
        words = request.query_params.get("words")
        if words is None:
            raise RequestError(400, "Give a word: words=WORDS.")
        return JsonResponse(_as_dict(await self._named(request, words)))

    async def preview(self, request: Request) -> Response:
        """Send a photo back as a WebP, for browsers that do not show its format."""
        async with self._uploads.received(request) as body:
            content_type = request.headers.get("content-type", "")
            picture = await self._service.preview(body, content_type)
        webp = await self._service.drawing.do("The picture", partial(webp_of, picture))
        return Response(webp, media_type="image/webp")

    async def card(self, request: Request) -> Response:
        """Draw a photo, a picture of the index or a word, and its matches."""
        words = request.query_params.get("words")
        if words is not None:
            return await self._card_of(await self._named(request, words))
        item = request.query_params.get("item")
        async with self._result(request, item, drawn=True) as found:
            return await self._card_of(found)

    async def explain(self, request: Request) -> Response:
        """Draw where a photo, or a picture of the index, and one of its matches are alike."""
        if {"with", "without", *WORDS} & request.query_params.keys():
            raise RequestError(400, "Only one photo is explained: leave out with and without.")
        shown, is_dark = request.query_params.get("item"), truth_of(request, "dark")
        async with self._result(request, shown, drawn=True) as found:
            item = item_of(
                found.asked.index, request, request.query_params.get("match", ""), "match_sha256"
            )
            matches = Matches(match for match in found.answer.matches if match.id == item.id)
            if not matches:
                raise RequestError(404, "This picture is not among the matches.")
            answer = replace(found.answer, matches=matches)
            return await self._drawn(
                "pokesim-why", answer, partial(_explained, found, answer, is_dark)
            )

    async def _named(self, request: Request, words: str) -> SearchResult:
        return await self._service.named(word_request_of(self._service.index, request), words)

    async def _card_of(self, found: SearchResult) -> Response:
        if not found.answer.matches:
            raise RequestError(404, "There are no matches, so there is no card to draw.")
        return await self._drawn("pokesim", found.answer, partial(card, found.answer))

    @asynccontextmanager
    async def _result(
        self, request: Request, item: str | None, *, drawn: bool = False
    ) -> AsyncIterator[SearchResult]:
        """Yield the matches of an item, by id, or else of the photo in the request's body."""
        asked = search_request_of(self._service.index, request, item)
        if asked.item:
            yield await self._service.similar(asked, asked.item)
            return
        async with self._uploads.received(request) as body:
            content_type = request.headers.get("content-type", "")
            yield await self._service.find(asked, body, content_type, drawn=drawn)

    async def _drawn(self, kind: str, answer: Answer, draw: Callable[[], Image.Image]) -> Response:
        png = await self._service.drawing.do("The picture", lambda: png_of(draw()))
        name = f"{kind}-{answer.matches[0].label[:80]}.png"
        headers = {"Content-Disposition": disposition("attachment", name)}
        return Response(png, media_type="image/png", headers=headers)


def _as_dict(found: SearchResult) -> dict[str, Any]:
    """Return an answer as the command line writes it, without the server's own paths."""
    answer = as_dict(found.answer)
    for match, item in zip(answer["matches"], found.items, strict=True):
        match.update(_shown(item))
    examples = [*answer.get("with", ()), *answer.get("without", ())]
    pictures = (one for one in examples if "words" not in one)
    for example, (item, _) in zip(pictures, found.asked.others, strict=True):
        example.update(_addresses(item))
    return answer


@lru_cache(4096)
def _shown(item: Item) -> dict[str, Any]:
    path = PurePath(item.path).name if PurePath(item.path).is_absolute() else item.path
    return {"path": path, "bytes": item.size, **_addresses(item)}


def _addresses(item: Item) -> dict[str, Any]:
    address = f"{item.id}?sha256={item.sha256}"
    return {
        "id": item.id,
        "sha256": item.sha256,
        "image": f"/images/{address}",
        "thumbnail": f"/thumbnails/{address}",
    }


def _explained(found: SearchResult, answer: Answer, is_dark: bool) -> Image.Image:
    assert answer.photo is not None  # /api/explain takes no word
    explanation = found.asked.index.explain(answer.photo, answer.matches[0].path)
    return card(answer, explanation, is_dark=is_dark)


def _info(index: Index, name: str) -> dict[str, Any]:
    manifest, metadata = index.manifest, index.metadata
    columns = metadata.record.columns if metadata else {}
    return {
        "name": name,
        "count": len(index),
        "embedder": manifest.embedder.name,
        "about": spec_for(manifest.embedder).about,
        "dimension": manifest.dimension,
        "created": manifest.created,
        "pokesim": __version__,
        "exact": manifest.search.recall is None,
        "labels": [AUTO, *([FOLDER] if index.items.in_folders else []), *columns],
        "columns": [
            {"name": column, "numbers": numbers, "values": metadata.values(column, _VALUES)}
            for column, numbers in columns.items()
            if metadata
        ],
        "k_max": K_MAX,
        "upload_max_bytes": MAX_BYTES,
        "zip_max_bytes": ZIP_BYTES,
        "explains": index.explains,
        "words": takes_words(manifest.embedder),
    }


async def _on_error(request: Request, error: Exception) -> Response:
    """Report what is wrong with the request; the server's own faults may name its paths."""
    match error:
        case RequestError():
            return error.response()
        case UsageError():
            return RequestError(400, str(error)).response()
        case CombinationError():
            return RequestError(400, str(error)).response()
        case PictureError():
            return RequestError(404, "The picture is gone or cannot be read.").response()
    return await _on_failure(request, error)


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    messages = {
        404: "There is nothing at this address.",
        405: "This address does not support the request's method.",
    }
    message = messages.get(error.status_code, error.detail)
    return RequestError(error.status_code, message, error.headers).response()


async def _on_failure(request: Request, error: Exception) -> Response:
    log.error(plain(f"{request.url.path} failed: {type(error).__name__}: {error}"))
    return RequestError(500, "The server failed to answer; see its log.").response()
