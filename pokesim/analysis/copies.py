"""Which pictures of an index are copies of one another: near by fingerprint, or a crop.

Vectors alone do not tell: networks place a picture and its quarter turn far apart, and two
different drawings of one kind next to each other. So all pairs are compared by their fingerprints,
in all orientations, and those with similar vectors also as crops of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pokesim.analysis.fingerprint import (
    CROPPED,
    WHOLE,
    Fingerprints,
    crop_scores,
    recoloured,
    turned,
)
from pokesim.analysis.rings import LIKELY, RINGS, TERMS, TURNED, ring_scores
from pokesim.analysis.similar import BLOCK, Ids, Rows, near_pairs
from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.metric import normalized
from pokesim.progress import Progress


class Kind(StrEnum):
    """How a picture of a group relates to the first one."""

    FIRST = ""
    IDENTICAL = "identical"
    COPY = "copy"
    MIRRORED = "mirrored"
    TURNED = "turned"
    CROPPED = "cropped"
    SIMILAR = "similar"


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares n pictures of an index.

    Attributes:
        base: the vectors of the index.
        ids: int64 (n,), the pictures' rows in it.
        prints: their fingerprints.
        crops: least cosine of the vectors of pictures that are compared as crops.
        least: least cosine of the vectors of copies; -1 is none.
    """

    base: BaseVectors
    ids: Ids
    prints: Fingerprints
    crops: float
    least: float

    def pairs(self, on_progress: Progress) -> tuple[Ids, Ids]:
        """Return all pairs (a, b), a < b, of copies, by position; the progress is (done, n)."""
        found = []
        starts = range(0, len(self.ids), BLOCK)
        for first in starts:
            found += [self._pairs(first, second) for second in starts if second >= first]
            on_progress(min(first + BLOCK, len(self.ids)), len(self.ids))
        none = np.empty(0, np.int64)
        return (
            np.concatenate([none, *(a for a, _ in found)]),
            np.concatenate([none, *(b for _, b in found)]),
        )

    def _pairs(self, first: int, second: int) -> tuple[Ids, Ids]:
        """Return the pairs of copies in two blocks."""
        rows, columns = slice(first, first + BLOCK), slice(second, second + BLOCK)
        upper = normalized(self.base.rows(self.ids[rows]))
        lower = normalized(self.base.rows(self.ids[columns]))
        hashes, others = self.prints.hashes[rows], self.prints.hashes[columns]
        compared = np.ones((len(hashes), len(others)), np.bool_)
        compared[~hashes.any(axis=1)] = False
        compared[:, ~others.any(axis=1)] = False
        if first == second:
            compared[np.tri(len(compared), dtype=np.bool_)] = False
        if self.least > -1:
            compared &= _matrix(near_pairs(upper, lower, self.least), compared.shape)
        same = np.zeros_like(compared)
        for other in turned(others):
            same |= hashes @ other.T >= WHOLE
        self._add_turned(same, compared, first, second)
        crops = _matrix(near_pairs(upper, lower, self.crops), compared.shape)
        a, b = np.nonzero(crops & compared & ~same)
        is_crop = self._cropped(a + first, b + second) >= CROPPED
        same[a[is_crop], b[is_crop]] = True
        a, b = np.nonzero(same & compared)
        kept = ~recoloured(self.prints.colours, a + first, b + second)
        return a[kept] + first, b[kept] + second

    def _add_turned(
        self, same: NDArray[np.bool_], compared: NDArray[np.bool_], first: int, second: int
    ) -> None:
        """Add the pairs that are copies if turned by some angle."""
        one, other = (
            np.abs(self.prints.rings[start : start + BLOCK]).reshape(-1, RINGS * TERMS)
            for start in (first, second)
        )
        a, b = np.nonzero((one @ other.T >= LIKELY) & compared & ~same)
        for at in np.unique(a):
            others = b[a == at]
            scores = ring_scores(self.prints.rings[first + at], self.prints.rings[second + others])
            same[at, others[scores >= TURNED]] = True

    def _cropped(self, a: Ids, b: Ids) -> Rows:
        """Return for each pair the correlation of the best crop of either with the other."""
        best = np.full(len(a), -1.0, np.float32)
        for one, other in ((a, b), (b, a)):
            order = np.argsort(one, kind="stable")
            starts = np.flatnonzero(np.diff(one[order])) + 1
            for some in np.split(order, starts) if len(order) else ():
                scores = crop_scores(
                    self.prints.grey[one[some[0]]], self.prints.hashes[other[some]]
                )
                best[some] = np.maximum(best[some], scores)
        return best

    def kinds(self, first: int, others: Ids) -> list[Kind]:
        """Return how copies of a picture relate to it; a symmetric one counts as upright."""
        one = self.prints.hashes[first]
        is_cropped = self._cropped(np.full_like(others, first), others) >= CROPPED
        kinds = [Kind.CROPPED if some else Kind.TURNED for some in is_cropped]
        decided: set[int] = set()
        by_orientation = (Kind.COPY, Kind.MIRRORED, Kind.MIRRORED, *[Kind.TURNED] * 5)
        for kind, hashes in zip(by_orientation, turned(self.prints.hashes[others]), strict=True):
            for at in np.flatnonzero(hashes @ one >= WHOLE).tolist():
                if at not in decided:
                    kinds[at] = kind
                    decided.add(at)
        return kinds


def _matrix(pairs: tuple[Ids, Ids], shape: tuple[int, int]) -> NDArray[np.bool_]:
    matrix = np.zeros(shape, np.bool_)
    matrix[pairs] = True
    return matrix
