"""Bounded threads and dynamic batching: many requests share one embedder."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from pokesim.embedders.litert import BATCH_SIZE
from pokesim.threads import Threads, usable_cores
from pokesim.web.responses import RequestError, busy

DRAWINGS = 256
"""Maximum number of pictures that wait to be drawn or sent."""

READ_SECONDS = 10.0
"""Time limit for reading or drawing a picture."""

Result = TypeVar("Result")

Thing = TypeVar("Thing")


class BoundedPool:
    """Threads with a bound on the number of calls that wait for them."""

    def __init__(self, max_pending: int) -> None:
        self._threads = Threads(max_abandoned=usable_cores())
        self._max_pending = max_pending
        self._pending = 0

    async def do(self, what: str, call: Callable[[], Result]) -> Result:
        """Make a call in a thread and return its result.

        Args:
            what: names the work in an error message, such as "The photo".
            call: the call.

        Raises:
            RequestError: too many calls are pending, or this one takes over `READ_SECONDS`.
        """
        if self._pending >= self._max_pending:
            raise busy(1)
        self._pending += 1
        try:
            return await self._result(what, call)
        finally:
            self._pending -= 1

    async def _result(self, what: str, call: Callable[[], Result]) -> Result:
        job = self._threads.submit(call)
        future = asyncio.wrap_future(job.future)
        while not (await asyncio.wait([future], timeout=min(READ_SECONDS, 1.0)))[0]:
            if job.overdue(READ_SECONDS):
                self._threads.abandon(job)
                future.cancel()
                raise RequestError(400, f"{what}: reading it took over {READ_SECONDS:g} s.")
        return future.result()

    def close(self) -> None:
        """Stop the threads after the submitted calls."""
        self._threads.close()


class DynamicBatcher(Generic[Thing]):
    """A thread that processes everything pending as one batch."""

    def __init__(self, name: str, process: Callable[[list[Thing]], None]) -> None:
        self.thread = ThreadPoolExecutor(1, name)
        self._process = process
        self._pending: deque[Thing] = deque()

    def put(self, batch: Sequence[Thing]) -> None:
        """Queue up to `BATCH_SIZE` things for the thread."""
        self._pending.extend(batch)
        self.thread.submit(self._process_pending)

    def _process_pending(self) -> None:
        # An earlier call may have taken the things this one was submitted for; then it takes later
        # ones, or none.
        count = min(BATCH_SIZE, len(self._pending))
        if batch := [self._pending.popleft() for _ in range(count)]:
            self._process(batch)

    def close(self) -> None:
        """Stop the thread after its batch."""
        self.thread.shutdown(cancel_futures=True)
