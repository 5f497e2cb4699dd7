"""Answers questions about photos: read in threads, embedded and searched in batches.

    photo ── threads: parse, decode ──► one thread: embed ──► one thread: search ──► matches

What comes to a thread while a batch is under way is its next batch; a batch is embedded while the
one before is searched. A place in this line is taken when a photo has come; where there is none
left, the request is refused at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.litert import BATCH_SIZE
from pokesim.errors import PictureError
from pokesim.images import Pixels
from pokesim.index.item import Item
from pokesim.search.index import Index
from pokesim.search.matches import Answer, Match, QueryOptions
from pokesim.web.batching import DRAWINGS, BoundedPool, DynamicBatcher, Thing
from pokesim.web.responses import RequestError, busy
from pokesim.web.uploads import Upload, photo_of

QUEUE = 2 * BATCH_SIZE
"""So many photos are at the desk at most; more are refused."""

REFRESH_SECONDS = 1.0

_Matches: TypeAlias = tuple[list[Match], list[Item]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """An answer, the item of each match, and the index that has them."""

    answer: Answer
    items: list[Item]
    index: Index


@dataclass(slots=True)
class _PendingSearch:
    """A photo that waits: what was read of it, or its id; what is asked; where the answer goes."""

    index: Index
    photo: Pixels | int
    question: QueryOptions
    answer: asyncio.Future[_Matches]

    def tell(self, found: _Matches | Exception) -> None:
        """Give the answer, from whichever thread found it."""
        self.answer.get_loop().call_soon_threadsafe(self._set, found)

    def _set(self, found: _Matches | Exception) -> None:
        if self.answer.done():  # given up
            return
        if isinstance(found, Exception):
            self.answer.set_exception(found)
        else:
            self.answer.set_result(found)


_Embedded: TypeAlias = tuple[_PendingSearch, NDArray[np.float32]]
"""A photo that waits, and its vector."""


class SearchService:
    """Answers questions about photos and items of one index.

    Attributes:
        index: as it is now; who answers a request with it keeps it for as long.
        drawing: the threads that draw pictures and read those of the index.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.drawing = BoundedPool(DRAWINGS)
        self._reading = BoundedPool(QUEUE)
        self._searching = BoundedPool(QUEUE)
        self._embedder = DynamicBatcher[_PendingSearch]("pokesim-embed", self._embed)
        self._searcher = DynamicBatcher[_Embedded]("pokesim-search", _search)
        self._at_desk = 0
        self._batch_seconds = 0.0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Answer, and follow what is published, until the block ends."""
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            for line in (self.drawing, self._reading, self._searching):
                line.close()
            for batcher in (self._embedder, self._searcher):
                batcher.close()

    def warm(self) -> None:
        """Load the model, and let it embed once."""
        _warm(self.index)

    async def find(self, body: bytes, content_type: str, question: QueryOptions) -> SearchResult:
        """Return the matches of the photo in a request's body.

        Raises:
            Refused: there is none, or no place at the desk.
            UsageError: the filter or the label has no meaning here.
        """
        index = self.index
        with self._place():
            reading = partial(_read, index, body, content_type)
            upload, photo = await self._reading.do("The photo", reading)
            answer: asyncio.Future[_Matches] = asyncio.get_running_loop().create_future()
            self._embedder.put([_PendingSearch(index, photo, question, answer)])
            matches, items = await answer
        return SearchResult(Answer(upload.name, upload.data, matches), items, index)

    async def similar(self, index: Index, item: Item, question: QueryOptions) -> SearchResult:
        """Return the matches of an item of an index, without itself; needs no model.

        Raises:
            Refused: too many wait.
            UsageError: as `find`.
        """
        return await self._searching.do("The search", partial(_similar, index, item, question))

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._at_desk >= QUEUE:
            raise busy(self._batch_seconds * QUEUE / BATCH_SIZE)
        self._at_desk += 1
        try:
            yield
        finally:
            self._at_desk -= 1

    def _embed(self, batch: list[_PendingSearch]) -> None:
        """Embed photos, those of one index as one, and pass them on."""
        start = time.monotonic()
        for alike in _groups(batch, lambda asked: id(asked.index)):
            try:
                vectors = alike[0].index.embed_loaded([asked.photo for asked in alike])
            except Exception as error:
                for asked in alike:
                    asked.tell(error)
            else:
                self._searcher.put(list(zip(alike, vectors, strict=True)))
        self._batch_seconds = time.monotonic() - start

    async def _follow(self) -> None:
        """Take what is published; requests that have begun end with the index they began with."""
        told = ""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                newer = await asyncio.to_thread(self.index.refresh)
                if newer is not self.index:
                    # Where embedding is done, for the network may be the same.
                    loop = asyncio.get_running_loop()
                    await loop.run_in_executor(self._embedder.thread, _warm, newer)
                    self.index = newer
                    log.info("The index is new: %s pictures.", f"{len(newer):,}")
                told = ""
            except Exception as error:
                if told != str(error):
                    log.warning("%s The index from before answers on.", error)
                told = str(error)


def _warm(index: Index) -> None:
    side = index.manifest.embedder.side
    index.embed(np.zeros((1, side, side, 3), np.uint8))


def _read(index: Index, body: bytes, content_type: str) -> tuple[Upload, Pixels | int]:
    upload = photo_of(body, content_type)
    try:
        return upload, index.load(upload.data)
    except PictureError as error:
        raise RequestError(400, f"{upload.name}: {error.reason}.") from error


def _search(batch: list[_Embedded]) -> None:
    """Search with vectors, those of one index that ask alike as one, and tell the answers."""
    for alike in _groups(batch, lambda one: (id(one[0].index), one[0].question)):
        index, question = alike[0][0].index, alike[0][0].question
        found: Sequence[_Matches | Exception]
        try:
            answers = index.matches(np.stack([vector for _, vector in alike]), question)
            found = [(matches, _items(index, matches)) for matches in answers]
        except Exception as error:
            found = [error] * len(alike)
        for (asked, _), answer in zip(alike, found, strict=True):
            asked.tell(answer)


def _groups(things: Iterable[Thing], key: Callable[[Thing], Hashable]) -> list[list[Thing]]:
    groups: dict[Hashable, list[Thing]] = defaultdict(list)
    for thing in things:
        groups[key(thing)].append(thing)
    return list(groups.values())


def _similar(index: Index, item: Item, question: QueryOptions) -> SearchResult:
    (matches,) = index.matches(index.vectors([item.id]), question, [{item.id}])
    name = index.label_of(item, question.label)
    return SearchResult(Answer(name, index.path_of(item), matches), _items(index, matches), index)


def _items(index: Index, matches: Sequence[Match]) -> list[Item]:
    return [index.items[match.id] for match in matches]
