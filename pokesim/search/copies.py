"""Copies of pictures, or links to them, in a folder of one's own, in the order of their rank."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import TypeAlias

from pokesim.arguments import file_path
from pokesim.errors import PokesimError
from pokesim.files import atomic_path, make_folder, numbered_name, open_regular

Ranked: TypeAlias = tuple[int, str, Path]
"""A picture's rank, label and path."""


@dataclass(slots=True)
class Copies:
    """What was copied or linked.

    Attributes:
        files: the new files, in the order of their rank.
        skipped: what was not copied, and why.
    """

    files: list[Path] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)


def copy_pictures(pictures: Sequence[Ranked], folder: str | Path) -> Copies:
    """Copy pictures to a folder, as ``01 brumbel.png``; see `Matches.copy_to`."""
    return _put(pictures, folder, _copy)


def link_pictures(pictures: Sequence[Ranked], folder: str | Path) -> Copies:
    """Make symbolic links to pictures in a folder, as `copy_pictures` makes copies."""
    return _put(pictures, folder, _link)


def _put(
    pictures: Sequence[Ranked],
    folder: str | Path,
    put: Callable[[BufferedReader, Path, Path], None],
) -> Copies:
    """Put pictures in a folder by ``put(opened, path, target)``, which never overwrites a file."""
    target, done = file_path("folder", folder), Copies()
    count = max((rank for rank, _, _ in pictures), default=0)
    try:
        make_folder(target)
    except OSError as error:
        raise PokesimError(f"{target} cannot be written ({error.strerror or error}).") from error
    for rank, label, path in pictures:
        file = target / numbered_name(rank, count, label, path.suffix)
        try:
            opened = open_regular(path, follow_links=True)
        except OSError as error:
            done.skipped.append((path, error.strerror or str(error)))
            continue
        with opened:
            try:
                put(opened, path, file)
            except FileExistsError:
                done.skipped.append((path, f"{file} exists already"))
            except OSError as error:
                reason = error.strerror or str(error)
                raise PokesimError(f"{path} cannot be put at {file} ({reason}).") from error
            else:
                done.files.append(file)
    return done


def _copy(opened: BufferedReader, _: Path, target: Path) -> None:
    with atomic_path(target, overwrite=False) as part, part.open("wb") as copy:
        shutil.copyfileobj(opened, copy)


def _link(_: BufferedReader, path: Path, target: Path) -> None:
    target.symlink_to(path.absolute())
