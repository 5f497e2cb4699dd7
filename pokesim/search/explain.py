"""Where two pictures resemble each other: how much each position adds to their similarity.

A vector v is a sum over the positions of the network's last feature map (see
`pokesim.embedders.attribution`), v = Σ v_p, so its cosine with another, w, is one too:
cos(v, w) = Σ v_p·w / (‖v‖‖w‖). The terms are the contributions of each position of the one
picture, and with v and w exchanged, of the other (Stylianou et al. 2019, "Visualizing Deep
Similarity Networks"). A learned metric is affine except for its final scaling, so it is applied to
each v_p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.attribution import Parts, spread_over
from pokesim.embedders.pair import scaled
from pokesim.images import Region
from pokesim.metric import Projection

Map: TypeAlias = NDArray[np.float32]
"""Float32 (h, w): what each position adds to a similarity, in percentage points, also below 0."""


Size: TypeAlias = tuple[int, int]
"""Width and height of a picture."""

_MOST_CELLS = 256
"""The most cells of a map in either direction, for a picture that is very long."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a photo and a picture resemble each other.

    The positions of a map, h × w (4 × 4 with `compact`, 7 × 7 with most others), divide the
    whole picture evenly apart from the shift, for any aspect ratio: the network sees the picture
    squeezed to a square. What a network does not see, because its square is cut out of the middle,
    adds nothing. If a network sees what is inside plain margins larger, there are more positions.
    The value at a position also depends on its surroundings.

    Attributes:
        photo: the map of the photo.
        picture: the map of the picture.
        similarity: the sum of either map: 100 × the cosine of the two vectors.
        shift: how far a position's centre lies to the right of its cell and below, in cells.
    """

    photo: Map
    picture: Map
    similarity: float
    shift: float

    def finer(self, times: int) -> Explanation:
        """Return the maps sampled bilinearly on a grid ``times`` as fine, with the same sums.

        Neighbouring values then blend into each other, for a drawing; nothing more is known.
        """
        photo, picture = (_sampled(places, times) for places in (self.photo, self.picture))
        return Explanation(photo, picture, self.similarity, times * self.shift)


def explanation(
    parts: Parts, is_normalized: bool, projection: Projection | None, shift: float
) -> Explanation:
    """Attribute the similarity of two pictures to their positions.

    Args:
        parts: parts of the photo's and the picture's vector, float32 (2, h, w, d).
        is_normalized: the index scales vectors to length 1.
        projection: the learned metric of the index, if it has one.
        shift: see `Explanation`; the catalogue lists it for each network.
    """
    if is_normalized:
        parts = scaled(parts)
    if projection:
        # The metric's constant term belongs to no position, so all of them share it.
        matrix, positions = projection.matrix, parts.shape[1] * parts.shape[2]
        parts = parts @ matrix[:-1] + matrix[-1] / positions
    photo, picture = scaled(parts)  # (h, w, d) each
    of_photo = 100 * photo @ picture.sum(axis=(0, 1))
    of_picture = 100 * picture @ photo.sum(axis=(0, 1))
    return Explanation(of_photo, of_picture, float(of_photo.sum()), shift)


def on_whole_pictures(found: Explanation, seen: Sequence[tuple[Region, Size]]) -> Explanation:
    """Return the maps over whole pictures, where the network sees a part of them, or more.

    Args:
        found: maps over what the network sees.
        seen: what that is of the photo and of the picture, with their sizes (`images.seen_of`).
    """
    photo, picture = (_placed(*one) for one in zip((found.photo, found.picture), seen, strict=True))
    return replace(found, photo=photo, picture=picture)


def _placed(places: Map, seen: tuple[Region, Size]) -> Map:
    """Distribute a map of a region over the cells of the whole, of about the same size."""
    region, size = seen
    if region == (0, 0, *size):
        return places
    rows, columns = places.shape
    left, top, right, bottom = region
    down = _overlaps(top, bottom, rows, size[1])
    across = _overlaps(left, right, columns, size[0])
    return (down @ places @ across.T).astype(np.float32, copy=False)


def _overlaps(start: float, end: float, count: int, whole: float) -> NDArray[np.float32]:
    """Return the share of each of ``count`` equal cells of a line in each cell of the whole."""
    finer = min(_MOST_CELLS, max(count, round(count * whole / (end - start))))
    edges, others = np.linspace(start, end, count + 1), np.linspace(0, whole, finer + 1)[:, None]
    others[0], others[-1] = min(start, 0), max(end, whole)  # what lies beyond is at the edge
    common = np.minimum(edges[1:], others[1:]) - np.maximum(edges[:-1], others[:-1])
    shares: NDArray[np.float32] = np.clip(common, 0, None) / ((end - start) / count)
    return shares


def _sampled(places: Map, times: int) -> Map:
    rows, columns = (spread_over(count, times * count) for count in places.shape)
    return (rows @ places @ columns.T).astype(np.float32, copy=False)
