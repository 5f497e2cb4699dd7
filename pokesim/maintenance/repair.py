"""Repair a damaged index from its intact parts, or else from its pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pokesim.build.build import embed_folder
from pokesim.embedders.model_cache import find_model
from pokesim.errors import CorruptIndexError, IncompatibleIndexError, IndexFolderError, PokesimError
from pokesim.files import atomic_path, remove
from pokesim.images import find_files
from pokesim.index import open_store
from pokesim.index.folder.lock import SNAPSHOTS, write_lock
from pokesim.index.folder.snapshot import MOST_TRIED, FolderSnapshot, IndexFolder
from pokesim.index.folder.writer import new_snapshot, set_current
from pokesim.index.metadata.table import Table, read_table
from pokesim.index.vectors.candidates import CANDIDATE_FILES
from pokesim.index.vectors.flat import BASE_FILE, VECTORS_FILE, project_file
from pokesim.metric import PROJECTION_FILE


def repair_index(index: str | Path) -> Iterator[str]:
    """Repair an index; yield a line for the damage found and a line for the repair.

    If only the candidate index is damaged, it is built again from the vectors. Otherwise the newest
    snapshot that is intact, or whose projected vectors can be computed again, becomes the current
    one, and damaged snapshots are removed. If there is none, all pictures are embedded again with
    the embedder and the options of the index.

    Raises:
        IndexFolderError: nothing of the index can be repaired, or it cannot be written.
        PokesimError: its pictures or its embedder are not available.
    """
    with open_store(index).folder(write=True) as path:
        yield from _repair(IndexFolder(path))


def _repair(folder: IndexFolder) -> Iterator[str]:
    with contextlib.suppress(CorruptIndexError):
        folder.current()  # raises if there is no index, before the lock creates the folder
    with write_lock(folder.path):
        try:
            _verify(folder.current())
        except CorruptIndexError as error:
            yield f"found: {str(error).split(';')[0]}"
        else:
            return
        snapshot = _intact_but_for_candidates(folder)
        if not snapshot and (repaired := _restore_snapshot(folder)):
            yield repaired
            return
    if snapshot:
        yield _rebuild_candidates(folder, snapshot)
    else:
        yield _rebuild_from_pictures(folder)


def _verify(snapshot: FolderSnapshot) -> None:
    for name in snapshot.manifest.files:
        snapshot.verify_file(name)


def _intact_but_for_candidates(folder: IndexFolder) -> FolderSnapshot | None:
    """Return the current snapshot if all of it except the candidate index is intact."""
    with contextlib.suppress(CorruptIndexError, IncompatibleIndexError):
        snapshot = folder.named(folder.current_name())
        for name in snapshot.manifest.files.keys() - CANDIDATE_FILES:
            snapshot.verify_file(name)
        return snapshot
    return None


def _rebuild_candidates(folder: IndexFolder, snapshot: FolderSnapshot) -> str:
    with new_snapshot(folder) as draft:
        for name in snapshot.manifest.files.keys() - CANDIDATE_FILES:
            draft.link(snapshot.file(name), name)
        draft.commit(snapshot.manifest)
    return f"repaired: built the candidate index of {folder.path} again"


def _restore_snapshot(folder: IndexFolder) -> str:
    """Make the newest intact snapshot the current one.

    Returns:
        a line that says so, or an empty string if no snapshot is intact.
    """
    damaged = []
    for name in folder.names()[:MOST_TRIED]:
        try:
            snapshot = folder.named(name)
            projected = _project_again(snapshot)
            _verify(snapshot)
        except CorruptIndexError:
            damaged.append(folder.path / SNAPSHOTS / name)
            continue
        except IncompatibleIndexError:
            continue
        set_current(folder, name)
        for path in damaged:
            remove(path)
        when = snapshot.manifest.created[:16].replace("T", " ")
        return (
            f"repaired: {projected}restored the index of {when} UTC, with "
            f"{snapshot.manifest.count:,} pictures; `pokesim build-index` brings it up to date"
        )
    return ""


def _project_again(snapshot: FolderSnapshot) -> str:
    """Project the base vectors of a tuned index again if only the projected ones are damaged.

    Returns:
        the beginning of a line that says so, or an empty string.
    """
    projected = snapshot.file(VECTORS_FILE)
    if snapshot.manifest.tuning is None:
        return ""
    with contextlib.suppress(CorruptIndexError):
        snapshot.verify_file(VECTORS_FILE)
        return ""
    for name in (PROJECTION_FILE, BASE_FILE):
        snapshot.verify_file(name)
    projection = snapshot.projection()
    assert projection is not None
    with atomic_path(projected) as path:
        project_file(snapshot.file(BASE_FILE), path, snapshot.manifest.count, projection)
    return f"projected {projected} again and "


def _rebuild_from_pictures(folder: IndexFolder) -> str:
    """Embed the pictures again, as the newest snapshot with an intact manifest describes them."""
    newest = next(folder.readable_snapshots(), None)
    if newest is None:
        raise IndexFolderError(f"Nothing of {folder.path} can be repaired; build the index again.")
    manifest = newest.manifest
    root = Path(manifest.images)
    if root == Path(root.anchor):
        raise IndexFolderError(
            f"Nothing of {folder.path} can be repaired, and the folder of its pictures is {root}, "
            "all of this machine; build the index again."
        )
    table: Table | None = None
    lost = ""
    if record := manifest.metadata:
        try:
            table = read_table(Path(record.source))
        except PokesimError as error:
            lost = f"; the metadata are lost: {error}"
    done = embed_folder(
        root,
        folder.path,
        find_model(manifest.embedder),
        files=find_files(root),
        normalize=manifest.embedder.normalized,
        search=manifest.search.requested,
        table=table,
        key=record.key if table and record else None,
    )
    return f"repaired: embedded {done.embedded:,} pictures of {root} again{lost}"
