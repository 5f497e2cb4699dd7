"""Bounded threads and dynamic batching: many requests share one embedder."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from pokesim.embedders.lanes import CHUNK
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.threads import Threads, usable_cores
from pokesim.web.responses import RequestError, busy

DRAWINGS = 256
"""Maximum number of pictures that wait to be drawn or sent."""

READ_SECONDS = 10.0
"""Time limit for reading or drawing a picture."""

FULL = min(BATCH_SIZE, CHUNK * usable_cores())
"""Number of photos that keep all cores busy with embedding."""

GATHER_SECONDS = 0.02
"""How long photos wait for others that are being read, to be embedded together."""

WAIT_SECONDS = 10.0
"""How long a call may wait for a thread."""

Result = TypeVar("Result")

Thing = TypeVar("Thing")


class BoundedPool:
    """Threads with bounds on the number of calls that wait for them, and on their time."""

    def __init__(
        self, max_pending: int, threads: int | None = None, seconds: float | None = None
    ) -> None:
        """Start the threads.

        Args:
            max_pending: maximum number of calls that run or wait for a thread.
            threads: number of threads; by default, one for each core.
            seconds: time limit for a call; by default, `READ_SECONDS`.
        """
        self._threads = Threads(threads, max_abandoned=usable_cores())
        self._max_pending = max_pending
        self._seconds = seconds or READ_SECONDS
        self._pending = 0

    async def do(self, what: str, call: Callable[[], Result], rank: float = 0) -> Result:
        """Make a call in a thread and return its result.

        Args:
            what: names the work in an error message, such as "The photo".
            call: the call.
            rank: calls of a lower rank are made first.

        Raises:
            RequestError: too many calls are pending, or this one waits or takes too long.
        """
        if self._pending >= self._max_pending:
            raise busy(1)
        self._pending += 1
        try:
            return await self._result(what, call, rank)
        finally:
            self._pending -= 1

    async def _result(self, what: str, call: Callable[[], Result], rank: float) -> Result:
        job, submitted = self._threads.submit(call, rank), time.monotonic()
        future = asyncio.wrap_future(job.future)
        while not (await asyncio.wait([future], timeout=min(self._seconds, 1.0)))[0]:
            if job.overdue(self._seconds):
                self._threads.abandon(job)
                future.cancel()
                raise RequestError(400, f"{what}: reading it took over {self._seconds:g} s.")
            if time.monotonic() - submitted > WAIT_SECONDS and job.future.cancel():
                raise busy(WAIT_SECONDS / 2)
        return future.result()

    @property
    def is_busy(self) -> bool:
        """Whether a call is pending."""
        return self._pending > 0

    def close(self) -> None:
        """Stop the threads after the submitted calls."""
        self._threads.close()


class DynamicBatcher(Generic[Thing]):
    """A thread that processes everything pending as one batch."""

    def __init__(self, name: str, process: Callable[[list[Thing]], None]) -> None:
        self.thread = ThreadPoolExecutor(1, name)
        self._process = process
        self._pending: deque[Thing] = deque()
        self._is_submitted = False
        self._late: asyncio.TimerHandle | None = None

    def put(self, batch: Sequence[Thing]) -> None:
        """Queue up to `BATCH_SIZE` things for the thread."""
        self._pending.extend(batch)
        self._submit()

    def put_first(self, thing: Thing) -> None:
        """Queue a thing that others are about to follow, in the thread of an event loop.

        It waits for `FULL` things together, or `GATHER_SECONDS`: a few at a time take longer.
        """
        self._pending.append(thing)
        if len(self._pending) >= FULL:
            self._submit()
        elif self._late is None:
            self._late = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._submit_late)

    def _submit_late(self) -> None:
        self._late = None
        self._submit()

    def _submit(self) -> None:
        if not self._is_submitted:
            self._is_submitted = True
            self.thread.submit(self._process_pending)

    def _process_pending(self) -> None:
        self._is_submitted = False  # before it takes them: what is put from now on submits again
        count = min(BATCH_SIZE, len(self._pending))
        if count > FULL:
            count -= count % FULL  # the cores end together; what is left goes with the next ones
        batch = [self._pending.popleft() for _ in range(count)]
        if self._pending:
            self._submit()
        if batch:
            self._process(batch)

    def close(self) -> None:
        """Stop the thread after its batch."""
        if self._late:
            self._late.cancel()
        self.thread.shutdown(cancel_futures=True)
