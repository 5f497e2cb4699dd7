"""Learn a metric from labelled pictures and publish the projected index.

The labelled pictures are embedded once, as a separate index inside the index's folder. To measure
the metric, it is first fitted without some held-out labels; the published one is fitted on all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence, Set
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.analysis.labels import KnownLabels, Labelled, Labels, labelled_files
from pokesim.analysis.ranking import IntArray, first_right_ranks
from pokesim.arguments import choice, file_path, truth, whole_number
from pokesim.build.build import embed_folder
from pokesim.embedders.model_cache import find_model
from pokesim.errors import PokesimError
from pokesim.files import sha256_of
from pokesim.index import DEFAULT_INDEX, open_store
from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.index.folder.items import ITEMS_FILE, Items
from pokesim.index.folder.lock import LABELLED
from pokesim.index.folder.snapshot import FolderSnapshot, IndexFolder
from pokesim.index.folder.writer import new_snapshot
from pokesim.index.item import Item, folder_of
from pokesim.index.manifest import Tuning
from pokesim.index.vectors.flat import VECTORS_FILE
from pokesim.metric import Projection, fit
from pokesim.progress import Progress
from pokesim.search.index import open_index

DIMS = 256

HELD_OUT = 5
"""One label in five is held out to measure the metric."""

Rows = NDArray[np.float32]


def tune_index(
    labelled: str | Path,
    index: str | Path = DEFAULT_INDEX,
    *,
    dims: int = DIMS,
    labels: Labels | str = Labels.AUTO,
    force: bool = False,
    progress: Progress | None = None,
) -> Tuning:
    """Learn a linear metric from labelled pictures and publish the projected index.

    The metric is also fitted on the index's pictures with those labels. Pictures whose label no
    picture in the index has are ignored with ``labels="auto"`` and used otherwise.

    Args:
        labelled: folder of labelled pictures: one folder per label, or the same stem in several
            folders.
        index: the index's folder or address.
        dims: maximum dimension of the projected vectors; see `pokesim.metric.fit`.
        labels: "stem", "folder" or "auto"; see `pokesim.analysis.labels.Labels`.
        force: publish even if the metric does not help or cannot be measured.
        progress: called while labelled pictures are embedded.

    Returns:
        the number of labels and pictures, and R@1 and R@5 on held-out labels, before and after.

    Raises:
        UsageError: ``dims`` is below 1, or there are no such labels.
        PokesimError: there are too few pictures, the metric does not help, or the index cannot be
            read or written. The index is then unchanged.
    """
    root, how = (
        file_path("The folder of labelled pictures", labelled),
        choice("labels", labels, Labels),
    )
    dims, force = whole_number("dims", dims), truth("force", force)
    store = open_store(index)
    store.snapshot()  # raises an error if there is no index, before a folder is created
    with store.folder(write=True) as folder, new_snapshot(IndexFolder(folder)) as draft:
        snapshot = IndexFolder(folder).current()
        items = _items_of(snapshot)
        known = KnownLabels(items)
        pictures = labelled_files(root, how, known)
        if how is Labels.AUTO:
            pictures = [picture for picture in pictures if picture.label in known]
        if not pictures:
            raise PokesimError(
                f"No picture in {root} has the label of a picture in the index; "
                "use --truth stem or --truth folder to learn from them anyway."
            )
        own = _labels_of(items, {picture.label for picture in pictures})
        _check_enough(pictures, known, force)
        x, found = _labelled_vectors(snapshot, folder / LABELLED, root, pictures, progress)
        base = BaseVectors(snapshot)
        names = sorted({*own, *(label for label, _ in found)})
        number = {name: row for row, name in enumerate(names)}
        yq = np.array([number[label] for label, _ in found], np.int64)
        yb = np.array([number[label] for label in own], np.int64)
        same = _numbered([sha256 for _, sha256 in found], [item.sha256 for item in items])
        measured = _measured(x, yq, yb, names, base, dims, same)
        _refuse_if_useless(measured, force)
        projection = _fitted(x, yq, yb, base, np.unique(yq), dims)
        tuning = Tuning(len(np.unique(yq)), len(x), *measured)
        draft.link(snapshot.file(ITEMS_FILE), ITEMS_FILE)
        draft.link(base.path, VECTORS_FILE)
        draft.commit(draft.project(base.manifest, projection, tuning))
    return tuning


def reset_index(index: str | Path = DEFAULT_INDEX) -> None:
    """Remove the learned metric of a tuned index and search its base vectors again.

    Raises:
        PokesimError: the index is not tuned, or cannot be read or written.
    """
    store = open_store(index)
    if store.snapshot().manifest.tuning is None:
        raise PokesimError(f"The index {index} is not tuned; there is nothing to reset.")
    with store.folder(write=True) as folder, new_snapshot(IndexFolder(folder)) as draft:
        snapshot = IndexFolder(folder).current()
        base = BaseVectors(snapshot)
        draft.link(snapshot.file(ITEMS_FILE), ITEMS_FILE)
        draft.link(base.path, VECTORS_FILE)
        draft.commit(base.manifest)


def _items_of(snapshot: FolderSnapshot) -> list[Item]:
    with contextlib.closing(Items(snapshot.file(ITEMS_FILE), snapshot.manifest.count)) as items:
        return list(items)


def _labels_of(items: Sequence[Item], labels: Set[str]) -> list[str]:
    """Return the label of each picture of the index: its folder's name where that is a label."""
    return [
        folder_of(item) if item.label not in labels and folder_of(item) in labels else item.label
        for item in items
    ]


def _check_enough(pictures: Sequence[Labelled], known: KnownLabels, force: bool) -> None:
    """Check what labels alone show, before the pictures are embedded.

    Raises:
        PokesimError: no label has two pictures that differ, or too few are those of the index.
    """
    labels = {picture.label for picture in pictures}
    if not force and sum(label in known for label in labels) < 2 * HELD_OUT:
        raise _too_few()
    hashes: dict[str, str] = {}
    for picture in pictures:
        if known.has_other(picture.path, picture.label):
            return
        with contextlib.suppress(OSError):
            digest = sha256_of(picture.path)
            if hashes.setdefault(picture.label, digest) != digest:
                return
    raise PokesimError(
        "No label has two pictures that differ, so there is nothing to learn from. A label is the "
        "file's stem or its folder's name; --truth stem or --truth folder decides."
    )


def _numbered(some: Sequence[str], others: Sequence[str]) -> tuple[IntArray, IntArray]:
    """Number the texts of two lists; equal texts have equal numbers."""
    number: dict[str, int] = {}
    first, second = (
        np.array([number.setdefault(text, len(number)) for text in texts], np.int64)
        for texts in (some, others)
    )
    return first, second


def _labelled_vectors(
    snapshot: FolderSnapshot,
    folder: Path,
    root: Path,
    pictures: Sequence[Labelled],
    progress: Progress | None,
) -> tuple[Rows, list[tuple[str, str]]]:
    """Return the base vectors of labelled pictures, their labels and hashes; embed new pictures.

    ``folder`` holds the index of the labelled pictures.
    """
    made_by = snapshot.manifest.embedder
    files = [os.fspath(picture.path.relative_to(root)) for picture in pictures]
    model = find_model(made_by)
    with contextlib.suppress(OSError):  # building says what is wrong
        folder.mkdir(exist_ok=True)  # publishing the index flushes its folder, and so this name
    embed_folder(root, folder, model, files=files, normalize=made_by.normalized, progress=progress)
    label = dict(zip(files, (picture.label for picture in pictures), strict=True))
    with open_index(folder) as embedded:
        return np.concatenate(list(embedded.blocks())), [
            (label[item.path], item.sha256) for item in embedded.items
        ]


def _measured(
    x: Rows,
    yq: IntArray,
    yb: IntArray,
    names: Sequence[str],
    base: BaseVectors,
    dims: int,
    same: tuple[IntArray, IntArray],
) -> tuple[int, tuple[float, float], tuple[float, float]]:
    """Fit without the held-out labels and rank their pictures, before and after.

    Returns:
        the number of held-out pictures (0 if there are too few labels to hold some out), then R@1
        and R@5 in percent with the base vectors and with the projected ones.
    """
    shared = np.intersect1d(yq, yb)
    # A fixed order that is independent of the alphabet.
    order = sorted(shared, key=lambda label: hashlib.sha256(names[label].encode()).digest())
    held_out = np.array(order[::HELD_OUT], np.int64)
    if len(shared) < 2 * HELD_OUT:
        return 0, (0.0, 0.0), (0.0, 0.0)
    projection = _fitted(x, yq, yb, base, np.setdiff1d(np.unique(yq), held_out), dims)
    queries = np.isin(yq, held_out)
    same = same[0][queries], same[1]
    before = _recall(x[queries], yq[queries], yb, base, None, same)
    after = _recall(x[queries], yq[queries], yb, base, projection, same)
    return int(queries.sum()), before, after


def _fitted(
    x: Rows, yq: IntArray, yb: IntArray, base: BaseVectors, labels: IntArray, dims: int
) -> Projection:
    """Fit on the pictures with given labels, both the labelled ones and those in the index."""
    own = np.flatnonzero(np.isin(yb, labels))
    used = np.isin(yq, labels)
    return fit(np.concatenate([x[used], base.rows(own)]), np.concatenate([yq[used], yb[own]]), dims)


def _recall(
    x: Rows,
    yq: IntArray,
    yb: IntArray,
    base: BaseVectors,
    projection: Projection | None,
    same: tuple[IntArray, IntArray],
) -> tuple[float, float]:
    queries = projection.apply(x) if projection else x
    blocks = partial(base.blocks, projection)
    ranks, *_ = first_right_ranks(queries, yq, blocks, yb[:, None], same)
    first, fifth = (100 * float(np.mean((ranks > 0) & (ranks <= k))) for k in (1, 5))
    return first, fifth


def _refuse_if_useless(
    measured: tuple[int, tuple[float, float], tuple[float, float]], force: bool
) -> None:
    held_out, before, after = measured
    if force:
        return
    if not held_out:
        raise _too_few()
    if after[0] <= before[0]:
        raise PokesimError(
            f"The metric does not help: on held-out labels R@1 goes from {before[0]:.1f} % to "
            f"{after[0]:.1f} %. The index is unchanged; use --force to publish it anyway."
        )


def _too_few() -> PokesimError:
    return PokesimError(
        f"Fewer than {2 * HELD_OUT} labels have both a labelled picture and one in the index, "
        "too few to hold some out and measure the metric; use --force to publish it unmeasured."
    )
