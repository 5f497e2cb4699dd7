"""The progress callback of long operations."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with (files done, files in all): at the start, then after each batch."""
