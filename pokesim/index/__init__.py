"""Vectors → files → neighbours: build a snapshot, open it, search it, check it."""

DEFAULT_INDEX = "indexes/default"
"""What `build-index` writes and `query` reads unless told otherwise."""
