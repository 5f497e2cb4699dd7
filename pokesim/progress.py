"""The callback through which long work reports progress."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with (files done, files to read): at the start, then after each batch."""
