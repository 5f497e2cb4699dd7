"""Reduce vectors to two dimensions."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import UsageError


class Method(StrEnum):
    """How vectors are reduced to two dimensions.

    PCA preserves the largest differences; t-SNE keeps neighbours together and needs openTSNE. AUTO
    uses t-SNE if openTSNE is installed.
    """

    AUTO = "auto"
    PCA = "pca"
    TSNE = "tsne"


def resolved(method: Method, count: int) -> Method:
    """Return the method to use for ``count`` vectors. Raises UsageError if it is not installed."""
    is_installed = find_spec("openTSNE") is not None
    if method is Method.TSNE and not is_installed:
        raise UsageError("t-SNE needs openTSNE: pip install 'pokesim[map]'.")
    if count < 4:  # too few to have neighbours
        return Method.PCA
    return (Method.TSNE if is_installed else Method.PCA) if method is Method.AUTO else method


def in_unit_square(x: NDArray[np.float32], method: Method) -> NDArray[np.float64]:
    """Place vectors (n, d) in the unit square, similar ones close together, float64 (n, 2).

    ``method`` is one that `resolved` returned. The longer side of the points' bounds has length 1.
    """
    # Equal pictures have no directions that they differ in.
    points = _REDUCERS[method](x) if np.ptp(x, axis=0).any() else np.zeros((len(x), 2))
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
