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
from pokesim.index.items import IN_DOUBT, Item, Items
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
        shared: pairs of size and time that several files have, or had.
    """

    paths: list[str]
    kept: NDArray[np.int64]
    skipped: tuple[Skipped, ...]
    doubtful: dict[str, Item] = field(default_factory=dict)
    shared: set[tuple[int, int]] = field(default_factory=set)

    def is_as_before(self, item: Item, size: int, mtime_ns: int) -> bool:
        """Say whether a file's size and time alone tell that it is what it was.

        Where several files share them, one may have taken another's name.
        """
        same = (item.size, item.mtime_ns) == (size, mtime_ns)
        return same and (size, mtime_ns) not in self.shared

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
    before = _times_of_items(old)
    added = (item.path for item in old.items if Path(item.path).is_absolute())
    paths = sorted([*files, *(path for path in added if Path(path).exists())])
    times = np.array([_time_of(root / path) for path in paths], np.int64).reshape(-1, 2)
    shared = _shared(before) | _shared(times)
    plan = Plan(paths, np.full(len(paths), -1, np.int64), tuple(skipped), shared=shared)
    known: Iterator[Item] = iter(old.items)
    item = next(known, None)
    for at, path in enumerate(paths):  # both are sorted, so they are walked in step
        while item and item.path < path:
            item = next(known, None)
        if item and item.path == path:
            size, mtime = times[at].tolist()
            if plan.is_as_before(item, size, mtime):
                plan.kept[at] = item.id
            elif item.mtime_ns in (IN_DOUBT, mtime):
                plan.doubtful[path] = item
    return plan


def _times_of_items(old: Old) -> NDArray[np.int64]:
    """Return size and time of each item, int64 (n, 2)."""
    return np.array([(item.size, item.mtime_ns) for item in old.items], np.int64).reshape(-1, 2)


def _time_of(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return -1, -1  # reading it will tell why
    return found.st_size, found.st_mtime_ns


def _shared(times: NDArray[np.int64]) -> set[tuple[int, int]]:
    """Return the pairs of size and time that several files have."""
    pairs, counts = np.unique(times, axis=0, return_counts=True)
    return {(int(size), int(mtime)) for size, mtime in pairs[counts > 1]}


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
