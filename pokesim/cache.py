"""The cache: exported models and copies of indexes; all of it can be recreated."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pokesim.errors import ModelError


def cache_dir() -> Path:
    """Return ``$POKESIM_CACHE``, else the user's cache directory; it may not exist yet."""
    if chosen := os.environ.get("POKESIM_CACHE"):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("pokesim", appauthor=False))


COPIES = "copies"
"""The folder with local copies of indexes on a server."""

CONTENTS = ("models", COPIES)
"""The folders of the cache."""


def size_of(name: str) -> int:
    """Return the size of a folder of the cache in bytes; 0 if it does not exist."""
    files = (path for path in (cache_dir() / name).rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


def clear(name: str) -> None:
    """Remove a folder of the cache, if it exists. Raises OSError."""
    import shutil

    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(cache_dir() / name)


def cache_error(folder: Path, reason: str | None) -> ModelError:
    """Return the error for a cache that cannot be written."""
    return ModelError(f"The cache {folder} cannot be written ({reason}).")
