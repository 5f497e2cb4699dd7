"""The exceptions; each message is one clear sentence: what went wrong, where, and what to do.

PokesimError                     exit code 1
├── PictureError                 a picture cannot be read
│   └── NotAPictureError         … because the file is not an image
├── IndexFolderError             an index cannot be used, in a folder or on a server
│   ├── IndexNotFoundError       … because it does not exist
│   ├── CorruptIndexError        … because a file is missing or has changed
│   └── IncompatibleIndexError   … because another embedder or a newer version built it
├── ModelError                   an embedder's weights or model are missing or damaged
├── DatasetError                 a data set cannot be fetched or unpacked
└── UsageError                   exit code 2: an argument is wrong
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PokesimError(Exception):
    """Base class of all errors that pokesim raises on purpose; ``str(error)`` is its message."""

    exit_code = 1


class PictureError(PokesimError):
    """A picture cannot be fetched, opened or decoded.

    Attributes:
        where: the picture's path, URL or name.
        reason: why, in a few words.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}.")
        self.where = where
        self.reason = reason


class NotAPictureError(PictureError):
    """A file is not an image in any format that pokesim can read."""


class IndexFolderError(PokesimError):
    """An index is missing, damaged, incompatible, or being written by another process."""


class IndexNotFoundError(IndexFolderError):
    """There is no index at this location."""


class CorruptIndexError(IndexFolderError):
    """A file of an index is missing, or its content differs from what was written."""


class IncompatibleIndexError(IndexFolderError):
    """An index was built by another embedder or a newer version; ``--rebuild`` replaces it."""


class ModelError(PokesimError):
    """An embedder's weights or model are missing or damaged, or cannot run here."""


class DatasetError(PokesimError):
    """A data set cannot be fetched or unpacked, or its folder has other content."""


class UsageError(PokesimError):
    """An argument is invalid (an unknown name, k below 1, …)."""

    exit_code = 2


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean …?" with the closest known word, or "" if none is close."""
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.5)
    return f" Did you mean {folded[near[0]]}?" if near else ""
