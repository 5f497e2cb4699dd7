"""What several threads use, until one of them closes it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from pokesim.errors import UsageError

Resource = TypeVar("Resource")

Element = TypeVar("Element")


class Shared(Generic[Resource]):
    """Gives out a resource for the time of a call, and closes it after the last one.

    Once it is closed, further calls are refused, and calls in progress can finish.
    """

    def __init__(self, name: str, resource: Resource, close: Callable[[Resource], object]) -> None:
        """Start with no call in progress.

        Args:
            name: of the resource, for the message when it is closed.
            resource: what to share; no other reference to it should be kept.
            close: called once, with the resource.
        """
        self._name, self._close = name, close
        self._resource: Resource | None = resource
        # Reentrant: the garbage collector may end an iteration while this thread holds the lock.
        self._lock = threading.RLock()
        self._calls, self._closed = 0, False

    @contextmanager
    def call(self) -> Iterator[Resource]:
        """Give the resource until the block ends. Raises UsageError if it is closed."""
        with self._lock:
            self.check()
            self._calls += 1
            resource = self._resource
        assert resource is not None
        try:
            yield resource
        finally:
            del resource  # so that it is freed when it is closed
            with self._lock:
                self._calls -= 1
                self._close_if_unused()

    def iterate(self, start: Callable[[Resource], Iterable[Element]]) -> Iterator[Element]:
        """Return an iterator over ``start(resource)``, which is one call, from its first element.

        Raises:
            UsageError: it is closed, now or when the first element is requested.
        """
        self.check()

        def each() -> Iterator[Element]:
            with self.call() as resource:
                yield from start(resource)

        return each()

    def check(self) -> None:
        """Raise UsageError if it is closed."""
        if self._closed:
            raise UsageError(f"{self._name} is closed; open it again.")

    def close(self) -> None:
        """Refuse further calls; close the resource now, or when the calls in progress end."""
        with self._lock:
            self._closed = True
            self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._closed and not self._calls and self._resource is not None:
            resource, self._resource = self._resource, None
            self._close(resource)
