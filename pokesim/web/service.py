"""Answers searches: photos are read in threads, embedded and searched in batches.

    photo ── threads: parse, decode ──► one thread: embed ──► one thread: search ──► matches

Everything that reaches a thread while it processes a batch forms its next batch; a batch is
embedded while the previous one is searched. While others are being read, photos wait a moment for
them, so that all cores share the work on a batch. A photo enters this queue when its upload is
complete; if the queue is full, the request is rejected at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Sequence, Set
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pokesim.embedders.litert import BATCH_SIZE
from pokesim.errors import CropError
from pokesim.images import PictureSource, Wanted, cropped, pixels_of
from pokesim.index.item import Item
from pokesim.search.embedder import LoadedPhoto
from pokesim.search.index import Index
from pokesim.search.matches import Answer, Match, Matches
from pokesim.show.drawing.card import HEIGHT
from pokesim.web.batching import DRAWINGS, BoundedPool, DynamicBatcher, Thing
from pokesim.web.params import SearchRequest
from pokesim.web.reading import PhotoReader
from pokesim.web.responses import RequestError, busy

QUEUE = 3 * BATCH_SIZE
"""Maximum number of photos in progress; further ones are rejected."""

ANSWER_SECONDS = 30.0
"""How long a photo that has been read may wait for its matches."""

REFRESH_SECONDS = 1.0

_DRAWN = Wanted(2 * HEIGHT, 2 * HEIGHT, proportional=True)
"""A photo to be drawn on a card: large enough to stay sharp after its margin is cut off."""

_Matches: TypeAlias = tuple[list[Match], int, list[Item]]
"""Matches, the number of pictures that were searched, and the item of each match."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """An answer, and what it comes from.

    Attributes:
        answer: the answer.
        items: the item of each match.
        asked: what was asked for.
        indexed: whether the index has a picture with the photo's bytes.
    """

    answer: Answer
    items: list[Item]
    asked: SearchRequest
    indexed: bool = True


@dataclass(slots=True)
class _PendingSearch:
    """A search that waits for a thread.

    Attributes:
        asked: what to search for.
        name: of the photo, for messages.
        photo: the photo.
        answer: future for the matches.
    """

    asked: SearchRequest
    name: str
    photo: LoadedPhoto
    answer: asyncio.Future[_Matches]

    def resolve(self, found: _Matches | Exception) -> None:
        """Set the answer."""
        if self.answer.done():  # cancelled
            return
        if isinstance(found, Exception):
            self.answer.set_exception(found)
        else:
            self.answer.set_result(found)


_Embedded: TypeAlias = tuple[_PendingSearch, NDArray[np.float32]]
"""A pending search and the vector of its photo."""


class SearchService:
    """Searches one index for photos and for its own items.

    Attributes:
        index: the current snapshot; each request keeps the one it started with.
        drawing: threads that draw pictures and read those of the index.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.drawing = BoundedPool(DRAWINGS)
        self._reader = PhotoReader(QUEUE)
        self._searching = BoundedPool(QUEUE)
        self._embedder = DynamicBatcher[_PendingSearch]("pokesim-embed", self._embed)
        self._searcher = DynamicBatcher[_Embedded]("pokesim-search", _search)
        self._in_progress = 0
        self._batch_seconds = 0.0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Run until the block ends, switching to newer snapshots when they are published."""
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            for pool in (self.drawing, self._searching):
                pool.close()
            self._reader.close()
            for batcher in (self._embedder, self._searcher):
                batcher.close()

    def warm(self) -> None:
        """Load the model and embed once."""
        _warm(self.index)

    async def find(
        self, asked: SearchRequest, body: bytes, content_type: str, *, drawn: bool = False
    ) -> SearchResult:
        """Return the matches of the photo in a request's body.

        Args:
            asked: what to search for.
            body: the request's body.
            content_type: its type.
            drawn: the answer's photo will be drawn, so it is a picture, and not bytes.

        Raises:
            RequestError: the body has no photo, or too many are in progress.
            UsageError: the filter or the label is not valid for this index.
            CombinationError: the photo and the items do not make one question.
        """
        with self._slot():
            loading = self._reader.load(asked.index, body, content_type, asked.crop)
            upload, photo, same = await loading
            if asked.options.exclude_self:
                asked = replace(asked, same=same)
            found = await self._matches(asked, upload.name, photo)
            shown: PictureSource = upload.data
            if drawn and found[0]:
                shown = await self._reader.read(upload, replace(_DRAWN, crop=asked.crop))
        return replace(_result(asked, upload.name, shown, found), indexed=bool(same))

    async def preview(self, body: bytes, content_type: str) -> Image.Image:
        """Return the photo in a request's body, scaled for a page; raises as `find` does."""
        with self._slot():
            return await self._reader.picture(body, content_type, _DRAWN)

    async def similar(self, asked: SearchRequest, item: Item) -> SearchResult:
        """Return the matches of an item of an index, without the item; only a part needs the model.

        Raises:
            RequestError: too many requests are waiting, or the item has no such part.
            UsageError, CombinationError: as `find`.
        """
        if not asked.crop:
            return await self._searching.do("The search", partial(_similar, asked, item))
        with self._slot():
            part = cropped(asked.index.path_of(item), asked.crop)
            read = partial(pixels_of, part, asked.index.manifest.embedder.frame)
            try:
                photo = LoadedPhoto(await self.drawing.do("The picture", read))
            except CropError as error:
                raise RequestError(400, f"{item.label}: {error.reason}.") from error
            found = await self._matches(asked, item.label, photo)
        name = asked.index.label_of(item, asked.options.label)
        return _result(asked, name, part, found)

    async def named(self, asked: SearchRequest, words: str) -> SearchResult:
        """Return the matches of a word.

        Raises:
            RequestError: too many requests are waiting.
            UsageError: the word is not known, or the filter or the label is not valid.
        """
        return await self._searching.do("The search", partial(_named, asked, words))

    async def _matches(self, asked: SearchRequest, name: str, photo: LoadedPhoto) -> _Matches:
        """Embed a photo and search with it, each in a batch."""
        answer: asyncio.Future[_Matches] = asyncio.get_running_loop().create_future()
        pending = _PendingSearch(asked, name, photo, answer)
        if self._reader.is_reading:
            self._embedder.put_first(pending)
        else:
            self._embedder.put([pending])
        try:
            return await asyncio.wait_for(answer, ANSWER_SECONDS)
        except TimeoutError:
            raise busy(self._batch_seconds) from None

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if self._in_progress >= QUEUE:
            raise busy(self._batch_seconds * QUEUE / BATCH_SIZE)
        self._in_progress += 1
        try:
            yield
        finally:
            self._in_progress -= 1

    def _embed(self, batch: list[_PendingSearch]) -> None:
        """Embed photos, one batch for each index, and pass them to the searching thread."""
        start = time.monotonic()
        waiting = [pending for pending in batch if not pending.answer.cancelled()]
        for group in _groups(waiting, lambda pending: id(pending.asked.index)):
            try:
                index = group[0].asked.index
                vectors = index.embed_loaded([pending.photo for pending in group])
            except Exception as error:
                _resolve(group, [error] * len(group))
            else:
                self._searcher.put([*_combined(zip(group, vectors, strict=True))])
        self._batch_seconds = time.monotonic() - start

    async def _follow(self) -> None:
        """Switch to newer snapshots; requests in progress keep the one they started with."""
        reported = ""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                newer = await asyncio.to_thread(self.index.refresh)
                if newer is not self.index:
                    # In the embedding thread, as both may share one embedder.
                    loop = asyncio.get_running_loop()
                    await loop.run_in_executor(self._embedder.thread, _warm, newer)
                    self.index = newer
                    log.info("Switched to a newer index: %s pictures.", f"{len(newer):,}")
                reported = ""
            except Exception as error:
                if reported != str(error):
                    log.warning("%s Serving the previous index.", error)
                reported = str(error)


def _warm(index: Index) -> None:
    side = index.manifest.embedder.side
    index.embed_pixels(np.zeros((1, side, side, 3), np.uint8))


def _combined(embedded: Iterable[_Embedded]) -> Iterator[_Embedded]:
    """Yield the searches with their vectors, combined with those of the items they name."""
    for pending, vector in embedded:
        try:
            row = _row(pending.asked, pending.name, vector)
        except Exception as error:
            _resolve([pending], [error])
        else:
            yield pending, row


def _row(asked: SearchRequest, name: str, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vector to search with, (d,)."""
    if not asked.others and not asked.words:
        return vector
    rows = asked.index.vectors([item.id for item, _ in asked.others])
    others = list(zip(asked.examples, rows, strict=True))
    return asked.index.mixed(name, vector, others, asked.words)


def _search(batch: list[_Embedded]) -> None:
    """Search with vectors, one batch for each index and options, and resolve the answers."""
    for group in _groups(batch, lambda one: (id(one[0].asked.index), one[0].asked.options)):
        asked = group[0][0].asked
        found: Sequence[_Matches | Exception]
        try:
            own = [pending.asked.own for pending, _ in group]
            found = _found(asked, np.stack([vector for _, vector in group]), own)
        except Exception as error:
            found = [error] * len(group)
        _resolve([pending for pending, _ in group], found)


def _resolve(searches: Sequence[_PendingSearch], found: Sequence[_Matches | Exception]) -> None:
    """Set the answers of searches, all at once, in the thread of their event loop."""

    def resolve() -> None:
        for pending, answer in zip(searches, found, strict=True):
            pending.resolve(answer)

    searches[0].answer.get_loop().call_soon_threadsafe(resolve)


def _found(
    asked: SearchRequest, xq: NDArray[np.float32], own: Sequence[Set[int]]
) -> list[_Matches]:
    """Search with vectors, (n, d), that share an index and options."""
    index, options = asked.index, asked.options
    searched, items = index.count(options.where), index.items
    return [
        (matches, searched, [items[match.id] for match in matches])
        for matches in index.matches(xq, options, own)
    ]


def _groups(things: Iterable[Thing], key: Callable[[Thing], Hashable]) -> list[list[Thing]]:
    groups: dict[Hashable, list[Thing]] = defaultdict(list)
    for thing in things:
        groups[key(thing)].append(thing)
    return list(groups.values())


def _similar(asked: SearchRequest, item: Item) -> SearchResult:
    name, path = asked.index.label_of(item, asked.options.label), asked.index.path_of(item)
    row = _row(asked, name, asked.index.vectors([item.id])[0])
    (found,) = _found(asked, row[None], [asked.own])
    return _result(asked, name, path, found)


def _named(asked: SearchRequest, words: str) -> SearchResult:
    index, options = asked.index, asked.options
    answer = index.answer_words(
        words, options.k, where=options.where, label=options.label, group=options.group
    )
    return SearchResult(answer, [index.items[one.id] for one in answer.matches], asked)


def _result(asked: SearchRequest, name: str, photo: PictureSource, found: _Matches) -> SearchResult:
    matches, searched, items = found
    others = [*asked.examples, *asked.words]
    answer = Answer(name, photo, Matches(matches), searched, None, asked.crop, others)
    return SearchResult(answer, items, asked)
