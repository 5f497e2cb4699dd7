"""Progress on standard error: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress_shown(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to call with (done, total); show rate and time left while inside.

    Args:
        what: the things counted, in the plural ("files").
    """
    with _bar(what) if sys.stderr.isatty() else _lines(what) as show:
        yield show


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(what),
        TextColumn("{task.fields[rate]}"),
        TimeLeft(compact=True),
        console=Console(stderr=True),
        transient=True,
    )
    start = time.monotonic()
    with bar:
        task = bar.add_task("", total=None, rate="")

        def show(done: int, total: int) -> None:
            rate = done / max(time.monotonic() - start, 1e-9)
            bar.update(task, completed=done, total=total, rate=f"{rate:,.0f} a second")

        yield show


@contextmanager
def _lines(what: str) -> Iterator[Callable[[int, int], None]]:
    start = last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        rate = done / (now - start)
        left = (total - done) / rate if rate else 0
        line = f"{done:,} of {total:,} {what}, {rate:,.0f} a second, {left:,.0f} s left"
        print(line, file=sys.stderr, flush=True)

    yield show
