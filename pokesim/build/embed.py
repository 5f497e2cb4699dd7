"""Read and embed the files that a plan does not keep, into the journal."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pokesim.build.batches import Batch
from pokesim.build.journal import Journal
from pokesim.build.loader import FileLoader, LoadedFile
from pokesim.build.options import BuildOptions
from pokesim.build.plan import UpdatePlan
from pokesim.build.previous import PreviousSnapshot
from pokesim.embedders.catalog import Compute
from pokesim.errors import PictureError
from pokesim.index.item import RACY, Item, changed_ns
from pokesim.index.manifest import Skipped
from pokesim.metric import normalized


@dataclass(slots=True)
class Embedded:
    """Where the vector of each file of a plan is, now that all files have been read.

    Attributes:
        kept: int64, for each path of the plan: its row in the previous snapshot, or -1. These are
            the kept rows of the plan and those of racy files that turned out to be unchanged.
        new: int64, for each path of the plan: its row in the journal, or -1.
        copied: bool, for each row of the previous snapshot: its vector was copied to the journal.
        skipped: files that look like pictures but could not be read.
        count: number of pictures that the embedder embedded.
        compute: what computed their vectors, if that was chosen here.
    """

    kept: NDArray[np.int64]
    new: NDArray[np.int64]
    copied: NDArray[np.bool_]
    skipped: list[Skipped] = field(default_factory=list)
    count: int = 0
    compute: Compute | None = None

    @property
    def places(self) -> NDArray[np.int64]:
        """Positions in the plan of the files that the next snapshot has; row by row."""
        return np.flatnonzero((self.kept >= 0) | (self.new >= 0))

    @property
    def dropped(self) -> int:
        """Number of rows of the previous snapshot that the next one does not use."""
        used = self.copied.copy()
        used[self.kept[self.kept >= 0]] = True
        return int(np.sum(~used))


def embed_new(
    options: BuildOptions, plan: UpdatePlan, previous: PreviousSnapshot | None, journal: Journal
) -> Embedded:
    """Read the files that the plan does not keep, and add their vectors to the journal."""
    embedded = Embedded(
        kept=plan.kept.copy(),
        new=np.full(len(plan.paths), -1, np.int64),
        copied=np.zeros(len(previous) if previous else 0, bool),
    )
    racy = _resume(options, plan, journal, embedded)
    todo = [at for at in plan.unread if embedded.new[at] < 0]
    options.on_progress(0, len(todo))
    if not todo:
        return embedded

    known = _KnownVectors(plan.racy, racy, embedded, previous)
    loader = FileLoader(
        root=options.root,
        frame=options.record.frame,
        max_pixels=options.max_pixels,
        seconds=options.file_seconds,
        explicit=options.explicit,
        is_known=known.has if previous or racy else None,
    )
    paths = [plan.paths[at] for at in todo]
    done = 0
    with contextlib.closing(options.embed(loader, paths, options.batch_size)) as batches:
        for batch in batches:
            embedded.skipped += [read.skipped for read in batch.reads if read.skipped]
            if options.strict and embedded.skipped:
                first = embedded.skipped[0]
                raise PictureError(str(options.root / first.path), first.reason)
            places = todo[done : done + len(batch.reads)]
            _add(batch, places, known, options.record.normalized, journal)
            done += len(batch.reads)
            options.on_progress(done, len(todo))
    return embedded


@dataclass(frozen=True, slots=True)
class _KnownVectors:
    """Pictures that need no embedding, because a vector of the same bytes is available.

    Attributes:
        racy: racy items of the previous snapshot, by path.
        racy_in_journal: racy items of the journal, by path.
        embedded: the result, updated here.
        previous: the previous snapshot.
    """

    racy: dict[str, Item]
    racy_in_journal: dict[str, Item]
    embedded: Embedded
    previous: PreviousSnapshot | None

    def has(self, item: Item) -> bool:
        """Return True if the vector is available; safe to call from several threads."""
        before = self.racy.get(item.path), self.racy_in_journal.get(item.path)
        if any(one and one.sha256 == item.sha256 for one in before):
            return True
        return self.previous is not None and self.previous.find(item.sha256) is not None

    def keeps_row(self, at: int, read: LoadedFile) -> bool:
        """Return True if a racy file turned out to be unchanged; its row is recorded then."""
        if read.item is None or not read.known:
            return False
        sources = (
            (self.racy, self.embedded.kept),
            (self.racy_in_journal, self.embedded.new),
        )
        for items, rows in sources:
            item = items.get(read.item.path)
            if item and item.sha256 == read.item.sha256:
                rows[at] = item.id
                return True
        return False

    def copy(self, item: Item) -> NDArray[np.float32]:
        """Return the vector, float32 (d,), of a picture of the previous snapshot."""
        row = self.previous.find(item.sha256) if self.previous else None
        if self.previous is None or row is None:
            raise KeyError(item.path)
        self.embedded.copied[row] = True
        return self.previous.base.rows(np.array([row])).reshape(-1)


def _add(
    batch: Batch, places: Sequence[int], known: _KnownVectors, normalize: bool, journal: Journal
) -> None:
    """Add a batch's pictures to the journal, in order; ``places`` are the files' plan positions."""
    vectors = iter(normalized(batch.vectors) if normalize else batch.vectors)
    added: list[int] = []
    items: list[Item] = []
    rows: list[NDArray[np.float32]] = []
    for at, read in zip(places, batch.reads, strict=True):
        if read.item and not known.keeps_row(at, read):
            added.append(at)
            items.append(read.item)
            rows.append(known.copy(read.item) if read.known else next(vectors))
    known.embedded.count += len(batch.vectors)
    known.embedded.compute = batch.compute or known.embedded.compute
    if items:
        first = journal.count
        journal.add(np.stack(rows), items)
        known.embedded.new[added] = np.arange(first, journal.count)


def _resume(
    options: BuildOptions, plan: UpdatePlan, journal: Journal, embedded: Embedded
) -> dict[str, Item]:
    """Record the journal rows of files that have not changed since an interrupted build.

    Returns:
        racy items of the journal, by path.
    """
    racy: dict[str, Item] = {}
    if not journal.count:
        return racy
    for at in plan.unread:
        path = plan.paths[at]
        item = journal.find(path)
        if item is None:
            continue
        with contextlib.suppress(OSError):  # reading the file will report the reason
            stat = (options.root / path).stat()
            if item.mtime_ns == RACY:
                racy[path] = item
            elif (item.size, item.mtime_ns) == (stat.st_size, changed_ns(stat)):
                embedded.new[at] = item.id
    return racy
