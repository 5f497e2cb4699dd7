"""What of an index can stay when its pictures have changed.

A file of the same size and time as before is taken for unchanged, unless it had been changed just
before it was read; a file whose bytes the index knows, from whatever path, is not embedded again.
"""

from __future__ import annotations

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
    """Which files the next snapshot shows, and which of them the one before shows already.

    Attributes:
        paths: in the order of the rows to be; relative to the picture folder, or absolute.
        kept: int64 (len(paths),): the old row of a file that is as it was, or -1.
        skipped: files known beforehand to be no good.
        racy: files of which only the content tells whether they are as they were: the old item
            by path.
    """

    paths: list[str]
    kept: NDArray[np.int64]
    skipped: tuple[Skipped, ...]
    racy: dict[str, Item] = field(default_factory=dict)

    @property
    def unread(self) -> list[int]:
        """Places of the files that must be looked into."""
        return [int(at) for at in np.flatnonzero(self.kept < 0)]


def plan_update(
    old: PreviousSnapshot | None, root: Path, files: Sequence[str], skipped: Sequence[Skipped] = ()
) -> UpdatePlan:
    """Compare a folder's files with an index of it.

    Args:
        old: the index; None: everything is new.
        root: the picture folder. In an index of another one, only contents are looked for.
        files: its files, sorted; pictures added from elsewhere are looked at beside them.
        skipped: files known beforehand to be no good.
    """
    if old is None or old.snapshot.manifest.images != str(root.resolve()):
        return UpdatePlan(list(files), np.full(len(files), -1, np.int64), tuple(skipped))
    added = (item.path for item in old.items if Path(item.path).is_absolute())
    paths = sorted([*files, *(path for path in added if Path(path).exists())])
    plan = UpdatePlan(paths, np.full(len(paths), -1, np.int64), tuple(skipped))
    before: Iterator[Item] = iter(old.items)
    item = next(before, None)
    for at, path in enumerate(paths):  # both are sorted, so they are walked in step
        while item and item.path < path:
            item = next(before, None)
        if item and item.path == path:
            _compare(plan, at, item, root / path)
    return plan


def _compare(plan: UpdatePlan, at: int, item: Item, path: Path) -> None:
    try:
        found = path.stat()
    except OSError:
        return  # reading it will tell why
    if item.mtime_ns == RACY:
        plan.racy[item.path] = item
    elif (item.size, item.mtime_ns) == (found.st_size, changed_ns(found)):
        plan.kept[at] = item.id


def plan_add(old: PreviousSnapshot, files: Sequence[str]) -> UpdatePlan:
    """Keep all of an index unlooked at, and read some files."""
    wanted = set(files)
    racy = {item.path: item for item in old.items if item.path in wanted}
    kept = {item.path: item.id for item in old.items if item.path not in wanted}
    paths = sorted({*kept, *wanted})
    rows = np.array([kept.get(path, -1) for path in paths], np.int64)
    skipped = (one for one in old.snapshot.manifest.skipped if one.path not in wanted)
    return UpdatePlan(paths, rows, tuple(skipped), racy)


def plan_remove(old: PreviousSnapshot, gone: set[int]) -> UpdatePlan:
    """Keep all of an index but some rows."""
    stay = [item for item in old.items if item.id not in gone]
    rows = np.array([item.id for item in stay], np.int64)
    return UpdatePlan([item.path for item in stay], rows, old.snapshot.manifest.skipped)
