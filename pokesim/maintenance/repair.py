"""Bring a damaged index back: from what is sound of it, else from its pictures."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from pokesim.build.build import embed_folder
from pokesim.embedders.model_cache import find_model
from pokesim.errors import CorruptIndexError, IncompatibleIndexError, IndexFolderError, PokesimError
from pokesim.images import find_files
from pokesim.index import open_store
from pokesim.index.folder.lock import write_lock
from pokesim.index.folder.snapshot import (
    SNAPSHOTS,
    FolderSnapshot,
    IndexFolder,
)
from pokesim.index.folder.writer import new_snapshot, set_current
from pokesim.index.metadata.table import read_table
from pokesim.index.vectors.candidates import CANDIDATE_FILES
from pokesim.index.vectors.flat import BASE_FILE, VECTORS_FILE, project_file
from pokesim.metric import PROJECTION_FILE


def repair_index(index: str | Path) -> Iterator[str]:
    """Make an index whole, yielding a line for what was found and one for what was done.

    Where only the candidate index is damaged, it is built again. Else the newest snapshot that is
    sound, or whose projected vectors can be projected again, becomes the one that counts, and
    damaged ones are removed. Where there is none, all pictures are embedded again as they were.

    Raises:
        IndexFolderError: nothing of it can be repaired, or it cannot be written.
        PokesimError: its pictures or its embedder cannot be had.
    """
    with open_store(index).folder(write=True) as home:
        yield from _repair(home)


def _repair(home: Path) -> Iterator[str]:
    with contextlib.suppress(CorruptIndexError):
        IndexFolder(home).current()  # before anything is written where there is no index
    with write_lock(home):
        try:
            _verify(IndexFolder(home).current())
        except CorruptIndexError as error:
            yield f"found: {str(error).split(';')[0]}"
        else:
            return
        whole_but_search = _whole_but_search(home)
        if not whole_but_search and (restored := _restore(home)):
            yield restored
            return
    if whole_but_search:
        yield _search_built_again(home, whole_but_search)
    else:
        yield _from_pictures(home)


def _verify(snapshot: FolderSnapshot) -> None:
    for name in snapshot.manifest.files:
        snapshot.verify_file(name)


def _whole_but_search(home: Path) -> FolderSnapshot | None:
    """Return the snapshot that counts if all but its candidate index is sound."""
    with contextlib.suppress(CorruptIndexError, IncompatibleIndexError):
        index = IndexFolder(home)
        snapshot = index.named(index.current_name())
        for name in snapshot.manifest.files.keys() - CANDIDATE_FILES:
            snapshot.verify_file(name)
        return snapshot
    return None


def _search_built_again(home: Path, snapshot: FolderSnapshot) -> str:
    with new_snapshot(IndexFolder(home)) as draft:
        for name in snapshot.manifest.files.keys() - CANDIDATE_FILES:
            draft.link(snapshot.file(name), name)
        draft.commit(snapshot.manifest)
    return f"repaired: the candidate index of {home} was built again"


def _restore(home: Path) -> str:
    """Let the newest snapshot that is sound count; say so, or return an empty string."""
    damaged = []
    for name in IndexFolder(home).names():
        try:
            snapshot = IndexFolder(home).named(name)
            again = _projected_again(snapshot)
            _verify(snapshot)
        except CorruptIndexError:
            damaged.append(home / SNAPSHOTS / name)
            continue
        except IncompatibleIndexError:
            continue
        set_current(IndexFolder(home), name)
        for folder in damaged:
            shutil.rmtree(folder)
        when = snapshot.manifest.created[:16].replace("T", " ")
        return (
            f"repaired: {again}the index of {when} UTC counts, with {snapshot.manifest.count:,} "
            "pictures; `pokesim build-index` brings it up to date"
        )
    return ""


def _projected_again(snapshot: FolderSnapshot) -> str:
    """Project a tuned index's vectors again if they are damaged, and nothing else is.

    Returns:
        words that say so, or an empty string.
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
    part = projected.with_suffix(".part")
    project_file(snapshot.file(BASE_FILE), part, snapshot.manifest.count, projection)
    part.replace(projected)
    return f"{projected} was projected again, "


def _from_pictures(home: Path) -> str:
    """Embed the pictures of the newest snapshot whose manifest tells which these are."""
    for name in IndexFolder(home).names():
        with contextlib.suppress(CorruptIndexError, IncompatibleIndexError):
            manifest = IndexFolder(home).named(name).manifest
            made_by, root = manifest.embedder, Path(manifest.images)
            model = find_model(made_by)
            files = find_files(root)
            table, key, told = None, None, ""
            if record := manifest.metadata:
                try:
                    table, key = read_table(Path(record.source)), record.key
                except PokesimError as error:
                    told = f"; the metadata are lost: {error}"
            done = embed_folder(
                root,
                home,
                model,
                files=files,
                normalize=made_by.normalized,
                search=manifest.search.requested,
                table=table,
                key=key,
            )
            return f"repaired: {done.embedded:,} pictures of {root} embedded again{told}"
    raise IndexFolderError(f"Nothing of {home} can be repaired; build the index again.")
