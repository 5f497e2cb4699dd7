"""A plan → a published snapshot, or none where there is nothing to do.

What was embedded before stays: in the snapshot that counts (`pokesim.build.plan`), and in what a
build has left that did not come to its end (`pokesim.build.journal`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from pokesim.build.embed import Embedded, embed_new
from pokesim.build.journal import Journal
from pokesim.build.options import BuildOptions, BuildReport
from pokesim.build.plan import UpdatePlan
from pokesim.build.previous import PreviousSnapshot
from pokesim.build.table import is_current, next_table
from pokesim.errors import (
    CorruptIndexError,
    IncompatibleIndexError,
    IndexFolderError,
    IndexNotFoundError,
)
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.folder.writer import SnapshotDraft, SnapshotWriter, new_snapshot
from pokesim.index.manifest import (
    AUTO_SEARCH,
    EmbedderRecord,
    Manifest,
    MetadataRecord,
    SearchRecord,
    Skipped,
)
from pokesim.index.metadata.table import Table

log = logging.getLogger(__name__)

_BLOCK = 8192
"""Rows written at a time."""


def run_build(
    work: BuildOptions, plan_of: Callable[[PreviousSnapshot | None], UpdatePlan]
) -> BuildReport:
    """Publish the snapshot that a plan asks for; nothing, if it is there already.

    Args:
        work: what is to be built, and how.
        plan_of: makes the plan from the snapshot before; called under the lock.

    Raises:
        PokesimError: as `pokesim.build.build.build_index`.
        KeyboardInterrupt: with a sentence that says how to go on.
    """
    start = time.monotonic()
    with new_snapshot(IndexFolder(work.home)) as draft, contextlib.ExitStack() as opened:
        before = _before(work)
        if before:
            opened.callback(before.close)
        old = None if work.rebuild else before
        plan = plan_of(old)
        log.debug("%s of %s files are to be read.", len(plan.unread), len(plan.paths))
        table = next_table(work.metadata, work.key, before, plan.paths)
        if old and _is_there(old, work, plan, len(plan.unread), plan.skipped, table):
            return _report(work, old.snapshot.manifest, start)
        journal = _journal(work)
        opened.callback(journal.close)
        with _interruption_told(journal, plan):
            found = embed_new(work, plan, old, journal)
            skipped = sorted([*plan.skipped, *found.skipped], key=lambda one: one.path)
            if old and _is_there(old, work, plan, int(np.sum(found.placed >= 0)), skipped, table):
                return _report(work, old.snapshot.manifest, start)
            count, metadata = _write(draft.path, work, plan, found, old, journal, table)
            if not count:
                raise no_pictures(work.root, skipped)
            manifest = Manifest(
                str(work.root.resolve()),
                work.record,
                work.dimension,
                count,
                tuple(skipped),
                search=SearchRecord(_search(work, old)),
                metadata=metadata,
                runtime=work.compute.runtime,
                precision=work.compute.precision,
            )
            if before and before.snapshot.manifest.images != manifest.images:
                log.info(
                    "The index was of %s; now it is of %s.",
                    before.snapshot.manifest.images,
                    manifest.images,
                )
            draft.commit(_tuned_as_before(draft, manifest, before))
            journal.discard()
        found.used[plan.kept[plan.kept >= 0]] = True
        dropped = int(np.sum(~found.used))
        return _report(work, manifest, start, found.embedded, dropped, changed=True)


def no_pictures(root: Path, skipped: Iterable[Skipped]) -> IndexFolderError:
    """Say that a folder has no picture that can be read, and why the first could not."""
    first = next(iter(skipped), None)
    why = f"; the first that failed is {first.path}: {first.reason}" if first else ""
    return IndexFolderError(f"There is no picture to index in {root}{why}.")


def incompatible(
    index: str, before: EmbedderRecord, asked: EmbedderRecord
) -> IncompatibleIndexError:
    """Say in what an index differs from what was asked for."""
    if before.name != asked.name:
        what = f"with {before.name}, not with {asked.name}"
    elif before.weights_sha256 != asked.weights_sha256:
        hashes = before.weights_sha256[:12], asked.weights_sha256[:12]
        what = f"with {before.name} from weights {hashes[0]}…, not from {hashes[1]}…"
    elif before.normalized != asked.normalized:
        kinds = ("scaled to length 1", "that keep their lengths")
        what = "with vectors {}, not {}".format(*(kinds if before.normalized else kinds[::-1]))
    else:
        what = "by a pokesim that reads pictures otherwise than this one"
    return IncompatibleIndexError(
        f"The index {index} was made {what}; --rebuild starts afresh, --index names another place."
    )


def _before(work: BuildOptions) -> PreviousSnapshot | None:
    """Open what the index is now; where that is damaged, the newest snapshot that is sound.

    Raises:
        OtherIndexError: it was made otherwise, and is not to be replaced.
    """
    try:
        return _checked(PreviousSnapshot(IndexFolder(work.home).current(), counts=True), work)
    except IndexNotFoundError:
        return None
    except IncompatibleIndexError:
        if not work.rebuild:
            raise
        return None
    except CorruptIndexError as error:
        log.info("%s; what an older snapshot lacks is embedded again.", str(error).split(";")[0])
    for snapshot in IndexFolder(work.home).intact_snapshots():
        with contextlib.suppress(CorruptIndexError, IncompatibleIndexError):
            return _checked(PreviousSnapshot(snapshot, counts=False), work)
    return None


def _checked(old: PreviousSnapshot, work: BuildOptions) -> PreviousSnapshot:
    manifest = old.snapshot.manifest
    if work.rebuild or (manifest.embedder, manifest.precision) == (
        work.record,
        work.compute.precision,
    ):
        return old
    old.close()
    if manifest.embedder != work.record:
        raise incompatible(work.index, manifest.embedder, work.record)
    raise IncompatibleIndexError(
        f"The index {work.index} was computed in {manifest.precision}, not in "
        f"{work.compute.precision}; use --precision {manifest.precision} to continue it, or "
        "--rebuild to replace it."
    )


def _is_there(
    old: PreviousSnapshot,
    work: BuildOptions,
    plan: UpdatePlan,
    new: int,
    skipped: Sequence[Skipped],
    table: Table | None,
) -> bool:
    """Say whether the snapshot before shows just what is planned, where so many rows are new."""
    manifest = old.snapshot.manifest
    return (
        old.counts
        and not new
        and int(np.sum(plan.kept >= 0)) == len(old)
        and manifest.images == str(work.root.resolve())
        and manifest.skipped == tuple(skipped)
        and manifest.search.requested == _search(work, old)
        and is_current(table, manifest.metadata)
    )


def _search(work: BuildOptions, old: PreviousSnapshot | None) -> str:
    """Return how the index is to be searched."""
    return (
        old.snapshot.manifest.search.requested
        if old and work.search == AUTO_SEARCH
        else work.search
    )


def _journal(work: BuildOptions) -> Journal:
    """Open what an earlier build of the same kind has left, or a new journal."""
    how = [
        str(work.root.resolve()),
        asdict(work.record),
        work.compute.runtime,
        work.compute.precision,
    ]
    journal = Journal(work.home / work.unfinished, work.dimension, json.dumps(how), work.rebuild)
    if journal.count:
        log.info("Going on after %s pictures of a build that was interrupted.", journal.count)
    return journal


@contextlib.contextmanager
def _interruption_told(journal: Journal, plan: UpdatePlan) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted; {journal.count:,} of {len(plan.unread):,} pictures are embedded, and "
            "the same command goes on from there."
        ) from None


def _tuned_as_before(
    draft: SnapshotDraft, manifest: Manifest, before: PreviousSnapshot | None
) -> Manifest:
    """Project the new vectors by the index's learned metric, if it has one for this embedder."""
    tuning = before.snapshot.manifest.tuning if before else None
    projection = before.snapshot.projection() if before else None
    if before is None or tuning is None or projection is None:
        return manifest
    if before.snapshot.manifest.embedder != manifest.embedder:
        log.info("The embedder is another, so the metric learned for the old one is dropped.")
        return manifest
    return draft.project(manifest, projection, tuning)


def _write(
    folder: Path,
    work: BuildOptions,
    plan: UpdatePlan,
    found: Embedded,
    old: PreviousSnapshot | None,
    journal: Journal,
    table: Table | None,
) -> tuple[int, MetadataRecord | None]:
    """Write the snapshot's vectors and items in the order of the plan.

    Returns:
        how many, and what the table came to.
    """
    places = np.flatnonzero((plan.kept >= 0) | (found.placed >= 0))
    with contextlib.closing(SnapshotWriter(folder, work.dimension, table)) as writer:
        for start in range(0, len(places), _BLOCK):
            block = places[start : start + _BLOCK]
            kept, placed = plan.kept[block], found.placed[block]
            rows = np.empty((len(block), work.dimension), np.float32)
            rows[placed >= 0] = journal.rows(placed[placed >= 0])
            if old:
                rows[kept >= 0] = old.plain.rows(kept[kept >= 0])
            items = [
                journal[new] if new >= 0 or old is None else old.items[before]
                for before, new in zip(kept.tolist(), placed.tolist(), strict=True)
            ]
            writer.add(rows, [replace(item, id=start + at) for at, item in enumerate(items)])
        return len(places), writer.finish()


def _report(
    work: BuildOptions,
    manifest: Manifest,
    start: float,
    embedded: int = 0,
    dropped: int = 0,
    *,
    changed: bool = False,
) -> BuildReport:
    seconds = time.monotonic() - start
    return BuildReport(
        work.index,
        work.record.name,
        manifest.count,
        manifest.skipped,
        seconds,
        embedded,
        dropped,
        manifest.metadata,
        changed,
    )
