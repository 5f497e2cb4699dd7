"""Several photos and words as one question: the weighted sum of their vectors.

Among vectors of length 1, the nearest to the sum is the one with the highest weighted sum of
cosines with the photos: the best compromise between those to be like, and away from those to be
unlike. It is Rocchio's relevance feedback ("Relevance feedback in information retrieval", 1971).
The sum is of the vectors that are searched, so in a learned metric it is of projected ones.

Pictures are far nearer to a photo than to words, and differ more in how near they are: a sum would
hardly hear the words. So words count as much as a photo of the same weight: their weight in the sum
is multiplied by how many times less the cosines with them vary over the index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pokesim.arguments import finite_number, iterable, text
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

WordsArgument: TypeAlias = "str | tuple[str, float] | Sequence[str | tuple[str, float]] | None"
"""Words, words and their weight, or a list of these; words alone have weight 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A photo or words that are combined with what is searched with.

    Attributes:
        query: name of the photo, as given; or the words.
        photo: the photo; None for words.
        weight: its share of the sum; that of the photo searched with is 1. Negative: to be unlike.
    """

    query: str
    photo: PictureSource | None
    weight: float

    @property
    def name(self) -> str:
        """Name of the photo, or the words in quotes."""
        return f'"{self.query}"' if self.photo is None else self.query


def all_examples(
    words: WordsArgument,
    negative_words: WordsArgument,
    positive: Iterable[Weighted],
    negative: Iterable[Weighted],
) -> list[Example]:
    """Return the words to be like and to be unlike, and then the photos.

    Raises:
        UsageError: there are no letters, or a weight is not a finite number above 0.
    """
    return [*worded(words, negative_words), *examples(positive, negative)]


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


def worded(words: WordsArgument, negative: WordsArgument) -> list[Example]:
    """Return the words to be like and those to be unlike.

    Raises:
        UsageError: there are no letters, or a weight is not a finite number above 0.
    """
    return [
        _worded(one, sign)
        for given, sign in ((words, 1), (negative, -1))
        for one in ([given] if isinstance(given, str | tuple) else iterable("words", given or ()))
    ]


def _worded(given: str | tuple[str, float], sign: int) -> Example:
    words, weight = given if isinstance(given, tuple) and len(given) == 2 else (given, 1.0)
    query = " ".join(text("words", words).split())
    if not query:
        raise UsageError("Give at least one word.")
    return Example(query, None, sign * checked_weight(f'"{query}"', weight))


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


def split_weight(given: str) -> tuple[str, float]:
    """Return what ``0.5:me.jpg`` names, and its weight; without one, it is 1."""
    found = _WEIGHT.fullmatch(given)
    return (found[2], float(found[1])) if found else (given, 1.0)


def balanced(
    photo: PictureSource | None,
    vector: NDArray[np.float32],
    others: Sequence[tuple[Example, NDArray[np.float32]]],
    sample: NDArray[np.float64],
) -> list[tuple[Example, NDArray[np.float32]]]:
    """Return what is combined with weights under which words count as much as photos.

    Args:
        photo: what is searched with; None for words.
        vector: its vector, (d,).
        others: what it is combined with, and their vectors.
        sample: vectors of the index, (n, d).
    """

    def spread(row: NDArray[np.float32]) -> float:
        return float((sample @ row).std())

    found = []
    for one, row in others:
        share = 1.0
        if (one.photo is None) != (photo is None) and (own := spread(row)) > 0:
            share = spread(vector) / own or 1.0
        found.append((replace(one, weight=one.weight * share), row))
    return found


def combined(
    name: str, vector: NDArray[np.float32], others: Sequence[tuple[Example, NDArray[np.float32]]]
) -> NDArray[np.float32]:
    """Return the weighted sum of a vector and others, float32 (d,).

    Its length is the weighted mean of theirs: 1 if the embedder's vectors are normalized, and
    otherwise one that the vectors of the index have too.

    Raises:
        CombinationError: two photos are the same, or all together cancel each other out.
    """
    names = [name, *(one.name for one, _ in others)]
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
