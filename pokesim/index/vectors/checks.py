"""Checks of the arrays that FAISS is given: it reads whatever lies where an id points."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pokesim.arguments import shown
from pokesim.errors import UsageError
from pokesim.metric import LARGEST, within_bounds


def checked_ids(ids: ArrayLike, count: int) -> NDArray[np.int64]:
    """Return ids of vectors as an array (n,).

    Args:
        ids: a list or an array of whole numbers.
        count: number of vectors.

    Raises:
        UsageError: they are something else, or one is not from 0 to ``count`` - 1.
    """
    try:
        found = np.asarray(ids)
    except (ValueError, TypeError, OverflowError):  # such as a list of lists of different lengths
        found = np.empty((), object)
    if found.shape == (0,):  # the type of an empty list is arbitrary
        return np.empty(0, np.int64)
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise UsageError(f"Ids must be a list of whole numbers, not {shown(ids)}.")
    least, most = int(found.min()), int(found.max())
    if least < 0 or most >= count:
        wrong = least if least < 0 else most
        raise UsageError(f"There is no id {wrong}: the index has {count:,} vectors, from id 0.")
    return np.ascontiguousarray(found, np.int64)


def checked_queries(xq: ArrayLike, dimension: int) -> NDArray[np.float32]:
    """Return query vectors as an array (nq, dimension), nq = 1 if a single one is given.

    Raises:
        UsageError: they are not numbers, have another dimension, or are not within `LARGEST`.
    """
    try:
        given = np.asarray(xq)
        if given.dtype.kind not in "iuf":
            raise TypeError
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
            rows = np.atleast_2d(np.ascontiguousarray(given, dtype=np.float32))
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"Query vectors must be (n, {dimension}) numbers, not {shown(xq)}."
        ) from error
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise UsageError(f"Query vectors must be (n, {dimension}), not {rows.shape}.")
    if not within_bounds(rows):
        raise UsageError(f"Query vectors must be finite, and no number in them above {LARGEST:g}.")
    return rows
