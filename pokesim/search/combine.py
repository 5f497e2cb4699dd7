"""Several photos as one question: the weighted sum of their vectors.

Among vectors of length 1, the nearest to the sum is the one with the highest weighted sum of
cosines with the photos: the best compromise between those to be like, and away from those to be
unlike. It is Rocchio's relevance feedback ("Relevance feedback in information retrieval", 1971).
The sum is of the vectors that are searched, so in a learned metric it is of projected ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pokesim.arguments import finite_number, iterable
from pokesim.errors import CombinationError, UsageError
from pokesim.images import PictureSource, name_of

_SAME = 1e-4
"""Vectors that differ by no more than this share of their length are of one picture: embedding it
again, in another batch, gives differences of 1e-6."""

_WEIGHT = re.compile(
    r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|[+-]?inf):(.+)", re.I
)

Weighted: TypeAlias = "PictureSource | tuple[PictureSource, float]"
"""A photo, or a photo and its weight; a photo alone has weight 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A photo that is combined with the one searched with.

    Attributes:
        query: name of the photo, as given.
        photo: the photo.
        weight: its share of the sum; that of the photo searched with is 1. Negative: to be unlike.
    """

    query: str
    photo: PictureSource
    weight: float


def examples(positive: Iterable[Weighted], negative: Iterable[Weighted]) -> list[Example]:
    """Return the photos to be like and those to be unlike.

    Raises:
        UsageError: a weight is not a finite number above 0.
    """
    return [
        _example(one, sign)
        for name, given, sign in (("positive", positive, 1), ("negative", negative, -1))
        for one in iterable(name, given)
    ]


def _example(given: Weighted, sign: int) -> Example:
    photo, weight = given if isinstance(given, tuple) else (given, 1.0)
    name = photo if isinstance(photo, str) else name_of(photo)
    return Example(name, photo, sign * checked_weight(name, weight))


def checked_weight(name: str, weight: float) -> float:
    """Return the weight of a photo. Raises UsageError unless it is a finite number above 0."""
    weight = finite_number(f"The weight of {name}", weight)
    if weight <= 0:
        raise UsageError(f"The weight of {name} must be above 0, not {weight:g}.")
    return weight


def split_weight(text: str) -> tuple[str, float]:
    """Return what ``0.5:me.jpg`` names, and its weight; without one, it is 1."""
    found = _WEIGHT.fullmatch(text)
    return (found[2], float(found[1])) if found else (text, 1.0)


def combined(
    name: str, vector: NDArray[np.float32], others: Sequence[tuple[Example, NDArray[np.float32]]]
) -> NDArray[np.float32]:
    """Return the weighted sum of a photo's vector and others, float32 (d,).

    Its length is the weighted mean of theirs: 1 if the embedder's vectors are normalized, and
    otherwise one that the vectors of the index have too.

    Raises:
        CombinationError: two photos are the same, or all together cancel each other out.
    """
    names = [name, *(one.query for one, _ in others)]
    rows = np.array([vector, *(row for _, row in others)], np.float64)  # (n, d)
    lengths = np.linalg.norm(rows, axis=1)  # (n,)
    for at in range(1, len(rows)):
        apart = np.linalg.norm(rows[:at] - rows[at], axis=1)
        if (same := np.flatnonzero(apart <= _SAME * lengths[at])).size:
            first = names[same[0]]
            twice = "given twice" if first == names[at] else f"the same picture as {first}"
            raise CombinationError(names[at], f"{twice}; give it once, with a weight")
    weights = np.array([1.0, *(one.weight for one, _ in others)])
    weights /= np.abs(weights).sum()
    mean, total = float(np.abs(weights) @ lengths), weights @ rows
    if (length := float(np.linalg.norm(total))) <= _SAME * mean:
        raise CombinationError(", ".join(names), "they cancel each other out; change a weight")
    return (total * (mean / length)).astype(np.float32)
