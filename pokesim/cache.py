"""Where pokesim keeps what can be made again: exported models, drawn samples, copies of indexes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def cache_dir() -> Path:
    """Return ``$POKESIM_CACHE``, else the user's cache directory; it may not exist yet."""
    if chosen := os.environ.get("POKESIM_CACHE"):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("pokesim", appauthor=False))


COPIES = "copies"
"""The folder with copies of indexes that are on a server, and what was built there last."""

CONTENTS = ("models", "samples", COPIES)
"""The cache's folders: exported models, drawn sample pictures, copies of indexes."""


def size_of(name: str) -> int:
    """Return the bytes in a folder of the cache; 0 if it is not there."""
    files = (path for path in (cache_dir() / name).rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


def clear(name: str) -> None:
    """Remove a folder of the cache, if it is there. Raises OSError."""
    import shutil

    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(cache_dir() / name)
