"""Trace where a command spends its time.

A *span* is a named, timed piece of work, as in OpenTelemetry; spans nest. Mark one with
``with span(name):`` or ``@span(name)``. Outside of `record_spans` a span costs next to nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Spans:
    """The recorded spans, added up by name.

    Attributes:
        seconds: by name, in the order in which the names first ended: the time in these spans,
            without that in their child spans.
        children: for each open span, outermost first, the seconds spent in its child spans.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    children: list[float] = field(default_factory=list)


_recording: ContextVar[Spans | None] = ContextVar("spans", default=None)


@contextmanager
def record_spans() -> Iterator[Spans]:
    """Record the spans that this thread (or context) ends inside the block."""
    spans = Spans()
    token = _recording.set(spans)
    try:
        yield spans
    finally:
        _recording.reset(token)


@contextmanager
def span(name: str) -> Iterator[None]:
    """Record the block as a span, if `record_spans` is active."""
    spans = _recording.get()
    if spans is None:
        yield
        return
    start = time.perf_counter()
    spans.children.append(0.0)
    try:
        yield
    finally:
        elapsed = time.perf_counter() - start
        spans.seconds[name] = spans.seconds.get(name, 0.0) + elapsed - spans.children.pop()
        if spans.children:
            spans.children[-1] += elapsed
