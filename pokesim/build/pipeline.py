"""A plan → a committed snapshot, unless the index is up to date.

Nothing is embedded twice: vectors are taken from the previous snapshot (`pokesim.build.plan`) and
from the journal of an interrupted build (`pokesim.build.journal`).
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
from numpy.typing import NDArray

from pokesim.build.embed import Embedded, embed_new
from pokesim.build.journal import Journal
from pokesim.build.options import BuildOptions, BuildReport
from pokesim.build.plan import UpdatePlan, found
from pokesim.build.previous import PreviousSnapshot, open_previous
from pokesim.build.table import is_current, next_table
from pokesim.embedders.catalog import Compute
from pokesim.errors import IndexFolderError
from pokesim.index.folder.writer import SnapshotDraft, SnapshotWriter, new_snapshot
from pokesim.index.item import Item
from pokesim.index.manifest import (
    AUTO_SEARCH,
    PANORAMA,
    Manifest,
    MetadataRecord,
    SearchRecord,
    Skipped,
)
from pokesim.index.metadata.table import Table
from pokesim.index.vectors.candidates import KeptRows

log = logging.getLogger(__name__)

_BLOCK = 8192
"""Rows written at a time."""


def run_build(
    options: BuildOptions, make_plan: Callable[[PreviousSnapshot | None], UpdatePlan]
) -> BuildReport:
    """Commit the snapshot that a plan describes, unless the index is up to date.

    Args:
        options: what to build, and how.
        make_plan: makes the plan from the previous snapshot; called while the lock is held.

    Raises:
        PokesimError: as `pokesim.build.build.build_index`.
        KeyboardInterrupt: with a message that says how to resume.
    """
    start = time.monotonic()
    with new_snapshot(options.folder) as draft, contextlib.ExitStack() as stack:
        existing = open_previous(options)
        if existing:
            stack.callback(existing.close)
        previous = None if options.rebuild else existing
        plan = make_plan(previous)
        unread = len(plan.unread)
        log.debug("Reading %s %s.", f"{unread:,}", "file" if unread == 1 else "files")
        table = next_table(options.metadata, options.key, existing, plan.paths, options.root)
        if not unread and (
            current := _up_to_date(options, previous, plan.kept, plan.skipped, table)
        ):
            return _report(options, current, start)
        journal = _open_journal(options)
        stack.callback(journal.close)
        with _explained_interruption(journal, unread):
            embedded = embed_new(options, plan, previous, journal)
            _check_still_there(options.root, plan, embedded)
            skipped = sorted([*plan.skipped, *embedded.skipped], key=lambda one: one.path)
            if not np.any(embedded.new >= 0) and (
                current := _up_to_date(options, previous, embedded.kept, skipped, table)
            ):
                return _report(options, current, start)
            count, metadata = _write(draft.path, options, embedded, previous, journal, table)
            if not count:
                raise no_pictures(options.root, skipped)
            manifest = _manifest(options, previous, count, skipped, metadata, embedded.compute)
            kept = _kept_rows(embedded, previous) if previous else None
            draft.commit(_with_tuning(draft, manifest, existing), kept)
            journal.discard()
        before = existing.snapshot.manifest.images if existing else manifest.images
        return replace(
            _report(options, manifest, start, embedded),
            images_before=before if before != manifest.images else None,
        )


def _check_still_there(root: Path, plan: UpdatePlan, embedded: Embedded) -> None:
    """Raise IndexFolderError if the pictures vanished meanwhile, as when their disk is unmounted.

    That some could not be read is usual; that all are gone must not empty the index.
    """
    inside = [path for path in plan.paths if not Path(path).is_absolute()]
    if embedded.skipped and inside and not any(found(root / path) for path in inside):
        raise IndexFolderError(
            f"The pictures in {root} vanished while they were read; the index is unchanged. Once "
            "they are back, the same command resumes."
        )


def no_pictures(root: Path, skipped: Iterable[Skipped]) -> IndexFolderError:
    """Return an error that says that no picture can be read, and why the first could not."""
    first = next(iter(skipped), None)
    why = f"; the first that failed is {first.path}: {first.reason}" if first else ""
    return IndexFolderError(f"There is no picture to index in {root}{why}.")


def _up_to_date(
    options: BuildOptions,
    previous: PreviousSnapshot | None,
    kept: NDArray[np.int64],
    skipped: Sequence[Skipped],
    table: Table | None,
) -> Manifest | None:
    """Return the current manifest if a snapshot of the ``kept`` rows alone would equal it."""
    if previous is None or not previous.is_current:
        return None
    manifest = previous.snapshot.manifest
    same = (
        int(np.sum(kept >= 0)) == len(previous)
        and manifest.images == str(options.root.resolve())
        and manifest.skipped == tuple(skipped)
        and manifest.search.requested == _search(options, previous)
        and manifest.search.used != PANORAMA
        and is_current(table, manifest.metadata)
    )
    return manifest if same else None


def _manifest(
    options: BuildOptions,
    previous: PreviousSnapshot | None,
    count: int,
    skipped: Sequence[Skipped],
    metadata: MetadataRecord | None,
    compute: Compute | None,
) -> Manifest:
    compute = compute or options.compute
    return Manifest(
        images=str(options.root.resolve()),
        embedder=options.record,
        dimension=options.dimension,
        count=count,
        skipped=tuple(skipped),
        search=SearchRecord(_search(options, previous)),
        metadata=metadata,
        runtime=compute.runtime,
        precision=compute.precision,
    )


def _search(options: BuildOptions, previous: PreviousSnapshot | None) -> str:
    """Return the search to record as requested."""
    if previous and options.search == AUTO_SEARCH:
        return previous.snapshot.manifest.search.requested
    return options.search


def _open_journal(options: BuildOptions) -> Journal:
    """Open the journal of an interrupted build with the same options, or start a new one."""
    made_by = [str(options.root.resolve()), asdict(options.record), options.compute.precision]
    folder = options.folder.path / options.journal
    journal = Journal(folder, options.dimension, json.dumps(made_by), options.rebuild)
    if journal.count:
        log.info("Resuming an interrupted build that embedded %s pictures.", f"{journal.count:,}")
    return journal


@contextlib.contextmanager
def _explained_interruption(journal: Journal, unread: int) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted; {journal.count:,} of {unread:,} pictures are embedded. Run the same "
            "command again to resume."
        ) from None


def _with_tuning(
    draft: SnapshotDraft, manifest: Manifest, existing: PreviousSnapshot | None
) -> Manifest:
    """Project the new vectors by the learned metric of the index, if it fits the embedder."""
    tuning = existing.snapshot.manifest.tuning if existing else None
    projection = existing.snapshot.projection() if existing else None
    if existing is None or tuning is None or projection is None:
        return manifest
    if existing.snapshot.manifest.embedder != manifest.embedder:
        log.info("The embedder has changed, so the metric learned for the old one is dropped.")
        return manifest
    return draft.project(manifest, projection, tuning)


def _kept_rows(embedded: Embedded, previous: PreviousSnapshot) -> KeptRows:
    """Say which rows of the next snapshot are rows of the previous one."""
    rows = embedded.kept[embedded.places]
    return KeptRows(previous.snapshot.path, previous.snapshot.manifest, rows)


def _write(
    path: Path,
    options: BuildOptions,
    embedded: Embedded,
    previous: PreviousSnapshot | None,
    journal: Journal,
    table: Table | None,
) -> tuple[int, MetadataRecord | None]:
    """Write the snapshot's vectors, items and metadata in the order of the plan.

    Returns:
        the number of pictures, and the record of the table.
    """
    places = embedded.places
    with contextlib.closing(SnapshotWriter(path, options.dimension, table)) as writer:
        for start in range(0, len(places), _BLOCK):
            block = places[start : start + _BLOCK]
            kept, new = embedded.kept[block], embedded.new[block]
            is_new = new >= 0
            rows = np.empty((len(block), options.dimension), np.float32)
            rows[is_new] = journal.rows(new[is_new])
            new_items = iter(journal.items(new[is_new].tolist()))
            kept_items: Iterator[Item] = iter(())
            if previous:
                rows[~is_new] = previous.base.rows(kept[~is_new])
                kept_items = iter(previous.items.many(kept[~is_new].tolist()))
            items = (next(new_items if one else kept_items) for one in is_new.tolist())
            writer.add(rows, [replace(item, id=start + at) for at, item in enumerate(items)])
        return len(places), writer.finish()


def _report(
    options: BuildOptions, manifest: Manifest, start: float, embedded: Embedded | None = None
) -> BuildReport:
    """Return the report of a build; without ``embedded``, the index was up to date."""
    return BuildReport(
        index=options.index,
        embedder=options.record.name,
        indexed=manifest.count,
        skipped=manifest.skipped,
        seconds=time.monotonic() - start,
        embedded=embedded.count if embedded else 0,
        dropped=embedded.dropped if embedded else 0,
        metadata=manifest.metadata,
        changed=embedded is not None,
    )
