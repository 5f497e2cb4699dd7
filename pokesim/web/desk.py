"""Answers questions about photos: read in threads, embedded and searched in batches.

    photo ── threads: parse, decode ──► waiting ── one at a time: embed, search ──► matches

Photos that arrive while a batch is under way are the next batch. A place in this line is taken
when a photo has come; where there is none left, the request is refused at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, TypeVar

import numpy as np

from pokesim.embedders.litert import BATCH_SIZE
from pokesim.errors import PictureError, PokesimError
from pokesim.images import Pixels
from pokesim.index.items import Item
from pokesim.index.matches import Answer, Match, Question
from pokesim.index.search import Index
from pokesim.threads import Threads, usable_cores
from pokesim.web.answers import Refused, busy
from pokesim.web.uploads import Upload, photo_of

QUEUE = 2 * BATCH_SIZE
"""So many photos are at the desk at most; more are refused."""

DRAWINGS = 256
"""So many pictures wait to be drawn, or sent, at most."""

READ_SECONDS = 10.0
"""How long reading or drawing a picture may take."""

REFRESH_SECONDS = 1.0

Result = TypeVar("Result")
_Matches: TypeAlias = tuple[list[Match], list[Item]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """An answer, the item of each match, and the index that has them."""

    answer: Answer
    items: list[Item]
    index: Index


@dataclass(slots=True)
class _Asked:
    """A photo that waits: what was read of it, or its id; what is asked; where the answer goes."""

    index: Index
    photo: Pixels | int
    question: Question
    answer: asyncio.Future[_Matches]


class Line:
    """Threads with a bound on what waits for them."""

    def __init__(self, most: int) -> None:
        self._threads = Threads(most_left_behind=usable_cores())
        self._most = most
        self._waiting = 0

    async def do(self, what: str, call: Callable[[], Result]) -> Result:
        """Return what a call returns.

        Raises:
            Refused: too many wait, or it took too long.
        """
        if self._waiting >= self._most:
            raise busy(1)
        self._waiting += 1
        try:
            return await self._done(what, call)
        finally:
            self._waiting -= 1

    async def _done(self, what: str, call: Callable[[], Result]) -> Result:
        job = self._threads.submit(call)
        coming = asyncio.wrap_future(job.future)
        while not (await asyncio.wait([coming], timeout=min(READ_SECONDS, 1.0)))[0]:
            if time.monotonic() - job.started > READ_SECONDS:
                self._threads.give_up(job)
                coming.cancel()
                raise Refused(400, f"{what}: reading it took over {READ_SECONDS:g} s.")
        return coming.result()

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()


class Desk:
    """Answers questions about photos and items of one index.

    Attributes:
        index: as it is now; who answers a request with it keeps it for as long.
        drawing: the threads that draw pictures and read those of the index.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.drawing = Line(DRAWINGS)
        self._reading = Line(QUEUE)
        self._searching = Line(QUEUE)
        self._embedding = ThreadPoolExecutor(1, "pokesim-embed")
        self._asked: list[_Asked] = []
        self._news = asyncio.Event()
        self._at_desk = 0
        self._batch_seconds = 0.0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Answer, and follow what is published, until the block ends."""
        work = [asyncio.create_task(self._answer_all()), asyncio.create_task(self._follow())]
        try:
            yield
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            self._embedding.shutdown(cancel_futures=True)
            for line in (self.drawing, self._reading, self._searching):
                line.close()

    def warm(self) -> None:
        """Load the model, and let it embed once."""
        _warm(self.index)

    async def find(self, body: bytes, content_type: str, question: Question) -> Found:
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
            self._asked.append(_Asked(index, photo, question, answer))
            self._news.set()
            matches, items = await answer
        return Found(Answer(upload.name, upload.data, matches), items, index)

    async def similar(self, index: Index, item: Item, question: Question) -> Found:
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

    async def _answer_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._news.wait()
            batch, self._asked = self._asked[:BATCH_SIZE], self._asked[BATCH_SIZE:]
            if not self._asked:
                self._news.clear()
            start = time.monotonic()
            answers: Sequence[_Matches | Exception]
            try:
                answers = await loop.run_in_executor(self._embedding, _answered, batch)
            except Exception as error:
                answers = [error] * len(batch)
            self._batch_seconds = time.monotonic() - start
            for asked, answer in zip(batch, answers, strict=True):
                if asked.answer.done():  # given up
                    continue
                if isinstance(answer, Exception):
                    asked.answer.set_exception(answer)
                else:
                    asked.answer.set_result(answer)

    async def _follow(self) -> None:
        """Take what is published; requests that have begun end with the index they began with."""
        told = ""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                newer = await asyncio.to_thread(self.index.refresh)
                if newer is not self.index:
                    # Where embedding is done, for the network may be the same.
                    await asyncio.get_running_loop().run_in_executor(self._embedding, _warm, newer)
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
        return upload, index.read(upload.data)
    except PictureError as error:
        raise Refused(400, f"{upload.name}: {error.reason}.") from error


def _answered(batch: Sequence[_Asked]) -> list[_Matches | PokesimError]:
    """Answer a batch: what is of one index is embedded as one, what asks alike searched as one."""
    answers: dict[int, _Matches | PokesimError] = {}
    for of_one in _groups(range(len(batch)), lambda at: id(batch[at].index)):
        index = batch[of_one[0]].index
        vectors = index.embed_read([batch[at].photo for at in of_one])
        vector_of = dict(zip(of_one, vectors, strict=True))
        for alike in _groups(of_one, lambda at: batch[at].question):
            xq = np.stack([vector_of[at] for at in alike])
            question = batch[alike[0]].question
            try:
                for at, matches in zip(alike, index.matches(xq, question), strict=True):
                    answers[at] = matches, _items(index, matches)
            except PokesimError as error:
                answers |= dict.fromkeys(alike, error)
    return [answers[at] for at in range(len(batch))]


def _groups(places: Iterable[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for at in places:
        groups[key(at)].append(at)
    return list(groups.values())


def _similar(index: Index, item: Item, question: Question) -> Found:
    (matches,) = index.matches(index.vectors([item.id]), question, [{item.id}])
    name = index.label_of(item, question.label)
    return Found(Answer(name, index.path_of(item), matches), _items(index, matches), index)


def _items(index: Index, matches: Sequence[Match]) -> list[Item]:
    return [index.items[match.id] for match in matches]
