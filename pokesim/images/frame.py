"""How a picture becomes the square that a network sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image

READING = "first frame, EXIF upright, alpha on white, RGB, squeezed to a square, bilinear"
"""How a picture becomes pixels, for the networks of the catalogue. Recorded in each index's
manifest; it changes only if they do."""

RESAMPLINGS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Interpolations, by name."""

Region: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A rule by which a picture becomes a square.

    Without ``resampling``, it is the rule of the catalogue's own networks: squeezed to the square,
    with the shortcuts that decoders offer. With it, the rule is that of a network's publisher, and
    the pixels are those of its reference implementation.

    Attributes:
        side: width and height of the square, in pixels.
        shorter: what the shorter side of the picture is scaled to, in pixels, before the square is
            cut out of the middle; 0 if the picture is squeezed to the square.
        resampling: the interpolation, one of `RESAMPLINGS`; empty for the rule above.
    """

    side: int
    shorter: int = 0
    resampling: str = ""

    @property
    def reading(self) -> str:
        """The rule in words, as a manifest records it."""
        if not self.resampling:
            return READING
        how = "squeezed to a square"
        if self.shorter:
            how = f"shorter side to {self.shorter} px, middle {self.side} px"
        return f"first frame, EXIF upright, alpha on white, RGB, {how}, exact {self.resampling}"

    def region(self, width: int, height: int) -> Region:
        """Return what the square shows of an upright picture of this size, in its pixels."""
        if not self.shorter:
            return 0, 0, width, height
        # As in the reference implementations: the longer side and the margin are rounded down.
        shorter, longer = sorted((width, height))
        across, down = self.shorter, self.shorter * longer // shorter
        if width > height:
            across, down = down, across
        left, top = (across - self.side) // 2, (down - self.side) // 2
        x, y = width / across, height / down
        return left * x, top * y, (left + self.side) * x, (top + self.side) * y


def outward(region: Region) -> tuple[int, int, int, int]:
    """Return the smallest box of whole pixels around a region."""
    left, top, right, bottom = region
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)
