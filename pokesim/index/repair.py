"""Bring a damaged index back: from what is sound of it, else from its pictures."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from pokesim import metric
from pokesim.embedders import models
from pokesim.errors import DamagedIndexError, IndexFolderError, OtherIndexError, PokesimError
from pokesim.images import find_files
from pokesim.index import vectors
from pokesim.index.build import embed_folder
from pokesim.index.lock import writing
from pokesim.index.publish import new_snapshot, point_to, publish, share_file
from pokesim.index.snapshot import (
    SNAPSHOTS,
    Snapshot,
    current_name,
    open_snapshot,
    snapshot_named,
    snapshot_names,
)
from pokesim.index.store import store_of
from pokesim.index.structure import STRUCTURE_FILES
from pokesim.index.table import read_table


def repair_index(index: str | Path) -> Iterator[str]:
    """Make an index whole, yielding a line for what was found and one for what was done.

    Where only the search structure is damaged, it is built again. Else the newest snapshot that is
    sound, or whose projected vectors can be projected again, becomes the one that counts, and
    damaged ones are removed. Where there is none, all pictures are embedded again as they were.

    Raises:
        IndexFolderError: nothing of it can be repaired, or it cannot be written.
        PokesimError: its pictures or its embedder cannot be had.
    """
    with store_of(index).folder(write=True) as home:
        yield from _repair(home)


def _repair(home: Path) -> Iterator[str]:
    with contextlib.suppress(DamagedIndexError):
        open_snapshot(home)  # before anything is written where there is no index
    with writing(home):
        try:
            _verify(open_snapshot(home))
        except DamagedIndexError as error:
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


def _verify(snapshot: Snapshot) -> None:
    for name in snapshot.manifest.files:
        snapshot.verify(name)


def _whole_but_search(home: Path) -> Snapshot | None:
    """Return the snapshot that counts if all but its search structure is sound."""
    with contextlib.suppress(DamagedIndexError, OtherIndexError):
        snapshot = snapshot_named(home, current_name(home))
        for name in snapshot.manifest.files.keys() - STRUCTURE_FILES:
            snapshot.verify(name)
        return snapshot
    return None


def _search_built_again(home: Path, snapshot: Snapshot) -> str:
    with new_snapshot(home) as folder:
        for name in snapshot.manifest.files.keys() - STRUCTURE_FILES:
            share_file(snapshot.file(name), folder / name)
        publish(folder, home, snapshot.manifest)
    return f"repaired: the search structure of {home} was built again"


def _restore(home: Path) -> str:
    """Let the newest snapshot that is sound count; say so, or return an empty string."""
    damaged = []
    for name in snapshot_names(home):
        try:
            snapshot = snapshot_named(home, name)
            again = _projected_again(snapshot)
            _verify(snapshot)
        except DamagedIndexError:
            damaged.append(home / SNAPSHOTS / name)
            continue
        except OtherIndexError:
            continue
        point_to(home, name)
        for folder in damaged:
            shutil.rmtree(folder)
        when = snapshot.manifest.created[:16].replace("T", " ")
        return (
            f"repaired: {again}the index of {when} UTC counts, with {snapshot.manifest.count:,} "
            "pictures; `pokesim build-index` brings it up to date"
        )
    return ""


def _projected_again(snapshot: Snapshot) -> str:
    """Project a tuned index's vectors again if they are damaged, and nothing else is.

    Returns:
        words that say so, or an empty string.
    """
    projected = snapshot.file(vectors.FILE)
    if snapshot.manifest.tuning is None:
        return ""
    with contextlib.suppress(DamagedIndexError):
        snapshot.verify(vectors.FILE)
        return ""
    for name in (metric.FILE, vectors.PLAIN_FILE):
        snapshot.verify(name)
    projection = snapshot.projection()
    assert projection is not None
    part = projected.with_suffix(".part")
    vectors.project_file(
        snapshot.file(vectors.PLAIN_FILE), part, snapshot.manifest.count, projection
    )
    part.replace(projected)
    return f"{projected} was projected again, "


def _from_pictures(home: Path) -> str:
    """Embed the pictures of the newest snapshot whose manifest tells which these are."""
    for name in snapshot_names(home):
        with contextlib.suppress(DamagedIndexError, OtherIndexError):
            manifest = snapshot_named(home, name).manifest
            made_by, root = manifest.embedder, Path(manifest.images)
            model = models.find(made_by.name, made_by.weights_sha256, made_by.export_version)
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
                search=manifest.search.asked,
                table=table,
                key=key,
            )
            return f"repaired: {done.embedded:,} pictures of {root} embedded again{told}"
    raise IndexFolderError(f"Nothing of {home} can be repaired; build the index again.")
