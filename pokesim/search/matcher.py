"""Vectors → ranked matches: search, group by label, drop what is too far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import UsageError, did_you_mean
from pokesim.index.item import Item
from pokesim.index.manifest import Manifest
from pokesim.index.store import Items, Metadata
from pokesim.index.vectors.knn import ExactSearcher, VectorView
from pokesim.metric import normalized
from pokesim.search.matches import FOLDER, STEM, Match, QueryOptions


@dataclass(frozen=True, slots=True)
class _Near:
    """A picture that came up in a search."""

    item: Item
    label: str
    distance: float
    similarity: float


class Matcher:
    """Turns vectors into matches.

    Attributes:
        neighbours, items: of the index.
    """

    def __init__(
        self,
        neighbours: ExactSearcher,
        items: Items,
        metadata: Metadata | None,
        manifest: Manifest,
    ) -> None:
        self.neighbours, self.items, self._metadata = neighbours, items, metadata
        self._root = Path(manifest.images)

    def matches(
        self,
        xq: NDArray[np.float32],
        question: QueryOptions,
        among: VectorView,
        own: Sequence[Set[int]],
    ) -> Iterator[list[Match]]:
        """Yield the answer for each vector of (nq, d), leaving out its own ids.

        Raises:
            UsageError: there is no such label.
        """
        ask = _Search(self, question, among, self.labelled(question.label))
        wanted = (4 if question.group else 1) * question.k + max(map(len, own), default=0)
        D, I = self.neighbours.search(xq, min(wanted, len(among)), among)  # noqa: E741
        for query, distances, ids, left_out in zip(xq, D, I, own, strict=True):
            near = ask.near(query, distances, ids, left_out)
            if question.group:
                groups = ask.groups(query, near, left_out)
                yield [self._match(at, group[0], len(group)) for at, group in enumerate(groups, 1)]
            else:
                yield [self._match(at, one) for at, one in enumerate(near[: question.k], 1)]

    def _match(self, rank: int, near: _Near, pictures: int | None = None) -> Match:
        metadata = self._metadata.row(near.item.id) if self._metadata else {}
        path = self._root / near.item.path
        found = (near.label, path, near.distance, near.similarity, near.item.id)
        return Match(rank, *found, metadata, pictures)

    def labelled(self, label: str) -> Callable[[Item], str]:
        """Return what tells how a picture is called. Raises UsageError: there is no such label."""
        if label == STEM:
            return lambda item: item.label
        if label == FOLDER:
            return lambda item: PurePosixPath(item.path).parent.name or self._root.name
        metadata = self._metadata
        columns = metadata.record.columns if metadata else {}
        if metadata is None or label not in columns:
            hint = did_you_mean(label, [STEM, FOLDER, *columns])
            raise UsageError(
                f"A label is stem, folder or a column of the metadata, not {label}.{hint}"
            )

        def cell(item: Item) -> str:
            value = metadata.row(item.id)[label]
            return item.label if value is None else str(value)

        return cell


@dataclass(frozen=True, slots=True)
class _Search:
    """What all vectors of a question have in common."""

    matcher: Matcher
    question: QueryOptions
    among: VectorView
    label_of: Callable[[Item], str]

    def near(
        self,
        query: NDArray[np.float32],
        distances: NDArray[np.float64],
        ids: NDArray[np.int64],
        left_out: Set[int],
    ) -> list[_Near]:
        """Return what is asked for of what was found for one vector, nearest first."""
        distances, ids = distances[ids >= 0], ids[ids >= 0]
        rows = self.matcher.neighbours.vectors(ids)
        cosines = normalized(rows) @ normalized(query[None])[0]
        near = []
        for item_id, distance, cosine in zip(
            ids.tolist(), distances.tolist(), cosines.tolist(), strict=True
        ):
            similarity = 100 * min(max(cosine, 0.0), 1.0)
            if item_id not in left_out and not self._is_beyond(distance, similarity):
                item = self.matcher.items[item_id]
                near.append(_Near(item, self.label_of(item), distance, similarity))
        return near

    def groups(
        self, query: NDArray[np.float32], near: list[_Near], left_out: Set[int]
    ) -> list[list[_Near]]:
        """Return the pictures of the k best labels before the first of any other.

        Ever more pictures are looked at, until they have one label more than wanted.
        """
        k, wanted = self.question.k, 4 * self.question.k + len(left_out)
        while len(labels := list(dict.fromkeys(one.label for one in near))) <= k:
            if wanted >= len(self.among):
                break
            wanted = min(4 * wanted, len(self.among))
            (distances,), (ids,) = self.matcher.neighbours.search(query[None], wanted, self.among)
            near = self.near(query, distances, ids, left_out)
        shown = labels[:k]
        before = list(takewhile(lambda one: one.label in shown, near))
        return [[one for one in before if one.label == label] for label in shown]

    def _is_beyond(self, distance: float, similarity: float) -> bool:
        most, least = self.question.max_distance, self.question.min_similarity
        return (most is not None and distance > most) or (least is not None and similarity < least)
