"""What can go wrong, each as one plain sentence that says what, where and what to do.

PokesimError                 exit code 1
├── PictureError             a picture that cannot be read
│   └── NotAPictureError     … because it is none
├── IndexFolderError         an index that cannot be used as it was asked
│   ├── NoIndexError         … because there is none
│   ├── DamagedIndexError    … because a file of it is not what was written
│   └── OtherIndexError      … because it was made otherwise
├── ModelError               an embedder whose weights or model cannot be had
├── DatasetError             a data set that cannot be had
└── UsageError               exit code 2: the question itself was wrong
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PokesimError(Exception):
    """Base of every error that a user can meet; ``str(error)`` is the sentence shown."""

    exit_code = 1


class PictureError(PokesimError):
    """A picture cannot be fetched, opened or decoded.

    Attributes:
        where: the picture's path, URL or name.
        reason: what is wrong with it, in a few words.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}.")
        self.where = where
        self.reason = reason


class NotAPictureError(PictureError):
    """A file is no picture in any format that can be read."""


class IndexFolderError(PokesimError):
    """An index is missing, damaged, made otherwise, or being written."""


class IndexNotFoundError(IndexFolderError):
    """There is no index in this folder."""


class CorruptIndexError(IndexFolderError):
    """A file of an index is missing, or not the one that was written."""


class IncompatibleIndexError(IndexFolderError):
    """An index was made with another embedder or by a newer version; ``--rebuild`` starts anew."""


class ModelError(PokesimError):
    """An embedder's weights or its exported model are missing, wrong or damaged."""


class DatasetError(PokesimError):
    """A data set cannot be fetched or unpacked, or its folder is taken."""


class UsageError(PokesimError):
    """An argument has no meaning here (unknown name, k below 1, …)."""

    exit_code = 2


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean …?" for the nearest known word, or an empty string."""
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.5)
    return f" Did you mean {folded[near[0]]}?" if near else ""
