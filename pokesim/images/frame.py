"""How a picture becomes the square that a network sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image

READING = "first frame, EXIF upright, alpha on white, RGB, squeezed to a square, bilinear"
"""How a picture becomes pixels, for the networks of the catalogue. Recorded in each index's
manifest; it changes only if they do."""

READING_TRIMMED = f"{READING}, plain margins trimmed"
"""The same, for networks that see what is inside plain margins (`trim`)."""

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
        trims: show what is inside plain margins (`trim`); only without ``resampling``.
    """

    side: int
    shorter: int = 0
    resampling: str = ""
    trims: bool = False

    @staticmethod
    def recorded(side: int, reading: str) -> Frame:
        """Return the rule of the catalogue's networks that a manifest records with these words."""
        return Frame(side, trims=reading == READING_TRIMMED)

    @property
    def how(self) -> str:
        """The rule in a few words."""
        how = f"squeezed to {self.side} px"
        if self.shorter:
            how = f"shorter side to {self.shorter} px, middle {self.side} px"
        return f"{how}, {self.resampling or 'bilinear'}"

    @property
    def reading(self) -> str:
        """The rule in words, as a manifest records it."""
        if not self.resampling:
            return READING_TRIMMED if self.trims else READING
        return f"first frame, EXIF upright, alpha on white, RGB, {self.how}, exact"

    def scaled_size(self, width: int, height: int) -> tuple[int, int]:
        """Return what an upright picture of this size is scaled to before the square is cut out."""
        if not self.shorter:
            return self.side, self.side
        longer = self.shorter * max(width, height) // min(width, height)
        return (longer, self.shorter) if width > height else (self.shorter, longer)

    def cut(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the square in the middle of a picture that is scaled to this size."""
        left, top = (width - self.side) // 2, (height - self.side) // 2
        return left, top, left + self.side, top + self.side

    def region(self, width: int, height: int) -> Region:
        """Return what the square shows of an upright picture of this size, in its pixels."""
        across, down = self.scaled_size(width, height)
        left, top, right, bottom = self.cut(across, down)
        x, y = width / across, height / down
        return left * x, top * y, right * x, bottom * y


def outward(region: Region) -> tuple[int, int, int, int]:
    """Return the smallest box of whole pixels around a region."""
    left, top, right, bottom = region
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)
