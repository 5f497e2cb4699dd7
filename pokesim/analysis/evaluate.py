"""How good is an index? Recall@k and mean reciprocal rank over photos whose right label is known.

A photo's rank is that of the nearest picture with the right label, in the order of a query:
recall@k is the share of photos with rank ≤ k, MRR the mean of 1 / rank. Confidence intervals are
percentile bootstrap (Efron & Tibshirani 1993); two indexes are compared on the same photos by the
exact McNemar test on first places.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.analysis.labels import Labelled, Labels, labelled_files
from pokesim.analysis.ranking import Ints, first_right_ranks
from pokesim.errors import PictureError, PokesimError, UsageError
from pokesim.files import sha256_of
from pokesim.index import DEFAULT_INDEX
from pokesim.index.manifest import Skipped
from pokesim.search.index import Index, open_index

KS = (1, 5, 10)

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Ranked:
    """A photo, the rank of its nearest right picture, that picture, and what came first."""

    photo: Labelled
    rank: int
    right: Path
    first: Path
    first_label: str


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of a group of photos, each with its 95 % confidence interval, as shares of 1.

    Attributes:
        name: the style, or what else the group is.
        photos: how many.
        figures: "R@k" and "MRR" → (value, low, high).
    """

    name: str
    photos: int
    figures: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate_index` found.

    Attributes:
        index: the index's folder or address.
        embedder: its embedder's name.
        scores: a row a style, if there are several, then all photos.
        ranked: each counted photo.
        unknown: labels without a picture in the index → photos that were therefore not counted.
        skipped: photos that could not be read.
    """

    index: str
    embedder: str
    scores: tuple[Score, ...]
    ranked: tuple[Ranked, ...]
    unknown: Mapping[str, int]
    skipped: tuple[Skipped, ...]


def evaluate_index(
    queries: str | Path,
    index: str | Path = DEFAULT_INDEX,
    *,
    labels: Labels | str = Labels.AUTO,
    ks: Sequence[int] = KS,
) -> Evaluation:
    """Ask an index for every photo of a folder and see where the right label comes.

    A picture of the index with the same bytes as the photo does not count, as answer or as rival.

    Args:
        queries: folder of photos; a file's stem or its folder's name is the right label. With the
            folder's name, a picture of the index is right whose label or folder has that name.
        index: the index's folder or address.
        labels: "stem", "folder", or "auto".
        ks: the k of recall@k.

    Raises:
        PokesimError: there is no photo whose label the index knows, or the index cannot be used.
    """
    how = Labels(labels)
    if not ks or min(ks) < 1:
        raise UsageError("Every k must be at least 1.")
    with open_index(index) as opened:
        known = {item.label for item in opened.items}
        photos = labelled_files(Path(queries), how, known)
        vectors, photos, skipped = _embedded(opened, photos)
        ranked = _rank(opened, vectors, photos) if photos else []
        embedder = opened.manifest.embedder.name
    counted = [one for one in ranked if one.rank]
    if not counted:
        raise PokesimError(f"No photo in {queries} has a label of which {index} has a picture.")
    unknown = Counter(one.photo.label for one in ranked if not one.rank)
    scores = tuple(_scores(counted, ks))
    return Evaluation(str(index), embedder, scores, tuple(counted), unknown, tuple(skipped))


def paired_test(one: Evaluation, other: Evaluation) -> float:
    """Return the p-value of the exact McNemar test: do the first places of two indexes differ?"""
    first = {ranked.photo.path: ranked.rank == 1 for ranked in one.ranked}
    pairs = [
        (first[ranked.photo.path], ranked.rank == 1)
        for ranked in other.ranked
        if ranked.photo.path in first
    ]
    gained, lost = pairs.count((False, True)), pairs.count((True, False))
    changed = gained + lost
    # Under the null hypothesis each change is a fair coin's.
    tail = sum(math.comb(changed, i) for i in range(min(gained, lost) + 1))
    return float(min(1.0, 2 * tail / 2**changed))


def _embedded(
    index: Index, photos: Sequence[Labelled]
) -> tuple[NDArray[np.float32], list[Labelled], list[Skipped]]:
    rows, good, skipped = [], [], []
    embedded = index.embed_photos([photo.path for photo in photos])
    for photo, (_, vector) in zip(photos, embedded, strict=True):
        if isinstance(vector, PictureError):
            skipped.append(Skipped(str(photo.path), vector.reason))
        else:
            rows.append(vector)
            good.append(photo)
    return np.array(rows), good, skipped


def _rank(index: Index, xq: NDArray[np.float32], photos: Sequence[Labelled]) -> list[Ranked]:
    items = list(index.items)
    number: dict[str, int] = {}

    def numbered(texts: Iterable[str]) -> Ints:
        return np.array([number.setdefault(text, len(number)) for text in texts], np.int64)

    yb = np.stack(
        [
            numbered(item.label for item in items),
            numbered(PurePosixPath(item.path).parent.name for item in items),
        ],
        axis=1,
    )
    yq = numbered(photo.label for photo in photos)
    same = (
        numbered(sha256_of(photo.path) for photo in photos),
        numbered(item.sha256 for item in items),
    )
    root = Path(index.manifest.images)
    ranked = []
    block = 512  # photos at a time: bounds the memory of the distances
    for start in range(0, len(photos), block):
        part = slice(start, start + block)
        found = first_right_ranks(xq[part], yq[part], index.blocks, yb, (same[0][part], same[1]))
        ranked += [
            Ranked(
                photo,
                int(rank),
                root / items[right].path,
                root / items[first].path,
                items[first].label,
            )
            for photo, rank, right, first in zip(photos[part], *found, strict=True)
        ]
    return ranked


def _scores(ranked: Sequence[Ranked], ks: Sequence[int]) -> Iterable[Score]:
    styles: dict[str, list[int]] = {}
    for one in ranked:
        styles.setdefault(one.photo.style, []).append(one.rank)
    groups = [np.array(ranks) for ranks in styles.values()]
    if len(groups) > 1:
        for style, ranks in zip(styles, groups, strict=True):
            yield _score(style or ".", [ranks], ks)
        yield _score(f"mean of {len(groups)} styles", groups, ks)
    yield _score("all photos", [np.concatenate(groups)], ks)


def _score(name: str, groups: Sequence[Ints], ks: Sequence[int]) -> Score:
    """Average the figures of groups of ranks, each group weighing the same."""
    measures: dict[str, Callable[[Ints], Any]] = {f"R@{k}": partial(_recall, k) for k in ks}
    measures["MRR"] = _mean_reciprocal_rank
    random = np.random.default_rng(0)
    drawn = [group[random.integers(0, len(group), (RESAMPLES, len(group)))] for group in groups]
    figures = {}
    for figure, measure in measures.items():
        value = float(np.mean([measure(group) for group in groups]))
        resampled = np.mean([measure(group) for group in drawn], axis=0)
        low, high = np.percentile(resampled, [2.5, 97.5])
        figures[figure] = (value, float(low), float(high))
    return Score(name, sum(map(len, groups)), figures)


def _recall(k: int, ranks: Ints) -> Any:  # noqa: ANN401 - a number, or one for each row
    return (ranks <= k).mean(-1)


def _mean_reciprocal_rank(ranks: Ints) -> Any:  # noqa: ANN401
    return (1 / ranks).mean(-1)
