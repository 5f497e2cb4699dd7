"""Single pictures into an index and out of it; the others are not looked at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pokesim.build.batches import embed_locally
from pokesim.build.options import BuildOptions, BuildReport
from pokesim.build.pipeline import run_build
from pokesim.build.plan import UpdatePlan, plan_add, plan_remove
from pokesim.build.previous import PreviousSnapshot
from pokesim.embedders.catalog import Compute
from pokesim.embedders.model_cache import find_model
from pokesim.embedders.runtimes import Embedder, open_embedder
from pokesim.errors import PokesimError, UsageError, did_you_mean
from pokesim.index import DEFAULT_INDEX, open_store
from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.index.folder.snapshot import FolderSnapshot, IndexFolder
from pokesim.index.item import path_in


def add_pictures(files: Sequence[str | Path], index: str | Path = DEFAULT_INDEX) -> BuildReport:
    """Add pictures to an index, or read them again; all of them, or none.

    A picture from outside the index's folder stays in the index as long as the file is there.

    Raises:
        PokesimError: a picture cannot be read, or the index cannot be read or written.
    """
    for file in files:
        if Path(file).is_dir():
            raise UsageError(f"{file} is a folder; `pokesim build-index` takes folders.")
    with open_store(index).folder(write=True) as home:
        snapshot = IndexFolder(home).current()
        root = Path(snapshot.manifest.images)
        paths = [path_in(root, file) for file in files]
        return run_build(_work(index, home, snapshot), lambda old: plan_add(_there(old), paths))


def remove_pictures(names: Sequence[str], index: str | Path = DEFAULT_INDEX) -> BuildReport:
    """Take pictures out of an index; their files stay.

    Args:
        names: labels, each of which stands for all its pictures, and paths.
        index: the index's folder or address.

    Raises:
        PokesimError: there is no such picture, or none would be left, or the index cannot be read
            or written.
    """

    def plan_of(old: PreviousSnapshot | None) -> UpdatePlan:
        manifest = _there(old).snapshot.manifest
        gone = _rows_of(_there(old), Path(manifest.images), names)
        if len(gone) == manifest.count:
            raise PokesimError(f"That is all of {index}; delete the index itself instead.")
        return plan_remove(_there(old), gone)

    with open_store(index).folder(write=True) as home:
        return run_build(_work(index, home, IndexFolder(home).current()), plan_of)


def _rows_of(old: PreviousSnapshot, root: Path, names: Sequence[str]) -> set[int]:
    wanted = {name: {name, path_in(root, name)} for name in names}
    found: dict[str, set[int]] = {name: set() for name in names}
    labels = set()
    for item in old.items:
        labels.add(item.label)
        for name, known_as in wanted.items():
            if item.label == name or item.path in known_as:
                found[name].add(item.id)
    for name, rows in found.items():
        if not rows:
            raise PokesimError(
                f"The index has no picture of label or path {name}.{did_you_mean(name, labels)}"
            )
    return set().union(*found.values())


def _there(old: PreviousSnapshot | None) -> PreviousSnapshot:
    if old is None:
        raise PokesimError("The index is gone, or no snapshot of it is sound.")
    return old


def _work(index: str | Path, home: Path, snapshot: FolderSnapshot) -> BuildOptions:
    made_by = snapshot.manifest.embedder

    compute = Compute.named(snapshot.manifest.runtime, snapshot.manifest.precision)

    def load() -> Embedder:
        model = find_model(made_by)
        return open_embedder(model, compute)

    return BuildOptions(
        str(index),
        home,
        Path(snapshot.manifest.images),
        made_by,
        BaseVectors(snapshot).manifest.dimension,
        partial(embed_locally, load),
        compute=compute,
        strict=True,
        asked=True,
        unfinished=".unfinished-edit",
    )
