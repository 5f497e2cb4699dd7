"""Evaluate an index: recall@k and mean reciprocal rank over photos with known labels.

A photo's rank is the rank of the nearest picture with the right label among its matches. Recall@k
is the share of photos with rank ≤ k, MRR the mean of 1 / rank. Confidence intervals are percentile
bootstrap intervals (Efron & Tibshirani 1993). Two indexes are compared on the same photos by the
exact McNemar test on first places.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.analysis.labels import KnownLabels, Labelled, Labels, labelled_files
from pokesim.analysis.ranking import IntArray, first_right_ranks
from pokesim.arguments import choice, file_path, iterable, whole_number
from pokesim.errors import PictureError, PokesimError, UsageError
from pokesim.files import sha256_of
from pokesim.gallery import gallery
from pokesim.index import DEFAULT_INDEX
from pokesim.index.item import Item, folder_of
from pokesim.index.manifest import Skipped
from pokesim.search.index import Index, open_index

KS = (1, 5, 10)

RESAMPLES = 2000

_BLOCK = 8192  # vectors read at a time

_PHOTOS = 512  # photos ranked at a time, which bounds the memory of the distances


@dataclass(frozen=True, slots=True)
class Ranked:
    """A photo with the rank of its nearest right picture.

    Attributes:
        photo: the photo and its right label.
        rank: 1 if the nearest picture is right; 0 if no picture has the label.
        right: the nearest picture with the right label.
        first: the nearest picture of all.
        first_label: its label.
    """

    photo: Labelled
    rank: int
    right: Path
    first: Path
    first_label: str


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of a group of photos, each with its 95 % confidence interval, as fractions of 1.

    Attributes:
        name: the style, or another name of the group.
        photos: number of photos.
        figures: "R@k" and "MRR" → (value, low, high).
    """

    name: str
    photos: int
    figures: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of `evaluate_index`.

    Attributes:
        index: the index's folder or address.
        embedder: the name of its embedder.
        scores: one per style if there are several, then one of all photos.
        ranked: the photos that were counted.
        unknown: labels that no candidate has → number of photos left out because of it.
        skipped: photos that could not be read.
    """

    index: str
    embedder: str
    scores: tuple[Score, ...]
    ranked: tuple[Ranked, ...]
    unknown: Mapping[str, int]
    skipped: tuple[Skipped, ...]

    def to_records(self) -> list[dict[str, Any]]:
        """Return a dictionary for each score: its name, the number of photos, and the figures."""
        return [
            {"name": score.name, "photos": score.photos}
            | {figure: value for figure, (value, _, _) in score.figures.items()}
            for score in self.scores
        ]

    def _repr_html_(self) -> str:
        figures = ", ".join(
            f"{name} {found[0]:.3f}" for name, found in self.scores[-1].figures.items()
        )
        missed = [one for one in self.ranked if one.rank > 1]
        pictures = (
            pair
            for one in missed
            for pair in (
                (one.photo.path, f"{one.photo.label}, found in place {one.rank:,}"),
                (one.first, f"the nearest: {one.first_label}"),
            )
        )
        title = f"{self.index}: {figures} of {len(self.ranked):,} photos; {len(missed):,} missed"
        return gallery(title, pictures)


def evaluate_index(
    queries: str | Path,
    index: str | Path = DEFAULT_INDEX,
    *,
    labels: Labels | str = Labels.AUTO,
    ks: Sequence[int] = KS,
    where: str | None = None,
) -> Evaluation:
    """Query an index with every photo of a folder and rank the right answers.

    Pictures of the index with the same bytes as the photo are left out.

    Args:
        queries: folder of photos; a photo's right label is its file's stem or its folder's name. A
            picture of the index is right if its label or its folder has that name.
        index: the index's folder or address.
        labels: "stem", "folder" or "auto"; see `pokesim.analysis.labels.Labels`.
        ks: the values of k for recall@k.
        where: a filter on the metadata; only pictures that pass it are candidates. See
            `pokesim.index.metadata.filter_parser`.

    Raises:
        UsageError: a k is below 1, there are no such labels, or the filter is not valid for this
            index.
        PokesimError: no photo has the label of a candidate, or the index cannot be used.
    """
    how, folder = choice("labels", labels, Labels), file_path("The folder of photos", queries)
    ks = [whole_number("Every k", k) for k in iterable("ks", ks)]
    if not ks:
        raise UsageError("At least one k is needed.")
    with open_index(index) as opened:
        candidates = _candidates(opened, where)
        known = KnownLabels(candidates.items)
        photos = labelled_files(folder, how, known)
        # Checked before photos are embedded, which may take long.
        if not any(known.has_other(photo.path, photo.label) for photo in photos):
            raise _nothing_to_count(queries, index, where)
        vectors, photos, skipped = _embedded(opened, photos)
        ranked = _ranked(candidates, vectors, photos) if photos else []
        embedder = opened.manifest.embedder.name
    counted = [one for one in ranked if one.rank]
    if not counted:
        raise _nothing_to_count(queries, index, where)
    unknown = Counter(one.photo.label for one in ranked if not one.rank)
    scores = tuple(_scores(counted, ks))
    return Evaluation(str(index), embedder, scores, tuple(counted), unknown, tuple(skipped))


def _nothing_to_count(queries: str | Path, index: str | Path, where: str | None) -> PokesimError:
    among = f"{index} that passes {where!r}" if where else str(index)
    return PokesimError(
        f"No photo in {queries} has the label of a picture in {among}, except itself; a label is "
        "the file's stem or its folder's name (--truth)."
    )


def paired_test(one: Evaluation, other: Evaluation) -> float:
    """Return the p-value of the exact McNemar test that two indexes differ in first places."""
    first = {ranked.photo.path: ranked.rank == 1 for ranked in one.ranked}
    pairs = [
        (first[ranked.photo.path], ranked.rank == 1)
        for ranked in other.ranked
        if ranked.photo.path in first
    ]
    return mcnemar(pairs.count((False, True)), pairs.count((True, False)))


def mcnemar(gained: int, lost: int) -> float:
    """Return the p-value of the exact McNemar test, given the numbers of photos that changed."""
    changed = gained + lost
    # Under the null hypothesis, gains and losses are equally likely.
    tail = sum(math.comb(changed, i) for i in range(min(gained, lost) + 1))
    return float(min(1.0, 2 * tail / 2**changed))


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The pictures to rank, in the order of their ids.

    Attributes:
        root: the folder of the pictures.
        items: the pictures.
        blocks: iterates over their vectors in blocks, float32 (≤ block, d).
    """

    root: Path
    items: Sequence[Item]
    blocks: Callable[[], Iterable[NDArray[np.float32]]]


def _candidates(index: Index, where: str | None) -> _Candidates:
    root, items = Path(index.manifest.images), list(index.items)
    if where is None:
        return _Candidates(root, items, index.blocks)
    ids = index.select(where)

    def blocks() -> Iterable[NDArray[np.float32]]:
        for start in range(0, len(ids), _BLOCK):
            yield index.vectors(ids[start : start + _BLOCK])

    return _Candidates(root, [items[item_id] for item_id in ids.tolist()], blocks)


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


def _ranked(
    candidates: _Candidates, xq: NDArray[np.float32], photos: Sequence[Labelled]
) -> list[Ranked]:
    root, items = candidates.root, candidates.items
    if not items:
        return [Ranked(photo, 0, root, root, "") for photo in photos]
    number: dict[str, int] = {}

    def numbered(texts: Iterable[str]) -> IntArray:
        return np.array([number.setdefault(text, len(number)) for text in texts], np.int64)

    yb = np.stack(
        [
            numbered(item.label for item in items),
            numbered(folder_of(item) for item in items),
        ],
        axis=1,
    )
    yq = numbered(photo.label for photo in photos)
    same = (
        numbered(sha256_of(photo.path) for photo in photos),
        numbered(item.sha256 for item in items),
    )
    ranked = []
    for start in range(0, len(photos), _PHOTOS):
        some = slice(start, start + _PHOTOS)
        ranks = first_right_ranks(
            xq[some], yq[some], candidates.blocks, yb, (same[0][some], same[1])
        )
        ranked += [
            Ranked(
                photo,
                int(rank),
                root / items[right].path,
                root / items[first].path,
                items[first].label,
            )
            for photo, rank, right, first in zip(photos[some], *ranks, strict=True)
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


def _score(name: str, groups: Sequence[IntArray], ks: Sequence[int]) -> Score:
    """Average the figures over groups of ranks, with equal weight for each group."""
    measures: dict[str, Callable[[IntArray], Any]] = {f"R@{k}": partial(_recall, k) for k in ks}
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


def _recall(k: int, ranks: IntArray) -> Any:
    return (ranks <= k).mean(-1)


def _mean_reciprocal_rank(ranks: IntArray) -> Any:
    return (1 / ranks).mean(-1)
