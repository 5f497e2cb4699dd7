"""Progress on standard error: a bar on a terminal, otherwise a line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress_shown(what: str | Callable[[], str]) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to call with (done, total), and show the rate and the time left.

    The clock starts with the first call, so the preparation does not count.

    Args:
        what: the unit, in the plural ("files"), or a function that returns it at each update.
    """
    name = what if callable(what) else lambda: what
    with _bar(name) if sys.stderr.isatty() else _lines(name) as show:
        yield show


@contextmanager
def _bar(name: Callable[[], str]) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[what]}"),
        TextColumn("{task.fields[rate]}"),
        TimeLeft(compact=True),
        console=Console(stderr=True),
        transient=True,
    )
    rate_since = _rate_meter()
    with bar:
        task = bar.add_task("", start=False, total=None, what=name(), rate="")

        def show(done: int, total: int) -> None:
            bar.start_task(task)
            rate = f"{rate_since(done):,.0f}/s"
            bar.update(task, completed=done, total=total, what=name(), rate=rate)

        yield show


@contextmanager
def _lines(name: Callable[[], str]) -> Iterator[Callable[[int, int], None]]:
    rate_since = _rate_meter()
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        rate = rate_since(done)
        if time.monotonic() - last < SECONDS_BETWEEN_LINES or not rate:
            return
        last = time.monotonic()
        left = (total - done) / rate
        line = f"{done:,} of {total:,} {name()}, {rate:,.0f}/s, {left:,.0f} s left"
        with suppress(OSError):  # a line that nobody can read is no reason to fail
            print(line, file=sys.stderr, flush=True)

    yield show


def _rate_meter() -> Callable[[int], float]:
    """Return a function that takes the number done and returns the rate since its first call."""
    start = None

    def rate(done: int) -> float:
        nonlocal start
        start = start or time.monotonic()
        return done / max(time.monotonic() - start, 1e-9)

    return rate
