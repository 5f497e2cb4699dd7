"""Heat map over a picture that shows where it resembles another."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pokesim.images import PictureSource, thumbnail_of
from pokesim.search.explain import Map

FINER = 8
"""How much finer the maps of an `Explanation` are drawn."""

# From white (adds nothing, or reduces the similarity) to red (adds most): ColorBrewer's YlOrRd,
# whose lightness falls steadily.
_STOPS = np.array([(255, 255, 255), (255, 237, 160), (254, 178, 76), (240, 59, 32)], np.float32)


# On a dark ground, the glow of what adds most.
_GLOW = np.array((255, 76, 41), np.float32)

_DARK, _DARKEST = 95, 24  # grey of what is white and black, on a dark ground


def heated(
    source: PictureSource,
    places: Map,
    shift: float,
    width: int,
    height: int,
    *,
    is_dark: bool = False,
) -> Image.Image:
    """Draw a picture in pale grey, coloured by what each area adds to the similarity.

    Args:
        source: the picture.
        places: its map from an `Explanation`; the area that adds most is the reddest.
        shift: offset of the map in cells. The outermost cells reach to the edges.
        width: maximum width in pixels; the picture is drawn as large as fits.
        height: maximum height in pixels.
        is_dark: draw in dark grey, for a page with a dark ground.

    Returns:
        RGB, in the picture's proportions.

    Raises:
        PictureError: it cannot be read.
    """
    picture = thumbnail_of(source, width, height)
    most = float(places.max())
    shares = np.clip(places / most, 0, 1) if most > 0 else np.zeros_like(places)
    rows, columns = shares.shape
    around = 1 + math.ceil(abs(shift))
    start = around - shift
    edged = Image.fromarray(np.pad(shares, around, mode="edge"))
    box = (start, start, columns + start, rows + start)
    smooth = edged.resize(picture.size, Image.Resampling.BILINEAR, box)
    grey = np.asarray(picture.convert("L"), np.float32) / np.float32(255)
    if is_dark:
        drawn = _glowing(np.asarray(smooth), grey)
    else:
        drawn = _colours(np.asarray(smooth)) * (0.35 + 0.65 * grey[..., None])
    return Image.fromarray(drawn.astype(np.uint8))


def scale(width: int, height: int, *, is_dark: bool = False) -> Image.Image:
    """Draw the colour scale, from what adds nothing at the left to what adds most at the right."""
    shares = np.linspace(0, 1, width, dtype=np.float32)
    row = _glowing(shares, np.ones(width, np.float32)) if is_dark else _colours(shares)
    return Image.fromarray(np.tile(row.astype(np.uint8), (height, 1, 1)))


def _colours(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the RGB colours, float32 (…, 3), of shares from 0 to 1, (…)."""
    at = np.linspace(0, 1, len(_STOPS))
    return np.stack([np.interp(shares, at, stops) for stops in _STOPS.T], axis=-1, dtype=np.float32)


def _glowing(shares: NDArray[np.float32], grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the RGB colours, float32 (…, 3), of shares and of grey from 0 to 1, both (…)."""
    ground = _DARKEST + (_DARK - _DARKEST) * grey
    lit = (0.4 + 0.6 * grey)[..., None] * _GLOW  # what is drawn stays visible in the glow
    return ground[..., None] * (1 - shares[..., None]) + lit * shares[..., None]
