"""Which vectors of the previous snapshot a build keeps, and which files it must read.

A file whose size and time have not changed counts as unchanged, unless it had been modified just
before it was read (it is *racy*, as in Git). A file whose bytes the index already has, under any
path, is read but not embedded again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.build.previous import PreviousSnapshot
from pokesim.index.item import RACY, Item, changed_ns
from pokesim.index.manifest import Skipped


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """The files of the next snapshot, and which of them the previous snapshot already has.

    Attributes:
        paths: the files in the order of the new rows; relative to the picture folder, or absolute.
        kept: int64 (len(paths),): the previous row of an unchanged file, or -1.
        skipped: files already known to be unreadable.
        racy: previous items, by path, of files that only their content shows to be unchanged.
    """

    paths: list[str]
    kept: NDArray[np.int64]
    skipped: tuple[Skipped, ...]
    racy: dict[str, Item] = field(default_factory=dict)

    @property
    def unread(self) -> list[int]:
        """Positions in ``paths`` of the files that must be read."""
        return [int(at) for at in np.flatnonzero(self.kept < 0)]


def plan_update(
    previous: PreviousSnapshot | None,
    root: Path,
    files: Sequence[str],
    skipped: Sequence[Skipped] = (),
) -> UpdatePlan:
    """Compare the files of a folder with an index of it.

    Args:
        previous: the index, or None if every file is new. If it is an index of another folder, all
            files are read and only pictures with the same bytes are reused.
        root: the picture folder.
        files: its files, sorted. Pictures that were added from elsewhere are included by this
            function.
        skipped: files already known to be unreadable.
    """
    if previous is None or previous.snapshot.manifest.images != str(root.resolve()):
        return UpdatePlan(list(files), np.full(len(files), -1, np.int64), tuple(skipped))
    added = (item.path for item in previous.items if Path(item.path).is_absolute())
    paths = sorted([*files, *(path for path in added if Path(path).exists())])
    kept = np.full(len(paths), -1, np.int64)
    racy = {}
    items: Iterator[Item] = iter(previous.items)
    item = next(items, None)
    for at, path in enumerate(paths):  # a merge of two sorted lists
        while item and item.path < path:
            item = next(items, None)
        now = found(root / path) if item and item.path == path else None
        if not item or not now:
            continue
        if item.mtime_ns == RACY:
            racy[path] = item
        elif (item.size, item.mtime_ns) == (now.st_size, changed_ns(now)):
            kept[at] = item.id
    return UpdatePlan(paths, kept, tuple(skipped), racy)


def found(path: Path) -> os.stat_result | None:
    """Return the size and the times of a file, or None if it cannot be found."""
    try:
        return path.stat()
    except OSError:
        return None  # reading the file will report the reason


def plan_add(previous: PreviousSnapshot, files: Sequence[str]) -> UpdatePlan:
    """Keep all pictures of an index without checking them, and read ``files``."""
    wanted = set(files)
    racy = {item.path: item for item in previous.items if item.path in wanted}
    kept = {item.path: item.id for item in previous.items if item.path not in wanted}
    paths = sorted({*kept, *wanted})
    rows = np.array([kept.get(path, -1) for path in paths], np.int64)
    skipped = (one for one in previous.snapshot.manifest.skipped if one.path not in wanted)
    return UpdatePlan(paths, rows, tuple(skipped), racy)


def plan_remove(previous: PreviousSnapshot, removed: set[int]) -> UpdatePlan:
    """Keep all rows of an index except the ``removed`` ones."""
    kept = [item for item in previous.items if item.id not in removed]
    rows = np.array([item.id for item in kept], np.int64)
    return UpdatePlan([item.path for item in kept], rows, previous.snapshot.manifest.skipped)
