"""Vectors → files → neighbours: build a snapshot, open it, search it, check it."""

from pathlib import Path

DEFAULT_INDEX = Path("indexes/default")
"""What `build-index` writes and `query` reads unless told otherwise."""
