"""Which pictures of an index are copies of one another: near by fingerprint, or a crop.

Vectors alone do not tell: networks place a picture and its quarter turn far apart, and two
different drawings of one kind next to each other. So all pairs are compared by their fingerprints,
in all orientations, and those with similar vectors also as crops of each other.
"""

from __future__ import annotations

from collections.abc import Iterator
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

    def pairs(self, on_progress: Progress) -> Iterator[tuple[Ids, Ids]]:
        """Yield all pairs (a, b), a < b, of copies, by position; the progress is (done, n)."""
        count = len(self.ids)
        for first in range(0, count, BLOCK):
            blocks = range(first, count, BLOCK)
            a, b = _joined([self._candidates(first, second) for second in blocks])
            is_copy: NDArray[np.bool_] = self.whole(a, b)[1] >= WHOLE
            is_copy[~is_copy] = self.cropped(a[~is_copy], b[~is_copy]) >= CROPPED
            is_copy &= ~recoloured(self.prints.colours, a, b)
            yield a[is_copy], b[is_copy]
            on_progress(min(first + BLOCK, count), count)

    def _candidates(self, first: int, second: int) -> tuple[Ids, Ids]:
        """Return the pairs of two blocks that may be copies."""
        rows, columns = slice(first, first + BLOCK), slice(second, second + BLOCK)
        upper = normalized(self.base.rows(self.ids[rows]))
        lower = normalized(self.base.rows(self.ids[columns]))
        hashes, others = self.prints.hashes[rows], self.prints.hashes[columns]
        wanted: NDArray[np.bool_] = np.zeros((len(hashes), len(others)), np.bool_)
        wanted[near_pairs(upper, lower, self.crops)] = True
        for other in turned(others):
            wanted |= hashes @ other.T >= WHOLE
        wanted[~hashes.any(axis=1)] = False
        wanted[:, ~others.any(axis=1)] = False
        if first == second:
            wanted[np.tri(len(wanted), dtype=np.bool_)] = False
        a, b = np.nonzero(wanted)
        if self.least > -1:
            kept = np.flatnonzero(np.einsum("nd,nd->n", upper[a], lower[b]) >= self.least)
            a, b = a[kept], b[kept]
        return a + first, b + second

    def whole(self, a: Ids, b: Ids) -> tuple[Ids, Rows]:
        """Return the best orientation of each pair, numbered as in `turned`, and the correlation.

        A symmetric picture counts as upright, if it does as it is.
        """
        hashes = self.prints.hashes
        best, orientation = np.full(len(a), -1.0, np.float32), np.zeros(len(a), np.int64)
        for number, other in enumerate(turned(hashes[b])):
            correlation = np.einsum("nd,nd->n", hashes[a], other)
            better = (correlation > best) & (best < WHOLE)
            best[better], orientation[better] = correlation[better], number
        return orientation, best

    def cropped(self, a: Ids, b: Ids) -> Rows:
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
        """Return how copies of a picture relate to it."""
        orientations, correlations = self.whole(np.full(len(others), first), others)
        by_number = (Kind.COPY, Kind.MIRRORED, Kind.MIRRORED, *[Kind.TURNED] * 5)
        return [
            by_number[orientation] if correlation >= WHOLE else Kind.CROPPED
            for orientation, correlation in zip(orientations, correlations, strict=True)
        ]


def _joined(pairs: list[tuple[Ids, Ids]]) -> tuple[Ids, Ids]:
    return np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])
