"""Where pokesim keeps what can be made again: exported models, drawn samples."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def cache_dir() -> Path:
    """Return ``$POKESIM_CACHE``, else the user's cache directory; it may not exist yet."""
    if chosen := os.environ.get("POKESIM_CACHE"):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("pokesim", appauthor=False))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
