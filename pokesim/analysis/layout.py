"""Lay an index out in two dimensions, with similar pictures close together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.arguments import choice, whole_number
from pokesim.errors import CorruptIndexError, UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.index.vectors.flat import spread_ids
from pokesim.metric import within_bounds
from pokesim.search.index import open_index

MAX_PICTURES = 2000
"""Default maximum number of pictures on a map."""


class Method(StrEnum):
    """How vectors are reduced to two dimensions.

    PCA preserves the largest differences; t-SNE keeps neighbours together and needs openTSNE. AUTO
    uses t-SNE if openTSNE is installed.
    """

    AUTO = "auto"
    PCA = "pca"
    TSNE = "tsne"


@dataclass(frozen=True, slots=True)
class PlacedPicture:
    """A picture on the map; x and y run from 0 to 1, y downwards."""

    path: Path
    label: str
    x: float
    y: float


def layout_pictures(
    index: str | Path = DEFAULT_INDEX,
    *,
    most: int = MAX_PICTURES,
    method: str = Method.AUTO,
    where: str | None = None,
) -> list[PlacedPicture]:
    """Place the pictures of an index in the unit square, similar pictures close together.

    Args:
        index: the index's folder or address.
        most: maximum number of pictures; from a larger index, they are taken at equal steps.
        method: "pca", "tsne" or "auto".
        where: a filter on the metadata; only pictures that pass it are placed. See
            `pokesim.index.metadata.filter_parser`.

    Raises:
        UsageError: ``most`` is below 1, the method is unknown or needs a package that is not
            installed, or the filter is not valid for this index.
        IndexFolderError: the index is missing or damaged.
    """
    most, chosen = whole_number("most", most), choice("method", method, Method)
    with open_index(index) as opened:
        ids = np.arange(len(opened)) if where is None else opened.select(where)
        ids = ids[spread_ids(len(ids), most)]
        reduce = _REDUCERS[_resolved(chosen, len(ids))]
        if not len(ids):
            return []
        x = opened.vectors(ids)
        if not within_bounds(x):
            raise CorruptIndexError(f"{index} has vectors that are not finite; build it again.")
        # Equal pictures have no directions that they differ in.
        points = reduce(x) if np.ptp(x, axis=0).any() else np.zeros((len(x), 2))
        xy = _in_unit_square(points)
        items = [opened.items[item_id] for item_id in ids.tolist()]
        root = Path(opened.manifest.images)
        return [
            PlacedPicture(root / item.path, opened.label_of(item), x, y)
            for item, (x, y) in zip(items, xy.tolist(), strict=True)
        ]


def _resolved(method: Method, count: int) -> Method:
    """Return the method to use for ``count`` vectors. Raises UsageError if it is not installed."""
    is_installed = find_spec("openTSNE") is not None
    if method is Method.TSNE and not is_installed:
        raise UsageError("t-SNE needs openTSNE: pip install 'pokesim[map]'.")
    if count < 4:  # too few to have neighbours
        return Method.PCA
    return (Method.TSNE if is_installed else Method.PCA) if method is Method.AUTO else method


def _in_unit_square(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre and scale points (n, 2) so that the longer side of their bounds has length 1."""
    span = float(np.ptp(points, axis=0).max()) or 1.0
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    placed: NDArray[np.float64] = 0.5 + (points - middle) / span
    return placed


def _pca(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the first two principal components, float64 (n, 2)."""
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)  # in ascending order
    two = directions[:, :-3:-1]
    signs = np.sign(two[np.abs(two).argmax(axis=0), np.arange(two.shape[1])])
    points: NDArray[np.float64] = centred @ (two * signs)  # fixed signs: reproducible anywhere
    return points if points.shape[1] == 2 else np.pad(points, ((0, 0), (0, 1)))


def _tsne(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return a t-SNE embedding, float64 (n, 2), initialized by PCA."""
    from openTSNE import TSNE

    if x.shape[1] == 1:  # openTSNE starts from two principal components
        x = np.pad(x, ((0, 0), (0, 1)))
    perplexity = min(30.0, (len(x) - 1) / 3)
    points = TSNE(perplexity=perplexity, initialization="pca", random_state=0).fit(x)
    return np.asarray(points, np.float64)


_REDUCERS = {Method.PCA: _pca, Method.TSNE: _tsne}
