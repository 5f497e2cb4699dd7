"""Single pictures into an index and out of it; the others are not looked at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pokesim.embedders import models
from pokesim.embedders.catalog import runtime_named
from pokesim.embedders.runtimes import Network, open_network
from pokesim.errors import PokesimError, UsageError, did_you_mean
from pokesim.index import DEFAULT_INDEX
from pokesim.index.embedding import embed_here
from pokesim.index.items import path_in
from pokesim.index.pipeline import make
from pokesim.index.plain import Plain
from pokesim.index.snapshot import Snapshot, open_snapshot
from pokesim.index.store import store_of
from pokesim.index.update import Old, Plan, plan_add, plan_remove
from pokesim.index.work import BuildReport, Work


def add_pictures(files: Sequence[str | Path], index: str | Path = DEFAULT_INDEX) -> BuildReport:
    """Add pictures to an index, or read them again; all of them, or none.

    A picture from outside the index's folder stays in the index as long as the file is there.

    Raises:
        PokesimError: a picture cannot be read, or the index cannot be read or written.
    """
    for file in files:
        if Path(file).is_dir():
            raise UsageError(f"{file} is a folder; `pokesim build-index` takes folders.")
    with store_of(index).folder(write=True) as home:
        snapshot = open_snapshot(home)
        root = Path(snapshot.manifest.images)
        paths = [path_in(root, file) for file in files]
        return make(_work(index, home, snapshot), lambda old: plan_add(_there(old), paths))


def remove_pictures(names: Sequence[str], index: str | Path = DEFAULT_INDEX) -> BuildReport:
    """Take pictures out of an index; their files stay.

    Args:
        names: labels, each of which stands for all its pictures, and paths.
        index: the index's folder or address.

    Raises:
        PokesimError: there is no such picture, or none would be left, or the index cannot be read
            or written.
    """

    def plan_of(old: Old | None) -> Plan:
        manifest = _there(old).snapshot.manifest
        gone = _rows_of(_there(old), Path(manifest.images), names)
        if len(gone) == manifest.count:
            raise PokesimError(f"That is all of {index}; delete the index itself instead.")
        return plan_remove(_there(old), gone)

    with store_of(index).folder(write=True) as home:
        return make(_work(index, home, open_snapshot(home)), plan_of)


def _rows_of(old: Old, root: Path, names: Sequence[str]) -> set[int]:
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


def _there(old: Old | None) -> Old:
    if old is None:
        raise PokesimError("The index is gone, or no snapshot of it is sound.")
    return old


def _work(index: str | Path, home: Path, snapshot: Snapshot) -> Work:
    made_by = snapshot.manifest.embedder

    runs = runtime_named(snapshot.manifest.runtime, snapshot.manifest.precision)

    def load() -> Network:
        model = models.find(made_by.name, made_by.weights_sha256, made_by.export_version)
        return open_network(model, *runs)

    return Work(
        str(index),
        home,
        Path(snapshot.manifest.images),
        made_by,
        Plain(snapshot).manifest.dimension,
        partial(embed_here, load),
        runtime=runs[0],
        precision=runs[1],
        strict=True,
        asked=True,
        unfinished=".unfinished-edit",
    )
