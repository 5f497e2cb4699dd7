"""Files that must be looked into → rows of the journal: read ahead, embed in batches, keep."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.runtimes import Network
from pokesim.errors import PictureError
from pokesim.images import read_ahead
from pokesim.index.items import IN_DOUBT, Item, changed_ns
from pokesim.index.journal import Journal
from pokesim.index.manifest import Skipped
from pokesim.index.reading import Read, Reader
from pokesim.index.update import Old, Plan
from pokesim.index.work import Work
from pokesim.metric import normalized

_BLOCK = 8192
"""Files that a batch has at most, where few of them are to be embedded."""


@dataclass(slots=True)
class Found:
    """What came of the files that had to be looked into.

    Attributes:
        placed: int64, a journal row for each path of the plan, or -1.
        used: bool, for each row of the snapshot before: its vector goes on.
        doubtful: journal items of which only the content tells whether the file is as it was.
        skipped: files that claim to be pictures but could not be read.
        embedded: how many went through the network.
    """

    placed: NDArray[np.int64]
    used: NDArray[np.bool_]
    doubtful: dict[str, Item] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    embedded: int = 0


def gather(work: Work, plan: Plan, old: Old | None, journal: Journal) -> Found:
    """Look into the files that the plan does not keep; the journal has their vectors then."""
    found = Found(np.full(len(plan.paths), -1, np.int64), np.zeros(len(old) if old else 0, bool))
    _resume(work, plan, journal, found)
    todo = [at for at in plan.unread if found.placed[at] < 0]
    work.tell(0, len(todo))
    if not todo:
        return found

    known = _Known(plan, found, old)
    reader = Reader(
        work.root,
        work.record.side,
        work.max_pixels,
        work.file_seconds,
        work.asked,
        known.has,
    )
    network = work.load()
    paths = (plan.paths[at] for at in todo)
    ahead = 2 * work.batch_size
    done = 0
    with contextlib.closing(
        read_ahead(reader, paths, ahead, seconds=work.file_seconds, late=reader.late)
    ) as reads:
        for batch in _batches(zip(todo, reads, strict=True), work.batch_size):
            found.skipped += [read.skipped for _, read in batch if read.skipped]
            if work.strict and found.skipped:
                raise PictureError(str(work.root / found.skipped[0].path), found.skipped[0].reason)
            new = [(at, read) for at, read in batch if read.item and not known.settles(at, read)]
            first = journal.count
            found.embedded += embed_batch(
                network, [read for _, read in new], known.row, work.record.normalized, journal
            )
            found.placed[[at for at, _ in new]] = np.arange(first, journal.count)
            done += len(batch)
            work.tell(done, len(todo))
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """Which pictures need not be embedded, because a vector of theirs is at hand."""

    plan: Plan
    found: Found
    old: Old | None

    def has(self, item: Item) -> bool:
        """Say whether it is; safe to call from several threads."""
        before = self.plan.doubtful.get(item.path), self.found.doubtful.get(item.path)
        if any(one and one.sha256 == item.sha256 for one in before):
            return True
        return self.old is not None and self.old.find(item.sha256) is not None

    def settles(self, at: int, read: Read) -> bool:
        """Say whether a file in doubt has turned out as it was; its row is used again then."""
        if read.item is None or read.pixels is not None:
            return False
        doubtful = (self.plan.doubtful, self.plan.kept), (self.found.doubtful, self.found.placed)
        for before, places in doubtful:
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


def embed_batch(
    network: Network,
    pictures: Sequence[Read],
    known_row: Callable[[Item], NDArray[np.float32]],
    normalize: bool,
    journal: Journal,
) -> int:
    """Add a batch of pictures to the journal, in their order; embed those that have pixels.

    Returns:
        how many went through the network.
    """
    if not pictures:
        return 0
    pixels = [picture.pixels for picture in pictures if picture.pixels is not None]
    vectors = network.embed(np.stack(pixels)) if pixels else np.empty((0, 0), np.float32)
    fresh = iter(normalized(vectors) if normalize else vectors)
    items = [picture.item for picture in pictures if picture.item]
    rows = [
        next(fresh) if picture.pixels is not None else known_row(item)
        for picture, item in zip(pictures, items, strict=True)
    ]
    journal.add(np.stack(rows), items)
    return len(pixels)


def _resume(work: Work, plan: Plan, journal: Journal, found: Found) -> None:
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
            if item.mtime_ns == IN_DOUBT:
                found.doubtful[path] = item
            elif (item.size, item.mtime_ns) == (stat.st_size, changed_ns(stat)):
                found.placed[at] = item.id


def _batches(reads: Iterable[tuple[int, Read]], size: int) -> Iterator[list[tuple[int, Read]]]:
    """Divide files into batches of ``size`` pictures to embed, others among them.

    A build that goes on after an interruption so makes the batches that it would have made.
    """
    batch: list[tuple[int, Read]] = []
    pictures = 0
    for at, read in reads:
        batch.append((at, read))
        pictures += read.pixels is not None
        if pictures == size or len(batch) == _BLOCK:
            yield batch
            batch, pictures = [], 0
    if batch:
        yield batch
