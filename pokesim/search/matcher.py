"""Vectors → ranked matches: search, group by label, drop what is beyond the thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import UsageError, did_you_mean
from pokesim.index.item import Item, folder_of, is_meaningless, with_folder
from pokesim.index.manifest import Manifest
from pokesim.index.store import Reader
from pokesim.index.vectors.knn import ExactSearcher, VectorView
from pokesim.search.matches import AUTO, FOLDER, PATH, STEM, Match, QueryOptions
from pokesim.search.resemblance import reach, sample_ids

_CACHED = 4096  # paths in memory, the last used


@dataclass(frozen=True, slots=True)
class _Hit:
    """A picture that a search found."""

    item: Item
    label: str
    distance: float
    similarity: float


class Matcher:
    """Turns vectors into matches.

    Attributes:
        searcher, items: those of the index.
    """

    def __init__(self, searcher: ExactSearcher, reader: Reader, manifest: Manifest) -> None:
        self.searcher, self.items = searcher, reader.items
        self._reader, self._root = reader, Path(manifest.images)
        self._path_of = lru_cache(_CACHED)(self._root.joinpath)

    def matches(
        self,
        xq: NDArray[np.float32],
        options: QueryOptions,
        view: VectorView,
        own: Sequence[Set[int]],
    ) -> Iterator[list[Match]]:
        """Yield the matches of each vector of (nq, d), without its ``own`` ids.

        Raises:
            UsageError: there is no such label.
        """
        search = self._search(options, view)
        count = search.first_count + max(map(len, own), default=0)
        for query, hits, dropped in zip(xq, search.hits(xq, count, own), own, strict=True):
            more = partial(search.hits_of_one, query[None], own=dropped)
            found = search.best(hits, search.first_count + len(dropped), more)
            most = reach(query, self.sample) if found else 0.0
            yield [
                self._match(rank, hit, near, hit.distance <= most)
                for rank, (hit, near) in enumerate(found, 1)
            ]

    def matches_of_any(
        self, xq: NDArray[np.float32], options: QueryOptions, view: VectorView
    ) -> list[Match]:
        """Return the matches of one query of several vectors, (m, d): the nearest to any of them.

        Raises:
            UsageError: there is no such label.
        """
        search = self._search(options, view)
        hits = search.hits_of_any(xq, search.first_count)
        found = search.best(hits, search.first_count, partial(search.hits_of_any, xq))
        return [self._match(rank, hit, near, None) for rank, (hit, near) in enumerate(found, 1)]

    def _search(self, options: QueryOptions, view: VectorView) -> _Search:
        # Pictures of one stem belong together in a group, whatever folders they are in.
        label = STEM if options.group and options.label == AUTO else options.label
        return _Search(self, options, view, self.labeller(label))

    def _match(self, rank: int, hit: _Hit, near: int | None, resembles: bool | None) -> Match:
        table = self._reader.metadata  # read on first use
        metadata = table.row(hit.item.id) if table else {}
        found = (hit.label, self._path_of(hit.item.path), hit.distance, hit.similarity, hit.item.id)
        return Match(rank, *found, resembles, metadata, near)

    @cached_property
    def sample(self) -> NDArray[np.float64]:
        """Vectors of the index, with or without a filter, that what is usual is taken from."""
        return self._reader.vectors(sample_ids(len(self.items))).astype(np.float64)

    def labeller(self, label: str) -> Callable[[Item], str]:
        """Return the function that labels an item. Raises UsageError: there is no such label."""
        if label == STEM:
            return lambda item: item.label
        if label == AUTO:
            return self._meaningful
        if label == FOLDER:
            return lambda item: folder_of(item) or self._root.name
        if label == PATH:
            return lambda item: item.path
        metadata = self._reader.metadata
        columns = metadata.record.columns if metadata else {}
        if metadata is None or label not in columns:
            hint = did_you_mean(label, [AUTO, STEM, FOLDER, PATH, *columns])
            raise UsageError(
                f"No column {label}; use auto, stem, folder, path or a metadata column.{hint}"
            )

        def cell(item: Item) -> str:
            value = metadata.row(item.id)[label]
            return item.label if value is None else str(value)

        return cell

    def _meaningful(self, item: Item) -> str:
        """Return a picture's label, with its folder if the label alone does not tell it apart."""
        if is_meaningless(item.label) or item.label in self.items.repeated_labels:
            return with_folder(item, self._root)
        return item.label


@dataclass(frozen=True, slots=True)
class _Search:
    """The part of a search that all its vectors share."""

    matcher: Matcher
    options: QueryOptions
    view: VectorView
    label_of: Callable[[Item], str]

    @property
    def first_count(self) -> int:
        """How many pictures to search for at first."""
        return (4 if self.options.group else 1) * self.options.k

    def hits(
        self, xq: NDArray[np.float32], count: int, own: Sequence[Set[int]]
    ) -> Iterator[list[_Hit]]:
        """Yield the hits among the ``count`` nearest of each vector, nearest first."""
        nearest = self.matcher.searcher.search(xq, min(count, len(self.view)), self.view)
        for distances, ids, cosines, dropped in zip(*nearest, own, strict=True):
            found = zip(distances.tolist(), ids.tolist(), cosines.tolist(), strict=True)
            yield list(self._hits(found, dropped))

    def _hits(self, found: Iterable[tuple[float, int, float]], dropped: Set[int]) -> Iterator[_Hit]:
        for distance, item_id, cosine in found:
            similarity = 100 * min(max(cosine, 0.0), 1.0)
            # An approximate search fills up with -1 if it finds fewer.
            if item_id < 0 or item_id in dropped or self._is_beyond(distance, similarity):
                continue
            item = self.matcher.items[item_id]
            yield _Hit(item, self.label_of(item), distance, similarity)

    def hits_of_one(self, query: NDArray[np.float32], count: int, own: Set[int]) -> list[_Hit]:
        """Return the hits among the ``count`` nearest of one vector, (1, d)."""
        return next(self.hits(query, count, [own]))

    def hits_of_any(self, xq: NDArray[np.float32], count: int) -> list[_Hit]:
        """Return the hits among the ``count`` nearest to any of the vectors (m, d)."""
        nearest = self.matcher.searcher.search_any(xq, min(count, len(self.view)), self.view)
        (found,) = zip(*(rows.tolist() for rows in nearest), strict=True)
        return list(self._hits(zip(*found, strict=True), frozenset()))

    def best(
        self, hits: list[_Hit], count: int, more: Callable[[int], list[_Hit]]
    ) -> list[tuple[_Hit, int | None]]:
        """Return the k best hits, or with ``group`` the best of each label and how many are near.

        Args:
            hits: those among the ``count`` nearest.
            count: number of pictures that were searched for.
            more: returns those among more of the nearest.
        """
        if self.options.group:
            return [(group[0], len(group)) for group in self._groups(hits, count, more)]
        return [(hit, None) for hit in hits[: self.options.k]]

    def _groups(
        self, hits: list[_Hit], count: int, more: Callable[[int], list[_Hit]]
    ) -> list[list[_Hit]]:
        """Return the pictures of the k best labels that come before the first of another label.

        Searches for more and more pictures until they have one label more than k.
        """
        k = self.options.k
        while len(labels := list(dict.fromkeys(hit.label for hit in hits))) <= k:
            if count >= len(self.view):
                break
            count = min(4 * count, len(self.view))
            hits = more(count)
        best = labels[:k]
        before = list(takewhile(lambda hit: hit.label in best, hits))
        return [[hit for hit in before if hit.label == label] for label in best]

    def _is_beyond(self, distance: float, similarity: float) -> bool:
        most, least = self.options.max_distance, self.options.min_similarity
        return (most is not None and distance > most) or (least is not None and similarity < least)
