"""Draw pictures in a terminal; each character is a half block of two pixels in 24-bit colour."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image
from rich.cells import set_cell_size

from pokesim.errors import PictureError
from pokesim.images import PictureSource, thumbnail_of
from pokesim.search.matches import Match
from pokesim.show.text import plain

_GAP = 2

_WIDEST, _NARROWEST = 40, 24

_RESET = "\x1b[0m"


def preview(photo: PictureSource, matches: Sequence[Match], width: int) -> str:
    """Draw a photo and its matches side by side with captions, at most ``width`` cells wide.

    Matches that do not fit are left out.
    """
    fit = max(2, min(1 + len(matches), (width + _GAP) // (_NARROWEST + _GAP)))
    side = min(_WIDEST, (width + _GAP) // fit - _GAP)
    shown = matches[: fit - 1]
    tiles = [_tile(photo, side)] + [_tile(match.path, side) for match in shown]
    captions = ["your photo"] + [f"{match.label} {match.similarity:.0f} %" for match in shown]
    gap = " " * _GAP
    lines = [gap.join(cells) for cells in zip(*tiles, strict=True)]
    return "\n".join([*lines, gap.join(set_cell_size(plain(text), side) for text in captions)])


def _tile(source: PictureSource, side: int) -> list[str]:
    """Draw one picture in ``side`` columns and side / 2 lines, centred on white."""
    canvas = Image.new("RGB", (side, side - side % 2), "white")
    try:
        picture = thumbnail_of(source, *canvas.size)
    except PictureError:  # moved or deleted since it was indexed; the caption still holds
        picture = Image.new("RGB", (1, 1), "white")
    corner = ((canvas.width - picture.width) // 2, (canvas.height - picture.height) // 2)
    canvas.paste(picture, corner)
    return [
        "".join(_cell(canvas, x, y) for x in range(canvas.width)) + _RESET
        for y in range(0, canvas.height, 2)
    ]


def _cell(canvas: Image.Image, x: int, y: int) -> str:
    upper = ";".join(map(str, canvas.getpixel((x, y))))  # type: ignore[arg-type]
    lower = ";".join(map(str, canvas.getpixel((x, y + 1))))  # type: ignore[arg-type]
    return f"\x1b[38;2;{upper}m\x1b[48;2;{lower}m▀"
