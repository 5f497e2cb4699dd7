"""The exceptions; each message is one clear sentence: what went wrong, where, and what to do.

PokesimError                     exit code 1
├── PictureError                 a picture cannot be read
│   ├── NotAPictureError         … because the file is not an image
│   ├── CropError                … because it has no such part; exit code 2
│   └── CombinationError         … together with others as one question; exit code 2
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
import heapq
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


class CropError(PictureError):
    """A picture has no such part: it is smaller than the crop."""

    exit_code = 2


class CombinationError(PictureError):
    """Photos do not make one question: two are the same, or they cancel each other out."""

    exit_code = 2


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


MAX_SUGGESTED = 200
"""The longest word that `did_you_mean` suggests, in characters."""

_MAX_COMPARED, _MAX_RANKED, _CLOSE = 10_000, 20, 0.5


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean …?" with the closest known word, or "" if none is close.

    However many and long the words are, this takes a fraction of a second: at most 10,000, which
    begin alike or are about as long, are compared by their characters, and 20 also by their order.
    """
    folded = word.casefold()
    if len(folded) > MAX_SUGGESTED:
        return ""
    similar = difflib.SequenceMatcher(b=folded, autojunk=False)
    ranked: list[tuple[float, str, str]] = []

    def unlike(name: str) -> tuple[bool, int]:
        return name[:2].casefold() != folded[:2], abs(len(name) - len(word))

    short = (name for name in known if len(name) <= MAX_SUGGESTED)
    for name in heapq.nsmallest(_MAX_COMPARED, short, unlike):
        similar.set_seq1(name.casefold())
        # Each bound costs more than the one before it.
        if similar.real_quick_ratio() >= _CLOSE and (bound := similar.quick_ratio()) >= _CLOSE:
            ranked.append((bound, name.casefold(), name))
    best, closest = _CLOSE, ""
    for bound, other, name in heapq.nlargest(_MAX_RANKED, ranked):
        similar.set_seq1(other)
        if bound > best and (ratio := similar.ratio()) >= best:
            best, closest = ratio, name
    return f" Did you mean {closest}?" if closest else ""
