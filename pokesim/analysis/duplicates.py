"""Find groups of near-identical pictures in an index by exact, blockwise range search."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.arguments import finite_number
from pokesim.embedders.catalog import BUNDLED
from pokesim.errors import UsageError
from pokesim.index import DEFAULT_INDEX, open_store
from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.index.folder.items import ITEMS_FILE, Items
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.metric import normalized
from pokesim.progress import Progress
from pokesim.search.index import open_index

THRESHOLDS = {"general": 82.0, "general_lite2": 82.0, BUNDLED: 87.0}

OTHERS = 90.0
"""Default thresholds in percent, by embedder: the most similar distinct sample pictures reach 80 in
`general`, 82 in `compact`, 88 in `mobilenet_v2` and 90.2 in `efficientnet_lite0`."""

_BLOCK = 2048  # rows per block; the similarities of two blocks take 16 MB

_ROUNDING = 1e-5  # of a float32 cosine; pairs this close to the threshold are computed in float64

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A picture of a group.

    Attributes:
        path: the picture.
        label: the file's stem.
        bytes: the file's size when it was indexed.
        similarity: 100 × the cosine with the group's first picture, in percent.
    """

    path: Path
    label: str
    bytes: int
    similarity: float


def find_duplicates(
    index: str | Path = DEFAULT_INDEX,
    *,
    threshold: float | None = None,
    where: str | None = None,
    progress: Progress | None = None,
) -> list[list[Duplicate]]:
    """Find the groups of near-identical pictures, joined by single linkage.

    Every picture of a group has a similarity of at least ``threshold`` to another picture of its
    group. All pairs are compared block by block, so memory does not grow with their number, but
    time does. The base vectors are compared, also in a tuned index.

    Args:
        index: the index's folder or address.
        threshold: similarity in percent, above 0 and at most 100; None means the embedder's entry
            in `THRESHOLDS`, or `OTHERS`.
        where: a filter on the metadata; only pictures that pass it are compared. See
            `pokesim.index.metadata.filter_parser`.
        progress: called with (pairs of blocks compared, total).

    Returns:
        groups in the order of their first pictures' paths, the largest file first in each.

    Raises:
        UsageError: the threshold is out of range, or the filter is not valid for this index.
        IndexFolderError: the index is missing or damaged.
    """
    if threshold is not None and not 0 < finite_number("The threshold", threshold) <= 100:
        raise UsageError(
            f"The threshold must be above 0 and at most 100 percent, not {threshold:g}."
        )
    with open_store(index).folder(write=False) as folder:
        snapshot = IndexFolder(folder).current()
        least = threshold or THRESHOLDS.get(snapshot.manifest.embedder.name, OTHERS)
        with snapshot.locked():
            base = BaseVectors(snapshot)
            ids = np.arange(base.manifest.count) if where is None else _matching(folder, where)
            parent = _parents(base, ids, least / 100, progress or (lambda done, total: None))
            root = Path(snapshot.manifest.images)
            with contextlib.closing(
                Items(snapshot.file(ITEMS_FILE), snapshot.manifest.count)
            ) as items:
                return [_group(ids[rows], base, items, root) for rows in _members(parent)]


def _matching(folder: Path, where: str) -> Ids:
    """Return the ids of the pictures that pass a filter, ascending. Raises UsageError."""
    with open_index(folder) as index:
        return index.select(where)


def _parents(base: BaseVectors, ids: Ids, least: float, on_progress: Progress) -> Ids:
    """Return for each row of ``ids`` an earlier row of its group, or itself if there is none."""
    parent = np.arange(len(ids))
    starts = range(0, len(ids), _BLOCK)
    total, done = len(starts) * (len(starts) + 1) // 2, 0
    on_progress(0, total)
    for first in starts:
        upper = normalized(base.rows(ids[first : first + _BLOCK]))
        for second in range(first, len(ids), _BLOCK):
            is_same = second == first
            lower = upper if is_same else normalized(base.rows(ids[second : second + _BLOCK]))
            a, b = _pairs(upper, lower, least)
            _join(parent, a + first, b + second)
            done += 1
            on_progress(done, total)
    return parent


def _pairs(upper: NDArray[np.float32], lower: NDArray[np.float32], least: float) -> tuple[Ids, Ids]:
    """Return the pairs of rows of two blocks whose cosine is at least ``least``."""
    cosines = upper @ lower.T
    a, b = np.nonzero(cosines >= least - _ROUNDING)
    near = np.flatnonzero(cosines[a, b] < least + _ROUNDING)
    kept = np.ones(len(a), np.bool_)
    for start in range(0, len(near), _BLOCK):
        some = near[start : start + _BLOCK]
        x, y = upper[a[some]].astype(np.float64), lower[b[some]].astype(np.float64)
        lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        kept[some] = (x * y).sum(1) >= (least - 1e-9) * lengths
    return a[kept], b[kept]


def _join(parent: Ids, a: Ids, b: Ids) -> None:
    """Merge the groups of each pair (a, b)."""
    while True:
        a, b = _roots(parent, a), _roots(parent, b)
        apart = a != b
        if not apart.any():
            return
        a, b = a[apart], b[apart]
        np.minimum.at(parent, np.maximum(a, b), np.minimum(a, b))


def _roots(parent: Ids, rows: Ids) -> Ids:
    while not np.array_equal(above := parent[rows], rows):
        rows = above
    return rows


def _members(parent: Ids) -> Iterator[Ids]:
    """Yield the rows of each group of two or more, in the order of their first rows."""
    roots = _roots(parent, np.arange(len(parent)))
    order = np.argsort(roots, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(roots[order])) + 1):
        if len(rows) > 1:
            yield rows


def _group(ids: Ids, base: BaseVectors, items: Items, root: Path) -> list[Duplicate]:
    members = sorted((items[item_id] for item_id in ids.tolist()), key=lambda item: -item.size)
    first = normalized(base.rows(np.array([members[0].id])))[0].astype(np.float64)
    group: list[Duplicate] = []
    for start in range(0, len(members), _BLOCK):
        some = members[start : start + _BLOCK]
        vectors = normalized(base.rows(np.array([item.id for item in some])))
        similarities = 100 * (vectors @ first).clip(0, 1)
        group += [
            Duplicate(root / item.path, item.label, item.size, float(similarity))
            for item, similarity in zip(some, similarities, strict=True)
        ]
    return group
