"""A part of a picture: a rectangle, in pixels of the upright picture or in percent of its size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pokesim.arguments import finite_number, shown, whole_number
from pokesim.errors import UsageError

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""

_NUMBER = r"\s*(-?[0-9]{1,9}(?:\.[0-9]{1,9})?)\s*"

_PIXELS = re.compile(",".join([_NUMBER] * 4))

_PERCENT = re.compile(",".join([rf"{_NUMBER}%\s*"] * 4))


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle of a picture.

    Attributes:
        x, y: its upper left corner, from that of the upright picture.
        width, height: its size.
        in_percent: the numbers are percent of the picture's width and height, instead of pixels.

    Raises:
        UsageError: it is empty, not inside any picture, or not of numbers; pixels are whole ones.
    """

    x: float
    y: float
    width: float
    height: float
    in_percent: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("x", "y", "width", "height"):
            value = getattr(self, name)
            number = finite_number(f"The crop's {name}", value)
            if number < 0 or (number == 0 and name in ("width", "height")):
                least = "above 0" if name in ("width", "height") else "at least 0"
                raise UsageError(f"The crop's {name} must be {least}, not {number:g}.")
            if not self.in_percent:
                number = whole_number(f"The crop's {name}, in pixels,", value, 0)
            object.__setattr__(self, name, number)  # also one of NumPy's
        if self.in_percent and max(self.x + self.width, self.y + self.height) > 100 + 1e-9:
            raise UsageError(f"The crop {self} reaches beyond 100 % of the picture.")

    def __str__(self) -> str:
        """Return the text that `as_crop` reads."""
        unit = "%" if self.in_percent else ""
        return ",".join(f"{at:.9g}{unit}" for at in (self.x, self.y, self.width, self.height))

    def box(self, width: int, height: int) -> Box:
        """Return the rectangle of an upright picture of this size.

        Raises:
            ValueError: there is no such part in the picture.
        """
        across, down = (width / 100, height / 100) if self.in_percent else (1, 1)
        left, right = (round(at * across) for at in (self.x, self.x + self.width))
        top, bottom = (round(at * down) for at in (self.y, self.y + self.height))
        size = f"the picture, which is {width} × {height} pixels"
        if right > width or bottom > height:
            raise ValueError(f"the crop {self} reaches beyond {size}")
        if right == left or bottom == top:
            raise ValueError(f"the crop {self} is less than a pixel of {size}")
        return left, top, right, bottom


CropArgument: TypeAlias = Crop | str | Sequence[int] | None
"""A crop; ``"10%,20%,50%,50%"`` or ``"40,80,200,200"``: x, y, width, height; or four pixels."""


def as_crop(value: CropArgument) -> Crop | None:
    """Return a crop; None for None.

    Raises:
        UsageError: it is none, or not inside any picture.
    """
    if value is None or isinstance(value, Crop):
        return value
    if isinstance(value, str):
        if found := _PIXELS.fullmatch(value):
            return Crop(*(int(at) if at.isdecimal() else float(at) for at in found.groups()))
        if found := _PERCENT.fullmatch(value):
            return Crop(*map(float, found.groups()), in_percent=True)
    elif isinstance(value, Sequence) and not isinstance(value, bytes) and len(value) == 4:
        return Crop(*value)
    raise UsageError(
        "The crop must be X,Y,WIDTH,HEIGHT, in pixels (such as 40,80,200,200) or in percent "
        f"(10%,20%,50%,50%), not {shown(value)}."
    )
