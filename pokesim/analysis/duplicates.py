"""Find the pictures of an index that are the same picture, or similar ones, in groups."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pokesim.analysis import Keep
from pokesim.analysis.copies import Comparer, Kind
from pokesim.analysis.different import different_pairs
from pokesim.analysis.fingerprint import read_fingerprints
from pokesim.analysis.similar import BLOCK, Ids, similar_groups
from pokesim.arguments import choice, finite_number, truth
from pokesim.embedders.catalog import BUNDLED
from pokesim.errors import UsageError
from pokesim.gallery import gallery
from pokesim.index import DEFAULT_INDEX, open_store
from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.index.folder.items import ITEMS_FILE, Items
from pokesim.index.folder.snapshot import FolderSnapshot, IndexFolder
from pokesim.index.item import Item
from pokesim.metric import normalized
from pokesim.progress import Progress
from pokesim.search.index import open_index

SIMILAR = {"general": 83.0, "general_lite2": 86.0, BUNDLED: 87.0}

OTHERS = 90.0
"""Default thresholds of similar pictures in percent, by embedder: the most similar distinct sample
pictures reach 81 in `general`, 84 in `general_lite2` and `compact`, 88 in `mobilenet_v2` and 90.2
in `efficientnet_lite0`."""

CROPS = dict.fromkeys(SIMILAR, 68.0)

OTHER_CROPS = 85.0
"""From which similarity on pictures are compared as crops. Without a fourteenth at each side,
photographs keep at least 80.7 in `general`, and all but one of 151 drawings 68, as in
`general_lite2`, for a crop leaves a figure no margin; in `compact`, all but three."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A picture of a group.

    Attributes:
        path: the picture.
        label: the file's stem.
        bytes: the file's size when it was indexed.
        similarity: 100 × the cosine with the group's first picture, in percent.
        kind: how it relates to the first picture; "" for that itself.
        sha256: of the file when it was indexed, hexadecimal.
    """

    path: Path
    label: str
    bytes: int
    similarity: float
    kind: Kind
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return path, label, bytes, similarity and kind."""
        return {
            "path": os.fspath(self.path),
            "label": self.label,
            "bytes": self.bytes,
            "similarity": self.similarity,
            "kind": str(self.kind),
        }


class Duplicates(list[list[Duplicate]]):
    """Groups of pictures, each with the one to keep first; a notebook shows them."""

    def to_records(self) -> list[dict[str, Any]]:
        """Return a dictionary for each picture, with the number of its group from 1."""
        return [
            {"group": number} | one.to_dict()
            for number, group in enumerate(self, 1)
            for one in group
        ]

    def _repr_html_(self) -> str:
        captioned = (
            (one.path, f"{number}. {one.path.name}{f', {one.kind}' if one.kind else ''}")
            for number, group in enumerate(self, 1)
            for one in group
        )
        return gallery(f"{len(self):,} groups of {sum(map(len, self)):,} pictures", captioned)


def find_duplicates(
    index: str | Path = DEFAULT_INDEX,
    *,
    threshold: float | None = None,
    similar: bool = False,
    keep: Keep = Keep.LARGEST,
    where: str | None = None,
    progress: Progress | None = None,
) -> Duplicates:
    """Find the groups of pictures that are the same picture.

    Every picture of a group is a copy of the group's first picture: it has the same bytes, or it
    was resized, recompressed, made grey, mirrored, turned within its frame, or cropped by up to
    9 % at each side. The pictures' files are read; one that cannot be is compared by its
    recorded SHA-256 only. All pairs are compared block by block: the memory is 9 kB a picture, and
    the time grows with the square of their number. The base vectors are compared, also in a tuned
    index.

    Args:
        index: the index's folder or address.
        threshold: least similarity to the first picture in percent, above 0 and at most 100. None
            means no limit for copies of a whole picture, and the embedder's entry in `CROPS` or
            `OTHER_CROPS` for cropped ones.
        similar: group pictures by their vectors alone. Every picture of a group then has at least
            the ``threshold`` (by default the embedder's entry in `SIMILAR`, or `OTHERS`) to
            another one of its group, not necessarily the first, and no file is read.
        keep: which picture of a group comes first, and is to be kept.
        where: a filter on the metadata; only pictures that pass it are compared. See
            `pokesim.index.metadata.filter_parser`.
        progress: called with (steps done, all steps).

    Returns:
        groups in the order of their first pictures' paths.

    Raises:
        UsageError: the threshold is out of range, ``keep`` is none of `Keep`, or the filter is not
            valid for this index.
        IndexFolderError: the index is missing or damaged.
    """
    if threshold is not None and not 0 < finite_number("The threshold", threshold) <= 100:
        raise UsageError(
            f"The threshold must be above 0 and at most 100 percent, not {threshold:g}."
        )
    find = _similar if truth("similar", similar) else _copies
    order = choice("keep", keep, Keep)
    with open_store(index).folder(write=False) as folder:
        snapshot = IndexFolder(folder).current()
        with snapshot.locked():
            ids = np.arange(snapshot.manifest.count) if where is None else _matching(folder, where)
            with contextlib.closing(
                Items(snapshot.file(ITEMS_FILE), snapshot.manifest.count)
            ) as items:
                collection = _Collection(snapshot, items, ids, order)
                groups = find(collection, threshold, progress or (lambda done, total: None))
        different = different_pairs(folder)
    groups = [_without_different(group, different) for group in groups]
    groups = [group for group in groups if len(group) > 1]
    return Duplicates(sorted(groups, key=lambda group: os.fspath(group[0].path)))


def _matching(folder: Path, where: str) -> Ids:
    """Return the ids of the pictures that pass a filter, ascending. Raises UsageError."""
    with open_index(folder) as index:
        return index.select(where)


def _without_different(group: list[Duplicate], different: set[frozenset[str]]) -> list[Duplicate]:
    """Return a group without what is marked as not the same as its first picture."""
    first = group[0].sha256
    return [one for one in group if frozenset((first, one.sha256)) not in different]


class _Collection:
    """The pictures of an index that are compared, and their order of preference.

    Attributes:
        base, embedder: the base vectors, and the name of what made them.
        ids: int64 (n,), the rows of the pictures that are compared.
        items: all items of the index.
        preference: the key to sort items by: which of them to keep.
    """

    def __init__(self, snapshot: FolderSnapshot, items: Items, ids: Ids, keep: Keep) -> None:
        self.base = BaseVectors(snapshot)
        self.embedder = snapshot.manifest.embedder.name
        self.ids = ids
        self.items = items
        self._root = Path(snapshot.manifest.images)
        self.preference: Callable[[Item], tuple[float, str]] = {
            Keep.LARGEST: lambda item: (-item.size, item.path),
            Keep.OLDEST: lambda item: (self._modified(item), item.path),
            Keep.NEWEST: lambda item: (-self._modified(item), item.path),
            Keep.FIRST: lambda item: (0, item.path),
            Keep.SHORTEST_PATH: lambda item: (len(item.path), item.path),
        }[keep]

    def path(self, item: Item) -> Path:
        """Return where an item's file is."""
        return self._root / item.path

    def _modified(self, item: Item) -> float:
        """Return when a file was modified; an item records its last change of any kind."""
        try:
            return self.path(item).stat().st_mtime_ns
        except OSError:
            return item.mtime_ns

    def group(self, members: Iterable[tuple[Item, Kind]]) -> list[Duplicate]:
        """Return a group of items, the first of which is to be kept."""
        kept = list(members)
        ids = np.array([item.id for item, _ in kept])
        first = normalized(self.base.rows(ids[:1]))[0].astype(np.float64)
        blocks = (ids[start : start + BLOCK] for start in range(0, len(ids), BLOCK))
        cosines = np.concatenate([normalized(self.base.rows(some)) @ first for some in blocks])
        similarities = 100 * cosines.clip(0, 1)
        return [
            Duplicate(self.path(item), item.label, item.size, float(similarity), kind, item.sha256)
            for (item, kind), similarity in zip(kept, similarities, strict=True)
        ]


def _similar(
    collection: _Collection, threshold: float | None, on_progress: Progress
) -> list[list[Duplicate]]:
    least = (threshold or SIMILAR.get(collection.embedder, OTHERS)) / 100
    ids = collection.ids
    groups = []
    for rows in similar_groups(collection.base, ids, least, on_progress):
        members = sorted(collection.items.many(ids[rows].tolist()), key=collection.preference)
        kinds = [Kind.FIRST, *[Kind.SIMILAR] * (len(members) - 1)]
        groups.append(collection.group(zip(members, kinds, strict=True)))
    return groups


def _copies(
    collection: _Collection, threshold: float | None, on_progress: Progress
) -> list[list[Duplicate]]:
    contents = _by_content(collection)
    ids = np.array([items[0].id for items in contents], np.int64)
    paths = [collection.path(items[0]) for items in contents]
    steps = 2 * len(ids)
    prints = read_fingerprints(paths, lambda done, total: on_progress(done, steps))
    for error in prints.unread:
        log.debug("%s", error)
    if prints.unread:
        log.warning(
            "%d of %d pictures cannot be read and are not compared; the first: %s",
            len(prints.unread),
            len(ids),
            prints.unread[0],
        )
    crops = CROPS.get(collection.embedder, OTHER_CROPS)
    least = -1.0 if threshold is None else threshold / 100
    comparer = Comparer(collection.base, ids, prints, max(crops / 100, least), least)
    pairs = comparer.pairs(lambda done, total: on_progress(len(ids) + done, steps))
    return [
        collection.group(_members(contents, comparer, first, others))
        for first, others in _stars(contents, pairs, collection.preference)
    ]


def _by_content(collection: _Collection) -> list[list[Item]]:
    """Return the items of each content, the preferred one first, in the order of the rows."""
    contents: dict[str, list[Item]] = defaultdict(list)
    for item in collection.items.many(collection.ids.tolist()):
        contents[item.sha256 or item.path].append(item)
    return [sorted(items, key=collection.preference) for items in contents.values()]


def _stars(
    contents: list[list[Item]],
    pairs: tuple[Ids, Ids],
    preference: Callable[[Item], tuple[float, str]],
) -> Iterator[tuple[int, Ids]]:
    """Divide contents into groups: the preferred one that is left takes all copies of it.

    Yields:
        (content, its copies, in order of preference) for each group of two or more pictures.
    """
    order = sorted(range(len(contents)), key=lambda at: preference(contents[at][0]))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    one, other = np.concatenate(pairs), np.concatenate(pairs[::-1])
    by_rank = np.lexsort((rank[other], one))
    one, other = one[by_rank], other[by_rank]
    starts = np.searchsorted(one, np.arange(len(order) + 1))
    left = np.ones(len(order), np.bool_)
    for first in order:
        if not left[first]:
            continue
        left[first] = False
        copies = other[starts[first] : starts[first + 1]]
        copies = copies[left[copies]]
        left[copies] = False
        if len(copies) or len(contents[first]) > 1:
            yield first, copies


def _members(
    contents: list[list[Item]], comparer: Comparer, first: int, others: Ids
) -> Iterator[tuple[Item, Kind]]:
    yield contents[first][0], Kind.FIRST
    yield from ((item, Kind.IDENTICAL) for item in contents[first][1:])
    for other, kind in zip(others.tolist(), comparer.kinds(first, others), strict=True):
        yield from ((item, kind) for item in contents[other])
