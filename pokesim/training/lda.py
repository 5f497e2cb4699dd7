"""Linear discriminant analysis in closed form, over several groups of labelled pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""An array. The docstring of each function gives its shape and type."""


@dataclass(frozen=True)
class Labelled:
    """Vectors with a class each, and the weight of their scatter among the groups.

    Attributes:
        x: vectors (n, d).
        labels: their classes (n,), of any type.
        weight: of the group's scatter.
        spread: factor of the distances between its class means, for classes that must be told
            apart better.
    """

    x: Array
    labels: Array
    weight: float = 1.0
    spread: float = 1.0


def discriminants(groups: Sequence[Labelled], shrinkage: float, dim: int) -> tuple[Array, Array]:
    """Learn a linear metric from groups of labelled vectors.

    Whitens by the within-class scatter (the weighted mean over the groups, with ``shrinkage`` times
    its mean variance added to every direction), then keeps the principal directions of the class
    means: Fisher 1936; Friedman 1989, "Regularized Discriminant Analysis".

    Returns:
        the matrix (d, dim) and the centre (d,); the metric is (x - centre) @ matrix.
    """
    dimension = groups[0].x.shape[1]
    scatter, means = np.zeros((dimension, dimension)), []
    for group in groups:
        x = group.x.astype(np.float64)
        names, at, counts = np.unique(group.labels, return_inverse=True, return_counts=True)
        centres = np.zeros((len(names), dimension))
        np.add.at(centres, at, x)
        centres /= counts[:, None]
        residuals = x - centres[at]
        scatter += group.weight * (residuals.T @ residuals) / len(x)
        means.append(centres)
    scatter /= sum(group.weight for group in groups)
    scatter += shrinkage * np.trace(scatter) / dimension * np.eye(dimension)
    values, vectors = np.linalg.eigh(scatter)
    whiten = vectors / np.sqrt(values)
    centre = np.concatenate(means).mean(0)
    apart = [(m - centre) * group.spread for m, group in zip(means, groups, strict=True)]
    between = np.concatenate(apart) @ whiten
    _, directions = np.linalg.eigh(between.T @ between)  # in ascending order
    return (whiten @ directions[:, : -dim - 1 : -1]).astype(np.float32), centre.astype(np.float32)


def unit(x: Array) -> Array:
    """Scale rows to length 1."""
    scaled: Array = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)
    return scaled
