"""Groups of near-identical pictures in an index: exact range search, block against block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.catalog import BUNDLED
from pokesim.errors import UsageError
from pokesim.index import DEFAULT_INDEX, open_store
from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.index.folder.items import ITEMS_FILE, Items
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.metric import normalized
from pokesim.progress import Progress

THRESHOLDS = {BUNDLED: 80.0}

OTHERS = 90.0
"""Default thresholds, in percent, by embedder: distinct sample pictures reach 65 in `compact`, and
88 in `mobilenet_v2`. README.md tells what they find."""

_BLOCK = 2048  # rows compared with as many others at a time: 16 MB of similarities

_ROUNDING = 1e-5  # of a cosine in float32; what is nearer to the threshold is computed again


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
    progress: Progress | None = None,
) -> list[list[Duplicate]]:
    """Find all groups of pictures where each is at least so similar to another of its group.

    All pairs are compared, in blocks, so memory does not grow with their number; time does with
    its square. Vectors are compared as the embedder gave them, also in a tuned index.

    Args:
        index: the index's folder or address.
        threshold: similarity in percent, over 0, up to 100; None takes the embedder's own of
            `THRESHOLDS`, or `OTHERS`.
        progress: called with (pairs of blocks done, of all).

    Returns:
        groups in the order of their first pictures' paths, the largest file first in each.

    Raises:
        UsageError: the threshold is none.
        IndexFolderError: the index is missing or damaged.
    """
    if threshold is not None and not 0 < threshold <= 100:
        raise UsageError(f"The threshold is a percentage over 0, not {threshold:g}.")
    with open_store(index).folder(write=False) as home:
        snapshot = IndexFolder(home).current()
        least = threshold or THRESHOLDS.get(snapshot.manifest.embedder.name, OTHERS)
        with snapshot.locked():
            plain = BaseVectors(snapshot)
            parent = _parents(plain, least / 100, progress or (lambda done, total: None))
            root = Path(snapshot.manifest.images)
            with contextlib.closing(Items(snapshot.file(ITEMS_FILE))) as pictures:
                return [_group(ids, plain, pictures, root) for ids in _members(parent)]


def _parents(plain: BaseVectors, least: float, tell: Progress) -> NDArray[np.int64]:
    """Return for each row a row of its group with a smaller id, or itself."""
    count = plain.manifest.count
    parent = np.arange(count)
    starts = range(0, count, _BLOCK)
    total, done = len(starts) * (len(starts) + 1) // 2, 0
    tell(0, total)
    for first in starts:
        upper = _unit_rows(plain, first)
        for second in range(first, count, _BLOCK):
            lower = upper if second == first else _unit_rows(plain, second)
            a, b = _pairs(upper, lower, least)
            _join(parent, a + first, b + second)
            done += 1
            tell(done, total)
    return parent


def _unit_rows(plain: BaseVectors, start: int) -> NDArray[np.float32]:
    return normalized(plain.rows(np.arange(start, min(start + _BLOCK, plain.manifest.count))))


def _pairs(
    upper: NDArray[np.float32], lower: NDArray[np.float32], least: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of two blocks whose cosine is at least ``least``."""
    cosines = upper @ lower.T
    a, b = np.nonzero(cosines >= least - _ROUNDING)
    racy = np.flatnonzero(cosines[a, b] < least + _ROUNDING)
    kept = np.ones(len(a), np.bool_)
    for start in range(0, len(racy), _BLOCK):
        some = racy[start : start + _BLOCK]
        x, y = upper[a[some]].astype(np.float64), lower[b[some]].astype(np.float64)
        lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        kept[some] = (x * y).sum(1) >= (least - 1e-9) * lengths
    return a[kept], b[kept]


def _join(parent: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64]) -> None:
    """Bring the groups of each pair (a, b) together."""
    while True:
        a, b = _roots(parent, a), _roots(parent, b)
        apart = a != b
        if not apart.any():
            return
        a, b = a[apart], b[apart]
        np.minimum.at(parent, np.maximum(a, b), np.minimum(a, b))


def _roots(parent: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    while not np.array_equal(above := parent[ids], ids):
        ids = above
    return ids


def _members(parent: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield the ids of each group of several, in the order of their smallest."""
    roots = _roots(parent, np.arange(len(parent)))
    order = np.argsort(roots, kind="stable")
    for ids in np.split(order, np.flatnonzero(np.diff(roots[order])) + 1):
        if len(ids) > 1:
            yield ids


def _group(
    ids: NDArray[np.int64], plain: BaseVectors, pictures: Items, root: Path
) -> list[Duplicate]:
    found = sorted((pictures[item_id] for item_id in ids.tolist()), key=lambda one: -one.size)
    first = normalized(plain.rows(np.array([found[0].id])))[0].astype(np.float64)
    group: list[Duplicate] = []
    for start in range(0, len(found), _BLOCK):
        some = found[start : start + _BLOCK]
        rows = normalized(plain.rows(np.array([item.id for item in some])))
        similarities = 100 * (rows @ first).clip(0, 1)
        group += [
            Duplicate(root / item.path, item.label, item.size, float(similarity))
            for item, similarity in zip(some, similarities, strict=True)
        ]
    return group
