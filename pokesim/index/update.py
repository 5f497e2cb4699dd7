"""What of an index can stay when its pictures have changed.

A file of the same size and time as before is taken for unchanged, unless it had been changed just
before it was read; a file whose bytes the index knows, from whatever path, is not embedded again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.index import items
from pokesim.index.items import IN_DOUBT, Item, Items, changed_ns
from pokesim.index.manifest import Skipped
from pokesim.index.plain import Plain
from pokesim.index.snapshot import Snapshot


class Old:
    """The snapshot before, every byte verified, as a source of items and plain vectors.

    Attributes:
        snapshot: what it is.
        counts: it is the one that counts, not an older one in place of one that is damaged.
        items, plain: its items and vectors.
    """

    def __init__(self, snapshot: Snapshot, *, counts: bool) -> None:
        """Open it. Raises DamagedIndexError."""
        for name in snapshot.manifest.files:
            snapshot.verify(name)
        self.snapshot = snapshot
        self.counts = counts
        self.items = Items(snapshot.file(items.FILE))
        self.plain = Plain(snapshot)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.snapshot.manifest.count

    def find(self, sha256: str) -> int | None:
        """Return the row of a picture with these bytes; safe to call from several threads."""
        with self._lock:
            return self.items.find(sha256)

    def close(self) -> None:
        """Close the files."""
        self.items.close()


@dataclass(frozen=True, slots=True)
class Plan:
    """Which files the next snapshot shows, and which of them the one before shows already.

    Attributes:
        paths: in the order of the rows to be; relative to the picture folder, or absolute.
        kept: int64 (len(paths),): the old row of a file that is as it was, or -1.
        skipped: files known beforehand to be no good.
        doubtful: files of which only the content tells whether they are as they were: the old item
            by path.
    """

    paths: list[str]
    kept: NDArray[np.int64]
    skipped: tuple[Skipped, ...]
    doubtful: dict[str, Item] = field(default_factory=dict)

    @property
    def unread(self) -> list[int]:
        """Places of the files that must be looked into."""
        return [int(at) for at in np.flatnonzero(self.kept < 0)]


def plan_update(
    old: Old | None, root: Path, files: Sequence[str], skipped: Sequence[Skipped] = ()
) -> Plan:
    """Compare a folder's files with an index of it.

    Args:
        old: the index; None: everything is new.
        root: the picture folder. In an index of another one, only contents are looked for.
        files: its files, sorted; pictures added from elsewhere are looked at beside them.
        skipped: files known beforehand to be no good.
    """
    if old is None or old.snapshot.manifest.images != str(root.resolve()):
        return Plan(list(files), np.full(len(files), -1, np.int64), tuple(skipped))
    added = (item.path for item in old.items if Path(item.path).is_absolute())
    paths = sorted([*files, *(path for path in added if Path(path).exists())])
    plan = Plan(paths, np.full(len(paths), -1, np.int64), tuple(skipped))
    before: Iterator[Item] = iter(old.items)
    item = next(before, None)
    for at, path in enumerate(paths):  # both are sorted, so they are walked in step
        while item and item.path < path:
            item = next(before, None)
        if item and item.path == path:
            _compare(plan, at, item, root / path)
    return plan


def _compare(plan: Plan, at: int, item: Item, path: Path) -> None:
    try:
        found = path.stat()
    except OSError:
        return  # reading it will tell why
    if item.mtime_ns == IN_DOUBT:
        plan.doubtful[item.path] = item
    elif (item.size, item.mtime_ns) == (found.st_size, changed_ns(found)):
        plan.kept[at] = item.id


def plan_add(old: Old, files: Sequence[str]) -> Plan:
    """Keep all of an index unlooked at, and read some files."""
    wanted = set(files)
    doubtful = {item.path: item for item in old.items if item.path in wanted}
    kept = {item.path: item.id for item in old.items if item.path not in wanted}
    paths = sorted({*kept, *wanted})
    rows = np.array([kept.get(path, -1) for path in paths], np.int64)
    skipped = (one for one in old.snapshot.manifest.skipped if one.path not in wanted)
    return Plan(paths, rows, tuple(skipped), doubtful)


def plan_remove(old: Old, gone: set[int]) -> Plan:
    """Keep all of an index but some rows."""
    stay = [item for item in old.items if item.id not in gone]
    rows = np.array([item.id for item in stay], np.int64)
    return Plan([item.path for item in stay], rows, old.snapshot.manifest.skipped)
