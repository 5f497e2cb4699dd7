"""Files that must be looked into → rows of the journal: have them read and embedded, keep."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pokesim.build.batches import Batch
from pokesim.build.journal import Journal
from pokesim.build.loader import FileLoader, LoadedFile, nothing_known
from pokesim.build.options import BuildOptions
from pokesim.build.plan import UpdatePlan
from pokesim.build.previous import PreviousSnapshot
from pokesim.errors import PictureError
from pokesim.index.item import RACY, Item, changed_ns
from pokesim.index.manifest import Skipped
from pokesim.metric import normalized


@dataclass(slots=True)
class Embedded:
    """What came of the files that had to be looked into.

    Attributes:
        placed: int64, a journal row for each path of the plan, or -1.
        used: bool, for each row of the snapshot before: its vector goes on.
        racy: journal items of which only the content tells whether the file is as it was.
        skipped: files that claim to be pictures but could not be read.
        embedded: how many went through the network.
    """

    placed: NDArray[np.int64]
    used: NDArray[np.bool_]
    racy: dict[str, Item] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    embedded: int = 0


def embed_new(
    work: BuildOptions, plan: UpdatePlan, old: PreviousSnapshot | None, journal: Journal
) -> Embedded:
    """Look into the files that the plan does not keep; the journal has their vectors then."""
    found = Embedded(np.full(len(plan.paths), -1, np.int64), np.zeros(len(old) if old else 0, bool))
    _resume(work, plan, journal, found)
    todo = [at for at in plan.unread if found.placed[at] < 0]
    work.tell(0, len(todo))
    if not todo:
        return found

    known = _KnownVectors(plan, found, old)
    reader = FileLoader(
        work.root,
        work.record.side,
        work.max_pixels,
        work.file_seconds,
        work.asked,
        known.has if old or found.racy else nothing_known,
    )
    paths = [plan.paths[at] for at in todo]
    done = 0
    with contextlib.closing(work.embed(reader, paths, work.batch_size)) as batches:
        for batch in batches:
            found.skipped += [read.skipped for read in batch.reads if read.skipped]
            if work.strict and found.skipped:
                raise PictureError(str(work.root / found.skipped[0].path), found.skipped[0].reason)
            places = todo[done : done + len(batch.reads)]
            _keep(batch, places, known, work.record.normalized, journal)
            done += len(batch.reads)
            work.tell(done, len(todo))
    return found


@dataclass(frozen=True, slots=True)
class _KnownVectors:
    """Which pictures need not be embedded, because a vector of theirs is at hand."""

    plan: UpdatePlan
    found: Embedded
    old: PreviousSnapshot | None

    def has(self, item: Item) -> bool:
        """Say whether it is; safe to call from several threads."""
        before = self.plan.racy.get(item.path), self.found.racy.get(item.path)
        if any(one and one.sha256 == item.sha256 for one in before):
            return True
        return self.old is not None and self.old.find(item.sha256) is not None

    def settles(self, at: int, read: LoadedFile) -> bool:
        """Say whether a file in doubt has turned out as it was; its row is used again then."""
        if read.item is None or not read.known:
            return False
        racy = (self.plan.racy, self.plan.kept), (self.found.racy, self.found.placed)
        for before, places in racy:
            item = before.get(read.item.path)
            if item and item.sha256 == read.item.sha256:
                places[at] = item.id
                return True
        return False

    def row(self, item: Item) -> NDArray[np.float32]:
        """Return the vector, float32 (d,), of a picture that the snapshot before has somewhere."""
        at = self.old.find(item.sha256) if self.old else None
        if self.old is None or at is None:
            raise KeyError(item.path)
        self.found.used[at] = True
        rows = self.old.plain.rows(np.array([at]))
        return rows.reshape(-1)


def _keep(
    batch: Batch, places: Sequence[int], known: _KnownVectors, normalize: bool, journal: Journal
) -> None:
    """Add a batch's pictures to the journal, in their order; ``places`` are those in the plan."""
    fresh = iter(normalized(batch.vectors) if normalize else batch.vectors)
    taken: list[int] = []
    items: list[Item] = []
    rows: list[NDArray[np.float32]] = []
    for at, read in zip(places, batch.reads, strict=True):
        if read.item and not known.settles(at, read):
            taken.append(at)
            items.append(read.item)
            rows.append(known.row(read.item) if read.known else next(fresh))
    known.found.embedded += len(batch.vectors)
    if items:
        first = journal.count
        journal.add(np.stack(rows), items)
        known.found.placed[taken] = np.arange(first, journal.count)


def _resume(work: BuildOptions, plan: UpdatePlan, journal: Journal, found: Embedded) -> None:
    """Find the files that an interrupted build has embedded and that have not changed since."""
    if not journal.count:
        return
    for at in plan.unread:
        path = plan.paths[at]
        item = journal.find(path)
        if item is None:
            continue
        with contextlib.suppress(OSError):  # reading it will tell why
            stat = (work.root / path).stat()
            if item.mtime_ns == RACY:
                found.racy[path] = item
            elif (item.size, item.mtime_ns) == (stat.st_size, changed_ns(stat)):
                found.placed[at] = item.id
