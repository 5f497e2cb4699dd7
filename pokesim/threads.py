"""Threads that read pictures ahead of time, and calls with a time limit.

Pillow decodes and scales without holding Python's global interpreter lock, so threads suffice.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from itertools import count
from queue import PriorityQueue
from typing import Any, Generic, TypeVar

Source = TypeVar("Source")

Result = TypeVar("Result")

_limits: dict[str, int] = {}
"""``cores``: the number set by `use_cores`, if it was called."""


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if "cores" in _limits:
        return _limits["cores"]
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_cores(count: int) -> None:
    """Limit this process to ``count`` cores, because other processes use the rest."""
    _limits["cores"] = count


class Job(Generic[Result]):
    """A call for a thread to make, and its result.

    Attributes:
        future: the result; a call that has not started can be cancelled.
        started: when a thread started the call, by `time.monotonic`; infinity before.
        abandoned: whether nobody waits for the call any longer; see `Threads.abandon`.
    """

    def __init__(self, call: Callable[[], Result]) -> None:
        self.future: Future[Result] = Future()
        self.started = math.inf
        self.abandoned = False
        self._call: Callable[[], Result] | None = call

    def run(self) -> None:
        """Make the call, unless it was cancelled, and set the future."""
        if not self.future.set_running_or_notify_cancel():
            return
        self.started = time.monotonic()
        # What the call refers to, such as open files, is let go before anybody has the result.
        call, self._call = self._call, None
        assert call
        try:
            result = call()
        except BaseException as error:
            self.future.set_exception(error)
        else:
            del call
            self.future.set_result(result)

    def overdue(self, seconds: float) -> bool:
        """Return True if the call has been running for longer than ``seconds``."""
        return time.monotonic() - self.started > seconds


def call_within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return ``call()``, made in a thread that is abandoned when the time is up.

    No socket timeout covers a resolver that hangs or a server that sends one byte now and then.

    Raises:
        TimeoutError: the call took longer than ``seconds``.
        Exception: any exception that the call raises.
    """
    job = Job(call)
    threading.Thread(target=job.run, daemon=True).start()
    if not wait([job.future], timeout=seconds).done:
        raise TimeoutError
    return job.future.result()


class Alarms:
    """Calls that are made unless a block ends in time.

    One thread waits for all of them: starting one for each block takes longer than many a block.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[object, tuple[float, Callable[[], None]]] = {}
        self._wakes = math.inf
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def after(self, seconds: float, call: Callable[[], None]) -> Iterator[None]:
        """Make a call unless the block ends within ``seconds``; never after the block.

        Args:
            seconds: the time limit.
            call: what to do; it must be quick, and raise nothing.
        """
        token, due = object(), time.monotonic() + seconds
        with self._changed:
            self._waiting[token] = due, call
            if self._thread is None or not self._thread.is_alive():  # or this process was forked
                self._thread = threading.Thread(target=self._wait, daemon=True)
                self._thread.start()
            elif due < self._wakes:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._waiting.pop(token, None)

    def _wait(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for token, (due, call) in list(self._waiting.items()):
                    if due <= now:
                        del self._waiting[token]
                        call()
                # It may wake for a block that has ended; a wait without end needs no timeout.
                self._wakes = min((due for due, _ in self._waiting.values()), default=math.inf)
                left = self._wakes - now
                self._changed.wait(None if left == math.inf else min(left, threading.TIMEOUT_MAX))


class Threads:
    """A pool of threads, which replaces those that hang.

    A thread cannot be stopped from outside, so one that hangs is abandoned and a new one replaces
    it. All are daemon threads: one that hangs does not keep the process alive.
    """

    def __init__(self, threads: int | None = None, max_abandoned: float = math.inf) -> None:
        """Start the threads.

        Args:
            threads: number of threads; by default, one for each core.
            max_abandoned: while more threads than this hang, they are not replaced.
        """
        self._count = threads or usable_cores()
        self._max_abandoned = max_abandoned
        self._jobs: PriorityQueue[tuple[float, int, Job[Any] | None]] = PriorityQueue()
        self._order = count()
        self._lock = threading.Lock()
        self._working = self._abandoned = 0
        for _ in range(self._count):
            self._start()

    def submit(self, call: Callable[[], Result], rank: float = 0) -> Job[Result]:
        """Queue a call for the next free thread, after all calls of a lower or the same rank."""
        job = Job(call)
        self._put(rank, job)
        return job

    def abandon(self, job: Job[Any]) -> None:
        """Stop waiting for a job that hangs, and replace its thread."""
        with self._lock:
            if job.future.done():  # it has just finished
                return
            job.abandoned = True
            self._working -= 1
            self._abandoned += 1
            if self._abandoned <= self._max_abandoned:
                self._start()

    def close(self) -> None:
        """End the threads after the submitted jobs."""
        self._put(math.inf, None)

    def _put(self, rank: float, job: Job[Any] | None) -> None:
        self._jobs.put((rank, next(self._order), job))

    def _start(self) -> None:
        self._working += 1
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while job := self._jobs.get()[2]:
            job.run()
            with self._lock:
                if job.abandoned:
                    self._abandoned -= 1
                    if self._working >= self._count:
                        return
                    self._working += 1
        self._put(math.inf, None)  # for the next thread


def read_ahead(
    read: Callable[[Source], Result],
    sources: Iterable[Source],
    ahead: int,
    *,
    seconds: float = math.inf,
    late: Callable[[Source], Result] | None = None,
) -> Generator[Result, None, None]:
    """Yield ``read(source)`` for each source, in order, reading ahead in threads.

    Args:
        read: called from several threads.
        sources: the arguments of ``read``.
        ahead: maximum number of calls that are queued, running or waiting to be yielded.
        seconds: time limit for one call, measured from its start.
        late: yields ``late(source)`` in place of a call that exceeds ``seconds``; without it, there
            is no limit.
    """
    threads = Threads()

    def result_of(source: Source, job: Job[Result]) -> Result:
        while not wait([job.future], timeout=min(seconds, 1.0)).done:
            if late and job.overdue(seconds):
                threads.abandon(job)
                return late(source)
        return job.future.result()

    waiting: deque[tuple[Source, Job[Result]]] = deque()
    try:
        for source in sources:
            waiting.append((source, threads.submit(partial(read, source))))
            if len(waiting) >= ahead:
                yield result_of(*waiting.popleft())
        while waiting:
            yield result_of(*waiting.popleft())
    finally:
        for _, job in waiting:
            job.future.cancel()
        threads.close()
