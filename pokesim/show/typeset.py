"""Words on the pictures that we draw: a line of any name, in the room that there is."""

from __future__ import annotations

import contextlib
import unicodedata
from bisect import bisect_right
from functools import cache, lru_cache
from math import ceil
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_FONTS = Path(__file__).with_name("fonts")

_REGULAR, _BOLD = str(_FONTS / "Inter-Regular.otf"), str(_FONTS / "Inter-SemiBold.otf")

_ANY_SIZE = 16

# Looked for on this machine, for a line with letters that Inter lacks: Chinese, Japanese and Korean
# on Linux, macOS and Windows, then DejaVu's signs.
_OTHERS = (
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "Arial Unicode.ttf",
    "msyh.ttc",
    "malgun.ttf",
    "DejaVuSans.ttf",
)

_BLANK = "□"

_LONGEST = 300  # letters that are looked at; no line holds more


def write(
    canvas: Image.Image,
    at: tuple[int, int],
    text: str,
    room: int,
    size: int,
    colour: str,
    *,
    bold: bool = False,
    least: int | None = None,
    anchor: str = "ls",
) -> int:
    """Write one line, smaller if need be, and ended by "…" if it still does not fit.

    A letter that no font at hand has becomes "□".

    Args:
        canvas: the drawing.
        at: where, in pixels.
        text: any text, such as the name of a file.
        room: its width at most, in pixels.
        size: of the type, in pixels.
        colour: of the type.
        bold: of half bold type.
        least: the size down to which it shrinks before it is shortened; it does not, unless told.
        anchor: what ``at`` is of the line, as Pillow says it: "ls" its left end on the base line.

    Returns:
        the width of the line, in pixels.
    """
    draw = ImageDraw.Draw(canvas)
    text = _cleaned(text)
    name = _font_with(text, _BOLD if bold else _REGULAR)
    text = "".join(_BLANK if _lacks(name, letter) else letter for letter in text)
    while size > (least or size) and draw.textlength(text, _font(name, size)) > room:
        size -= 1
    font = _font(name, size)
    if draw.textlength(text, font) > room:
        fits = bisect_right(
            range(1, len(text)), room, key=lambda end: ceil(draw.textlength(text[:end] + "…", font))
        )
        text = text[:fits].rstrip() + "…"
    draw.text(at, text, colour, font, anchor=anchor)
    return round(draw.textlength(text, font))


def _cleaned(text: str) -> str:
    """Return a text as one line of letters that can be seen, accents joined to their letters."""
    text = unicodedata.normalize("NFC", text[:_LONGEST].encode("utf-8", "replace").decode())
    text = " ".join(text.split())
    # Cc, Cf: commands that turn a line about or join letters; U+FE0F asks for an emoji's colours.
    return "".join(
        letter
        for letter in text
        if unicodedata.category(letter) not in ("Cc", "Cf") and letter != "\ufe0f"
    )


def _font_with(text: str, first: str) -> str:
    """Return the first font at hand that has all letters of a text, or else ``first``."""
    if any(_lacks(first, letter) for letter in text):
        for name in _others_at_hand():
            if not any(_lacks(name, letter) for letter in text):
                return name
    return first


@cache
def _others_at_hand() -> list[str]:
    found = []
    for name in _OTHERS:
        with contextlib.suppress(OSError):
            _font(name, _ANY_SIZE)
            found.append(name)
    return found


@lru_cache(4096)
def _lacks(name: str, letter: str) -> bool:
    """Say whether a font draws a letter as it draws what is none."""
    font = _font(name, _ANY_SIZE)
    drawn, none = font.getmask(letter), font.getmask("\U0010fffe")
    return drawn.size == none.size and bytes(drawn) == bytes(none)


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Open a font of this package, by its path, or of this machine. Raises OSError."""
    return ImageFont.truetype(name, size)
