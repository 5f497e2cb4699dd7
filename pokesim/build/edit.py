"""Add single pictures to an index, and remove them, without checking the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pokesim.arguments import file_path, iterable
from pokesim.build.batches import embed_locally
from pokesim.build.options import BuildOptions, BuildReport
from pokesim.build.pipeline import run_build
from pokesim.build.plan import UpdatePlan, plan_add, plan_remove
from pokesim.build.previous import PreviousSnapshot
from pokesim.embedders.catalog import LITERT, Compute, Precision
from pokesim.embedders.embedder import Embedder
from pokesim.embedders.model_cache import find_model
from pokesim.embedders.runtimes import compute_for, open_embedder
from pokesim.errors import IncompatibleIndexError, PokesimError, UsageError, did_you_mean
from pokesim.index import DEFAULT_INDEX, open_store
from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.item import path_in, with_folder


def add_pictures(files: Sequence[str | Path], index: str | Path = DEFAULT_INDEX) -> BuildReport:
    """Add pictures to an index, or read them again; if one fails, none is added.

    A picture from outside the index's picture folder is kept as long as its file exists.

    Raises:
        PokesimError: a picture cannot be read, or the index cannot be read or written.
    """
    files = [file_path("Each picture", file) for file in iterable("files", files)]
    for file in files:
        if Path(file).is_dir():
            raise UsageError(f"{file} is a folder; `pokesim build-index` takes folders.")
    with open_store(index).folder(write=True) as path:
        options = _options(index, IndexFolder(path))
        paths = [path_in(options.root, file) for file in files]
        return run_build(options, lambda previous: plan_add(_required(previous), paths))


def remove_pictures(names: Sequence[str], index: str | Path = DEFAULT_INDEX) -> BuildReport:
    """Remove pictures from an index; their files are not deleted.

    Args:
        names: paths, and labels, alone or after the folder's name, as matches show them; each
            removes all pictures with that label.
        index: the index's folder or address.

    Raises:
        PokesimError: there is no such picture, or none would be left, or the index cannot be read
            or written.
    """
    names = [str(file_path("Each name", name)) for name in iterable("names", names)]

    def make_plan(previous: PreviousSnapshot | None) -> UpdatePlan:
        previous = _required(previous)
        manifest = previous.snapshot.manifest
        rows = _rows_of(previous, Path(manifest.images), names)
        if len(rows) == manifest.count:
            raise PokesimError(f"That is all of {index}; delete the index itself instead.")
        return plan_remove(previous, rows)

    with open_store(index).folder(write=True) as path:
        return run_build(_options(index, IndexFolder(path)), make_plan)


def _rows_of(previous: PreviousSnapshot, root: Path, names: Sequence[str]) -> set[int]:
    wanted = set(names)
    paths = {name: {name, path_in(root, name)} for name in names}
    all_paths = set().union(*paths.values())
    rows, found, labels = set(), set(), set()
    for item in previous.items:
        labels.add(item.label)
        names_of = {item.label, item.path, with_folder(item, root)}
        if item.path in all_paths or not wanted.isdisjoint(names_of):
            rows.add(item.id)
            found |= names_of
    for name in names:
        if found.isdisjoint(paths[name]):
            raise PokesimError(
                f"The index has no picture with the label or path {name}."
                f"{did_you_mean(name, labels)}"
            )
    return rows


def _required(previous: PreviousSnapshot | None) -> PreviousSnapshot:
    if previous is None:
        raise PokesimError("The index has been removed, or none of its snapshots is intact.")
    return previous


def _options(index: str | Path, folder: IndexFolder) -> BuildOptions:
    snapshot = folder.current()
    manifest = snapshot.manifest
    # Few pictures: what starts fastest.
    is_float32 = manifest.precision == Precision.FLOAT32
    compute = LITERT if is_float32 else Compute.named(manifest.runtime, manifest.precision)

    def load(_pixels: object, _pictures: int) -> tuple[Embedder, Compute]:
        model = find_model(manifest.embedder)
        own = compute_for(model, compute)
        embedder = open_embedder(model, own)
        if not manifest.embedder.is_read_as(embedder.side):
            raise IncompatibleIndexError(
                f"The index {index} was made by a version of pokesim that preprocesses pictures "
                "differently; build it again with --rebuild."
            )
        return embedder, own

    return BuildOptions(
        index=str(index),
        folder=folder,
        root=Path(manifest.images),
        record=manifest.embedder,
        dimension=BaseVectors(snapshot).manifest.dimension,
        embed=partial(embed_locally, load),
        compute=compute,
        strict=True,
        explicit=True,
        journal=".unfinished-edit",
    )
