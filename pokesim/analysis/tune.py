"""Learn a metric from labelled pictures and publish the index projected by it.

The labelled pictures are embedded once, as an index of their own inside the index's folder. Some
labels are held out from a first fit, which shows what the metric is worth; the published one is
then fitted on all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.analysis.labels import Labelled, Labels, labelled_files
from pokesim.analysis.ranking import Ints, first_right_ranks
from pokesim.build.build import embed_folder
from pokesim.embedders.model_cache import find_model
from pokesim.errors import PokesimError, UsageError
from pokesim.index import DEFAULT_INDEX, open_store
from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.index.folder.items import ITEMS_FILE, Items
from pokesim.index.folder.snapshot import FolderSnapshot, IndexFolder
from pokesim.index.folder.writer import new_snapshot
from pokesim.index.manifest import Tuning
from pokesim.index.vectors.flat import VECTORS_FILE
from pokesim.metric import Projection, fit
from pokesim.progress import Progress
from pokesim.search.index import open_index

DIMS = 256

HELD_OUT = 5
"""One label in so many is held out from the fit that is measured."""

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
    """Learn a linear metric from labelled pictures and publish the index projected by it.

    The index's own pictures of those labels are learned from too. Pictures of labels of which the
    index has no picture are passed over with ``labels="auto"`` and learned from otherwise.

    Args:
        labelled: folder of labelled pictures: a folder a label, or one stem in several folders.
        index: the index's folder or address.
        dims: length of the projected vectors, at most; see `pokesim.metric.fit`.
        labels: "stem", "folder", or "auto".
        force: publish even if the metric does not help, or cannot be measured.
        progress: called as labelled pictures are embedded.

    Returns:
        what it was fitted on, and R@1 and R@5 on held-out labels, before and after.

    Raises:
        PokesimError: there is too little to learn from, the metric does not help, or the index
            cannot be read or written. It is unchanged then.
    """
    root = Path(labelled)
    if dims < 1:
        raise UsageError(f"The dimension must be at least 1, not {dims}.")
    store = open_store(index)
    store.snapshot()  # before anything is written there
    with store.folder(write=True) as home, new_snapshot(IndexFolder(home)) as draft:
        snapshot = IndexFolder(home).current()
        known = _labels_of(snapshot)
        pictures = labelled_files(root, Labels(labels), known)
        if labels == Labels.AUTO:
            pictures = [picture for picture in pictures if picture.label in set(known)]
        if not pictures:
            raise PokesimError(
                f"The index has no picture of any label in {root}; "
                "with --labels stem or folder they are learned from all the same."
            )
        x, y = _labelled_vectors(snapshot, home / "labelled", root, pictures, progress)
        plain = BaseVectors(snapshot)
        names = sorted({*known, *y})
        number = {name: at for at, name in enumerate(names)}
        yq = np.array([number[label] for label in y], np.int64)
        yb = np.array([number[label] for label in known], np.int64)
        measured = _measured(x, yq, yb, names, plain, dims)
        _refuse_if_useless(measured, force)
        projection = _fitted(x, yq, yb, plain, np.unique(yq), dims)
        tuning = Tuning(len(np.unique(yq)), len(x), *measured)
        draft.link(snapshot.file(ITEMS_FILE), ITEMS_FILE)
        draft.link(plain.path, VECTORS_FILE)
        draft.commit(draft.project(plain.manifest, projection, tuning))
    return tuning


def reset_index(index: str | Path = DEFAULT_INDEX) -> None:
    """Return a tuned index to its plain vectors.

    Raises:
        PokesimError: it is not tuned, or cannot be read or written.
    """
    store = open_store(index)
    if store.snapshot().manifest.tuning is None:
        raise PokesimError(f"The index {index} is not tuned; there is nothing to reset.")
    with store.folder(write=True) as home, new_snapshot(IndexFolder(home)) as draft:
        snapshot = IndexFolder(home).current()
        plain = BaseVectors(snapshot)
        draft.link(snapshot.file(ITEMS_FILE), ITEMS_FILE)
        draft.link(plain.path, VECTORS_FILE)
        draft.commit(plain.manifest)


def _labels_of(snapshot: FolderSnapshot) -> list[str]:
    with contextlib.closing(Items(snapshot.file(ITEMS_FILE))) as pictures:
        return [item.label for item in pictures]


def _labelled_vectors(
    snapshot: FolderSnapshot,
    home: Path,
    root: Path,
    pictures: Sequence[Labelled],
    progress: Progress | None,
) -> tuple[Rows, list[str]]:
    """Return the plain vectors of labelled pictures and their labels, embedding them if need be."""
    made_by = snapshot.manifest.embedder
    files = [os.fspath(picture.path.relative_to(root)) for picture in pictures]
    model = find_model(made_by)
    embed_folder(root, home, model, files=files, normalize=made_by.normalized, progress=progress)
    label = dict(zip(files, (picture.label for picture in pictures), strict=True))
    with open_index(home) as embedded:
        return np.concatenate(list(embedded.blocks())), [
            label[item.path] for item in embedded.items
        ]


def _measured(
    x: Rows, yq: Ints, yb: Ints, names: Sequence[str], plain: BaseVectors, dims: int
) -> tuple[int, tuple[float, float], tuple[float, float]]:
    """Fit without some labels and rank their pictures, before and after.

    Returns:
        the number of pictures (0 if there are too few labels to hold some out), then R@1 and R@5
        in percent with the plain vectors and with the projected ones.
    """
    shared = np.intersect1d(yq, yb)
    # Any fixed order that has nothing to do with the names' own.
    order = sorted(shared, key=lambda at: hashlib.sha256(names[at].encode()).digest())
    held = np.array(order[::HELD_OUT], np.int64)
    if len(shared) < 2 * HELD_OUT:
        return 0, (0.0, 0.0), (0.0, 0.0)
    projection = _fitted(x, yq, yb, plain, np.setdiff1d(np.unique(yq), held), dims)
    queries = np.isin(yq, held)
    before = _recall(x[queries], yq[queries], yb, plain, None)
    after = _recall(x[queries], yq[queries], yb, plain, projection)
    return int(queries.sum()), before, after


def _fitted(x: Rows, yq: Ints, yb: Ints, plain: BaseVectors, labels: Ints, dims: int) -> Projection:
    """Fit on the pictures of some labels, the labelled ones and the index's own."""
    own = np.flatnonzero(np.isin(yb, labels))
    used = np.isin(yq, labels)
    return fit(
        np.concatenate([x[used], plain.rows(own)]), np.concatenate([yq[used], yb[own]]), dims
    )


def _recall(
    x: Rows, yq: Ints, yb: Ints, plain: BaseVectors, projection: Projection | None
) -> tuple[float, float]:
    queries = projection.apply(x) if projection else x
    blocks = partial(plain.blocks, projection)
    ranks, *_ = first_right_ranks(queries, yq, blocks, yb[:, None])
    first, fifth = (100 * float(np.mean((ranks > 0) & (ranks <= k))) for k in (1, 5))
    return first, fifth


def _refuse_if_useless(
    measured: tuple[int, tuple[float, float], tuple[float, float]], force: bool
) -> None:
    held_out, before, after = measured
    if force:
        return
    if not held_out:
        raise PokesimError(
            f"Fewer than {2 * HELD_OUT} labels have both a labelled picture and one in the index, "
            "too few to hold some out and see whether the metric helps; --force learns it unseen."
        )
    if after[0] <= before[0]:
        raise PokesimError(
            f"The metric does not help: on held-out labels R@1 goes from {before[0]:.1f} % to "
            f"{after[0]:.1f} %. The index is unchanged; --force publishes it all the same."
        )
