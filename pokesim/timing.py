"""Where the time of a command goes.

Code that is worth telling apart stands in a ``with lap(name)`` block, which costs next to nothing
unless somebody measures.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Spans:
    """Seconds spent in each lap, in the order of their first end; laps inside do not count twice.

    Attributes:
        seconds: by the lap's name.
        inside: seconds of the laps that ended inside each lap that is open.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    inside: list[float] = field(default_factory=list)


_measured: ContextVar[Spans | None] = ContextVar("laps", default=None)


@contextmanager
def record_spans() -> Iterator[Spans]:
    """Collect the laps of this thread."""
    laps = Spans()
    token = _measured.set(laps)
    try:
        yield laps
    finally:
        _measured.reset(token)


@contextmanager
def span(name: str) -> Iterator[None]:
    """Count the time of a block under a name."""
    laps = _measured.get()
    if laps is None:
        yield
        return
    start = time.perf_counter()
    laps.inside.append(0.0)
    try:
        yield
    finally:
        taken = time.perf_counter() - start
        laps.seconds[name] = laps.seconds.get(name, 0.0) + taken - laps.inside.pop()
        if laps.inside:
            laps.inside[-1] += taken
