"""Heat map over a picture that shows where it resembles another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pokesim.images import PictureSource, thumbnail_of
from pokesim.search.explain import Map

# From white (adds nothing, or reduces the similarity) to red (adds most): ColorBrewer's YlOrRd,
# whose lightness falls steadily.
_STOPS = np.array([(255, 255, 255), (255, 237, 160), (254, 178, 76), (240, 59, 32)], np.float32)


def heated(
    source: PictureSource, places: Map, shift: float, width: int, height: int
) -> Image.Image:
    """Draw a picture in pale grey, coloured by what each area adds to the similarity.

    Args:
        source: the picture.
        places: its map from an `Explanation`; the area that adds most is the reddest.
        shift: offset of the map in cells, less than one. The outermost cells reach to the edges.
        width: maximum width in pixels; the picture is drawn as large as fits.
        height: maximum height in pixels.

    Returns:
        RGB, in the picture's proportions.

    Raises:
        PictureError: it cannot be read.
    """
    picture = thumbnail_of(source, width, height)
    most = float(places.max())
    shares = np.clip(places / most, 0, 1) if most > 0 else np.zeros_like(places)
    rows, columns = shares.shape
    box = (1 - shift, 1 - shift, columns + 1 - shift, rows + 1 - shift)
    edged = Image.fromarray(np.pad(shares, 1, mode="edge"))
    smooth = edged.resize(picture.size, Image.Resampling.BICUBIC, box)
    pale = 90 + np.asarray(picture.convert("L"), np.float32) * (165 / 255)
    heat = _colours(np.asarray(smooth))
    return Image.fromarray((heat * pale[..., None] / 255).astype(np.uint8))


def scale(width: int, height: int) -> Image.Image:
    """Draw the colour scale, from what adds nothing at the left to what adds most at the right."""
    row = _colours(np.linspace(0, 1, width, dtype=np.float32))
    return Image.fromarray(np.tile(row.astype(np.uint8), (height, 1, 1)))


def _colours(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the RGB colours, float32 (…, 3), of shares from 0 to 1, (…)."""
    at = np.linspace(0, 1, len(_STOPS))
    return np.stack([np.interp(shares, at, stops) for stops in _STOPS.T], axis=-1, dtype=np.float32)
