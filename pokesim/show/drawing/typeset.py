"""Write a line of any text on a drawing, fitted to a given width."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable
from functools import cache, lru_cache
from math import ceil
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_FONTS = Path(__file__).with_name("fonts")

REGULAR, BOLD = _FONTS / "Inter-Regular.otf", _FONTS / "Inter-SemiBold.otf"
"""The files of the typeface, of weights 400 and 600."""

_ANY_SIZE = 16

# Fonts of this machine for lines with letters that Inter lacks: Chinese, Japanese and Korean on
# Linux, macOS and Windows, then DejaVu for symbols.
_OTHERS = (
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "Arial Unicode.ttf",
    "msyh.ttc",
    "malgun.ttf",
    "DejaVuSans.ttf",
)

_BLANK = "□"

_LONGEST = 300  # letters; no line holds more


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
    """Write one line, shrunk or shortened with "…" if it is too long.

    Of a name with folders, these are cut first; then the middle, because names differ at their
    ends.

    A letter that no available font has becomes "□".

    Args:
        canvas: the drawing.
        at: position of the anchor, in pixels.
        text: any text, such as a file name.
        room: maximum width, in pixels.
        size: font size, in pixels.
        colour: text colour.
        bold: whether to use the semi-bold font.
        least: smallest font size to shrink to before the line is shortened; None: never shrink.
        anchor: Pillow's text anchor; "ls" is the left end of the base line.

    Returns:
        the width of the line, in pixels.
    """
    draw = ImageDraw.Draw(canvas)
    text = _cleaned(text)
    name = _font_with(text, str(BOLD if bold else REGULAR))
    text = "".join(_BLANK if _lacks(name, letter) else letter for letter in text)
    while size > (least or size) and draw.textlength(text, _font(name, size)) > room:
        size -= 1
    font = _font(name, size)
    if draw.textlength(text, font) > room:
        text = _shortened(text, lambda cut: ceil(draw.textlength(cut, font)) <= room)
    draw.text(at, text, colour, font, anchor=anchor)
    return round(draw.textlength(text, font))


def _shortened(text: str, fits: Callable[[str], bool]) -> str:
    """Shorten a name by what says least: the end of its folders, its file type, then its middle."""
    folders, _, name = text.rpartition("/")
    if folders and fits(f"…/{name}"):
        kept = _most(len(folders), lambda count: fits(f"{folders[:count]}…/{name}"))
        return f"{_at_a_word(folders[:kept], 1 / 2)}…/{name}"
    stem = re.sub(r"\.\w{2,4}$", "", name)
    if fits(stem):
        return stem
    kept = _most(len(stem), lambda count: fits("…".join(_ends(stem, count))))
    start, end = _ends(stem, kept)
    return f"{_at_a_word(start, 1 / 2)}…{_at_a_word(end[::-1], 1 / 3)[::-1]}"


def _ends(text: str, count: int) -> tuple[str, str]:
    """Return this many letters of a text: three fifths from its start, the rest from its end."""
    after = count * 2 // 5
    return text[: count - after], text[len(text) - after :]


def _most(longest: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number up to ``longest`` that fits, at least 0."""
    return bisect_left(range(1, longest + 1), True, key=lambda count: not fits(count))


def _at_a_word(text: str, least: float) -> str:
    """Cut a text back to the end of a word, if at least this share of it then stays."""
    whole = re.sub(r"[\s_.,;-]+[^\s_.,;-]*$", "", text)
    return whole if len(whole) >= least * len(text) else text.rstrip()


def _cleaned(text: str) -> str:
    """Return a text as one line of visible letters, with accents composed."""
    text = unicodedata.normalize("NFC", text[:_LONGEST].encode("utf-8", "replace").decode())
    text = " ".join(text.split())
    # Cc, Cf: controls that reverse a line or join letters; U+FE0F requests a coloured emoji.
    return "".join(
        letter
        for letter in text
        if unicodedata.category(letter) not in ("Cc", "Cf") and letter != "\ufe0f"
    )


def _font_with(text: str, first: str) -> str:
    """Return the first available font with all letters of a text, or ``first`` if there is none."""
    if any(_lacks(first, letter) for letter in text):
        for name in _available_others():
            if not any(_lacks(name, letter) for letter in text):
                return name
    return first


@cache
def _available_others() -> list[str]:
    available = []
    for name in _OTHERS:
        with contextlib.suppress(OSError):
            _font(name, _ANY_SIZE)
            available.append(name)
    return available


@lru_cache(4096)
def _lacks(name: str, letter: str) -> bool:
    """Return whether a font draws a letter like a noncharacter, that is, lacks it."""
    font = _font(name, _ANY_SIZE)
    drawn, none = font.getmask(letter), font.getmask("\U0010fffe")
    return drawn.size == none.size and bytes(drawn) == bytes(none)


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Open a font by its path, or by its name on this machine. Raises OSError."""
    return ImageFont.truetype(name, size)
