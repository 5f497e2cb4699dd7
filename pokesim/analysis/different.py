"""Pairs of pictures that a person marked as not the same, remembered in the index's folder.

`different.txt` is a line of two SHA-256 for each pair: it holds for the content of the pictures,
whatever they are called, and stays when the index is built again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pokesim.errors import PokesimError
from pokesim.files import atomic_write, open_regular
from pokesim.index.folder.lock import SNAPSHOTS

DIFFERENT_FILE = "different.txt"

Pair = frozenset[str]

_LINE = re.compile(r"([0-9a-f]{64}) ([0-9a-f]{64})", re.ASCII)

_MAX_BYTES = 1 << 28


def different_pairs(folder: Path) -> set[Pair]:
    """Return the pairs of SHA-256 that an index folder remembers.

    Raises:
        PokesimError: the file cannot be read; that it is missing is no error.
    """
    path = folder / DIFFERENT_FILE
    try:
        with open_regular(path) as file:
            lines = file.read(_MAX_BYTES).decode("ascii", "replace").splitlines()
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise PokesimError(f"{path} cannot be read ({error.strerror or error}).") from error
    return {frozenset(found.groups()) for line in lines if (found := _LINE.fullmatch(line))}


def remember_different(index: str | Path, pairs: Iterable[Pair]) -> None:
    """Remember pairs of SHA-256 in an index folder, with those that it remembers already.

    Raises:
        PokesimError: the index is on a server, which has no place for them, or missing, or its
            folder cannot be written.
    """
    folder = Path(index)
    if "://" in str(index):
        raise PokesimError(
            f"{index} is on a server, which does not remember what is not the same; use an index "
            "in a folder."
        )
    if not (folder / SNAPSHOTS).is_dir():
        raise PokesimError(f"There is no index at {index}.")
    lines = sorted(" ".join(sorted(pair)) for pair in different_pairs(folder).union(pairs))
    path = folder / DIFFERENT_FILE
    try:
        atomic_write(path, "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        raise PokesimError(f"{path} cannot be written ({error.strerror or error}).") from error
