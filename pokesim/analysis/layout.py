"""An index's vectors in two dimensions, so that what is alike lies together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.index.vectors.flat import spread_ids
from pokesim.search.index import open_index

MAX_PICTURES = 2000
"""Pictures on a map unless asked otherwise."""


class Method(StrEnum):
    """How vectors are brought into two dimensions.

    PCA keeps what differs most overall; t-SNE keeps neighbours together, and needs openTSNE. AUTO
    takes t-SNE where it can be had.
    """

    AUTO = "auto"
    PCA = "pca"
    TSNE = "tsne"


@dataclass(frozen=True, slots=True)
class PlacedPicture:
    """A picture on the map; x and y are from 0 to 1, y downwards."""

    path: Path
    label: str
    x: float
    y: float


def layout_pictures(
    index: str | Path = DEFAULT_INDEX, *, most: int = MAX_PICTURES, method: str = Method.AUTO
) -> list[PlacedPicture]:
    """Place the pictures of an index in the unit square, pictures with near vectors together.

    Args:
        index: the index's folder or address.
        most: how many; of more, some from all over the index are taken.
        method: "pca", "tsne" or "auto".

    Raises:
        UsageError: there is no such method, or what it needs is not installed.
        IndexFolderError: the index is missing or damaged.
    """
    if method not in list(Method):
        raise UsageError(f"There is no method {method}; choose one of {', '.join(Method)}.")
    with open_index(index) as opened:
        ids = spread_ids(len(opened), most)
        places = _PLACERS[_chosen(Method(method), len(ids))](opened.vectors(ids))
        span = float(np.ptp(places, axis=0).max()) or 1.0
        middle = (places.max(axis=0) + places.min(axis=0)) / 2
        xy = 0.5 + (places - middle) / span
        found = [opened.items[item_id] for item_id in ids.tolist()]
        root = Path(opened.manifest.images)
        return [
            PlacedPicture(root / item.path, item.label, x, y)
            for item, (x, y) in zip(found, xy.tolist(), strict=True)
        ]


def _chosen(method: Method, count: int) -> Method:
    there = find_spec("openTSNE") is not None
    if method is Method.TSNE and not there:
        raise UsageError("t-SNE needs openTSNE: pip install 'pokesim[map]'.")
    if count < 4:  # too few to have neighbours
        return Method.PCA
    return (Method.TSNE if there else Method.PCA) if method is Method.AUTO else method


def _pca(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the first two principal components, float64 (n, 2)."""
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)  # in ascending order
    two = directions[:, :-3:-1]
    signs = np.sign(two[np.abs(two).argmax(axis=0), np.arange(two.shape[1])])
    places: NDArray[np.float64] = centred @ (two * signs)  # the same picture on every machine
    return places if places.shape[1] == 2 else np.pad(places, ((0, 0), (0, 1)))


def _tsne(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return a t-SNE embedding, float64 (n, 2), that begins with PCA."""
    from openTSNE import TSNE

    perplexity = min(30.0, (len(x) - 1) / 3)
    found = TSNE(perplexity=perplexity, initialization="pca", random_state=0).fit(x)
    return np.asarray(found, np.float64)


_PLACERS = {Method.PCA: _pca, Method.TSNE: _tsne}
