"""Bounded threads and dynamic batching: many requests share one embedder."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from pokesim.embedders.litert import BATCH_SIZE
from pokesim.threads import Threads, usable_cores
from pokesim.web.responses import RequestError, busy

DRAWINGS = 256
"""So many pictures wait to be drawn, or sent, at most."""

READ_SECONDS = 10.0
"""How long reading or drawing a picture may take."""

Result = TypeVar("Result")

Thing = TypeVar("Thing")


class BoundedPool:
    """Threads with a bound on what waits for them."""

    def __init__(self, most: int) -> None:
        self._threads = Threads(max_abandoned=usable_cores())
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
                self._threads.abandon(job)
                coming.cancel()
                raise RequestError(400, f"{what}: reading it took over {READ_SECONDS:g} s.")
        return coming.result()

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()


class DynamicBatcher(Generic[Thing]):
    """A thread that works on all that waits for it as one batch."""

    def __init__(self, name: str, work: Callable[[list[Thing]], None]) -> None:
        self.thread = ThreadPoolExecutor(1, name)
        self._work = work
        self._waiting: deque[Thing] = deque()

    def put(self, batch: Sequence[Thing]) -> None:
        """Have the thread work on some things, `BATCH_SIZE` at most."""
        self._waiting.extend(batch)
        self.thread.submit(self._take)

    def _take(self) -> None:
        # Where an earlier call has taken what this one is for, it finds later things, or none.
        count = min(BATCH_SIZE, len(self._waiting))
        if batch := [self._waiting.popleft() for _ in range(count)]:
            self._work(batch)

    def close(self) -> None:
        """Let the thread end."""
        self.thread.shutdown(cancel_futures=True)
