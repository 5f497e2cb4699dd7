"""Whether a match resembles the photo, or is only the closest of what there is.

Something is always closest. A match that resembles the photo is also much nearer to it than the
pictures of the index usually are: `NEAR` times the median distance from the photo to a sample of
them. The rule needs no figure of the network or of the index, and tests/benchmarks/README.md says
how often it is right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEAR = 0.75
"""A match resembles the photo up to this share of the photo's usual distance."""

SAMPLE = 128
"""The most pictures that the usual distance is taken from."""


def sample_ids(count: int) -> NDArray[np.int64]:
    """Return at most `SAMPLE` ids, evenly spaced among ``count``."""
    size = min(SAMPLE, count)
    return np.arange(size, dtype=np.int64) * count // max(size, 1)


def reach(query: NDArray[np.float32], sample: NDArray[np.float64]) -> float:
    """Return the distance up to which a match resembles the query.

    Args:
        query: vector of the photo, (d,).
        sample: vectors of `sample_ids`, (n, d) with n > 0.
    """
    distances = np.linalg.norm(sample - query.astype(np.float64), axis=1)
    distances.sort()  # np.median would import numpy.ma, which takes longer than a search
    middle = len(distances) // 2
    return NEAR * float(distances[middle] + distances[~middle]) / 2
