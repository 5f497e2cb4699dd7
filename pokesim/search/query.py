"""What `Index.query` takes and returns: one photo or several, and what becomes of an error."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from pokesim.images import PictureSource
from pokesim.search.matches import Answer, Matches


def as_list(photos: PictureSource | Sequence[PictureSource]) -> tuple[list[PictureSource], bool]:
    """Return photos as a list, and whether they were several.

    An array (n, height, width, 3) is several, as a list is.
    """
    if isinstance(photos, np.ndarray) and photos.ndim == 4:
        return [*photos], True
    if isinstance(photos, Sequence) and not isinstance(photos, str | bytes):
        return [*photos], True
    return [photos], False


class OnError(StrEnum):
    """What to do about a photo that cannot be read."""

    RAISE = "raise"
    SKIP = "skip"


def matches_of(answer: Answer, on_error: OnError) -> Matches:
    """Return the matches of an answer; raise its error, if it has one, or skip it."""
    if answer.error and on_error is OnError.RAISE:
        raise answer.error
    return answer.matches
