"""How long the files of an opened index stay open: until it is closed, and no call needs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pokesim.errors import UsageError

Element = TypeVar("Element")


class Lifetime:
    """Releases what calls in several threads share, once it is closed and the last call ends."""

    def __init__(self, name: str, release: Callable[[], object]) -> None:
        """Start with no call in progress.

        Args:
            name: of what is shared, for the message when it is closed.
            release: called once.
        """
        self._name, self._release = name, release
        # Reentrant: the garbage collector may end an iteration while this thread holds the lock.
        self._lock = threading.RLock()
        self._calls, self._closed = 0, False

    @contextmanager
    def call(self) -> Iterator[None]:
        """Delay the release until the block ends. Raises UsageError if it is closed."""
        with self._lock:
            self.check()
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                self._release_if_unused()

    def iterate(self, elements: Iterable[Element]) -> Iterator[Element]:
        """Return an iterator that delays the release from its first element to its last.

        Raises:
            UsageError: it is closed, now or when the first element is requested.
        """
        self.check()

        def each() -> Iterator[Element]:
            with self.call():
                yield from elements

        return each()

    def check(self) -> None:
        """Raise UsageError if it is closed."""
        if self._closed:
            raise UsageError(f"{self._name} is closed; open it again.")

    def close(self) -> None:
        """Refuse further calls; release at once, or when the calls in progress have ended."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._release_if_unused()

    def _release_if_unused(self) -> None:
        if self._closed and not self._calls:
            self._release()
