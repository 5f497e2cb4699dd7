"""Threads that read pictures: ahead of what needs them, and without waiting for one that hangs.

Pillow decodes and scales without holding Python's lock, so threads are enough.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

Source = TypeVar("Source")

Result = TypeVar("Result")

_told: dict[str, int] = {}
"""``cores``: how many this process was told to use, if it was."""


def usable_cores() -> int:
    """Return how many processor cores this process may run on."""
    if "cores" in _told:
        return _told["cores"]
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_cores(count: int) -> None:
    """Have this process use so many cores, because others use the rest."""
    _told["cores"] = count


class Job(Generic[Result]):
    """A call, and what came of it.

    Attributes:
        future: its result; a call that has not begun can be cancelled.
        started: when a thread began with it, as `time.monotonic` counts.
    """

    def __init__(self, call: Callable[[], Result]) -> None:
        self.future: Future[Result] = Future()
        self.started = math.inf
        self.given_up = False
        self._call = call

    def run(self) -> None:
        """Make the call, unless it was cancelled, and set the future."""
        if not self.future.set_running_or_notify_cancel():
            return
        self.started = time.monotonic()
        try:
            self.future.set_result(self._call())
        except BaseException as error:
            self.future.set_exception(error)

    def overdue(self, seconds: float) -> bool:
        """Return True if the call has been running for longer than ``seconds``."""
        return time.monotonic() - self.started > seconds


def call_within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return ``call()``, made in a thread that is abandoned when time is up.

    No socket timeout covers a resolver that hangs or a server that sends one byte now and then.

    Raises:
        TimeoutError: it took longer than ``seconds``; otherwise whatever the call raises.
    """
    job = Job(call)
    threading.Thread(target=job.run, daemon=True).start()
    if not wait([job.future], timeout=seconds).done:
        raise TimeoutError
    return job.future.result()


class Threads:
    """As many threads as there are cores, that do jobs in turn.

    No thread can be ended from outside, so one that hangs is left behind and another takes its
    place. All are daemons: a call that hangs does not keep the process from ending.
    """

    def __init__(self, most_left_behind: float = math.inf) -> None:
        """Start them.

        Args:
            most_left_behind: while so many threads hang, no more take their place.
        """
        self._most_left_behind = most_left_behind
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._working = self._left_behind = 0
        for _ in range(usable_cores()):
            self._start()

    def submit(self, call: Callable[[], Result]) -> Job[Result]:
        """Have something done."""
        job = Job(call)
        self._jobs.put(job)
        return job

    def give_up(self, job: Job[Any]) -> None:
        """Leave a job's thread behind."""
        with self._lock:
            if job.future.done():  # just now
                return
            job.given_up = True
            self._working -= 1
            self._left_behind += 1
            if self._left_behind <= self._most_left_behind:
                self._start()

    def close(self) -> None:
        """Let the threads end, once they have done what was submitted."""
        self._jobs.put(None)

    def _start(self) -> None:
        self._working += 1
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while job := self._jobs.get():
            job.run()
            with self._lock:
                if job.given_up:
                    self._left_behind -= 1
                    if self._working >= usable_cores():
                        return
                    self._working += 1
        self._jobs.put(None)  # for the next thread


def read_ahead(
    read: Callable[[Source], Result],
    sources: Iterable[Source],
    ahead: int,
    *,
    seconds: float = math.inf,
    late: Callable[[Source], Result] | None = None,
) -> Generator[Result, None, None]:
    """Yield ``read(source)`` in order, computed in threads; at most ``ahead`` results wait.

    Args:
        read: called from several threads.
        sources: what to read.
        ahead: how many results wait, at most.
        seconds: where a call takes longer, ``late(source)`` is yielded in its place.
        late: see ``seconds``.
    """
    threads = Threads()

    def result_of(source: Source, job: Job[Result]) -> Result:
        while not wait([job.future], timeout=min(seconds, 1.0)).done:
            if late and job.overdue(seconds):
                threads.give_up(job)
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
