"""Share card: a photo and its matches in one picture."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from pokesim.errors import UsageError
from pokesim.images import PictureSource
from pokesim.search.combine import Example
from pokesim.search.explain import Explanation, Map
from pokesim.search.matches import Answer, Match
from pokesim.show.answers import lead, sign, verdict
from pokesim.show.drawing.canvas import (
    DARK,
    LIGHT,
    Box,
    Palette,
    paste,
    paste_empty,
    save_picture,
)
from pokesim.show.drawing.heatmap import FINER, heated, scale
from pokesim.show.drawing.typeset import write

WIDTH, HEIGHT = 1200, 630
"""Size of a card in pixels; social networks show this size uncropped."""

_MARGIN = 40

_MIDDLE = 168  # gap between photo and match, for the similarity

_TILE = (WIDTH - 2 * _MARGIN - _MIDDLE) // 2

_CAPTION = 62  # height below photo and match

_OTHERS = 5  # maximum number of further matches

_SMALL = 84  # side of a further match

_EXAMPLES = 3  # maximum number of photos shown that one was combined with

_LETTERS, _LINES = 16, 4  # maximum size of words in place of a photo

_RING = 148

_MOST_JPEG = 65_535 // HEIGHT  # a JPEG has no more rows

_MOST_PNG = 300  # a card takes 3 MB of memory


def card(
    answer: Answer, explanation: Explanation | None = None, *, is_dark: bool = False
) -> Image.Image:
    """Draw a photo and its best match side by side, and up to five further matches below.

    If a word was searched with, it stands in place of the photo, and no similarity is drawn.

    Args:
        answer: the answer to one photo or word, with at least one match.
        explanation: of the photo and its best match; if given, both are drawn as heat maps.
        is_dark: draw on a dark ground, for a page that has one.

    Returns:
        RGB, 1200 × 630 pixels.

    Raises:
        PictureError: the photo cannot be read. A missing picture of a match is left blank.
    """
    best, *others = answer.matches[: 1 + _OTHERS]
    colours = DARK if is_dark else LIGHT
    canvas = Image.new("RGB", (WIDTH, HEIGHT), colours.paper)
    room = HEIGHT - 2 * _MARGIN - _CAPTION - (_SMALL + 24 if others else 0)
    bottom = _MARGIN + min(room, _TILE)
    left = (_MARGIN, _MARGIN, _MARGIN + _TILE, bottom - (_SMALL + 12 if answer.others else 0))
    right = (WIDTH - _MARGIN - _TILE, _MARGIN, WIDTH - _MARGIN, bottom)
    baseline = bottom + 46
    if answer.photo is None:
        _draw_words(canvas, answer.query, left, colours)
        paste(canvas, best.path, right)
        _draw_examples(canvas, answer.others, bottom - _SMALL, colours)
        write(canvas, (_MARGIN + 2, baseline), f"{verdict(answer)} is", _TILE, 24, colours.grey)
    elif explanation:
        fine = explanation.finer(FINER)
        _paste_heated(canvas, answer.photo, fine.photo, fine.shift, left, colours)
        _paste_heated(canvas, best.path, fine.picture, fine.shift, right, colours)
        canvas.paste(scale(_TILE - 4, 10, is_dark=is_dark), (_MARGIN + 2, bottom + 8))
        legend = "the redder, the more alike"  # large, to be read on a phone
        write(canvas, (_MARGIN + 2, bottom + 54), legend, _TILE - 4, 36, colours.grey)
    else:
        paste(canvas, answer.photo, left, must_exist=True)
        paste(canvas, best.path, right)
        _draw_examples(canvas, answer.others, bottom - _SMALL, colours)
        photo = "part of your photo" if answer.crop else "your photo"
        name = "this mix" if answer.others else photo
        write(canvas, (_MARGIN + 2, baseline), lead(name, answer), _TILE, 24, colours.grey)
    write(
        canvas,
        (right[0] + 2, baseline),
        best.label,
        _TILE - 4,
        44,
        colours.ink,
        bold=True,
        least=28,
    )
    if answer.photo is not None:
        _draw_similarity(canvas, WIDTH // 2, (_MARGIN + bottom) // 2, best, colours)
    if others:
        _draw_others(canvas, others, colours)
    return canvas


def check_room(count: int, path: Path) -> None:
    """Check that a file has room for as many cards as there are photos.

    Raises:
        UsageError: it has not.
    """
    most, kind = (_MOST_JPEG, "a JPEG") if path.suffix.lower() != ".png" else (_MOST_PNG, "a PNG")
    if count > most:
        other = "a PNG, or --html" if kind == "a JPEG" and count <= _MOST_PNG else "--html"
        raise UsageError(f"{kind} has room for {most} photos, not {count}; use {other} for more.")


def save_cards(
    answers: Sequence[Answer], path: Path, explanations: Sequence[Explanation | None]
) -> None:
    """Write one card per answered photo, one below the other, as one PNG or JPEG file.

    Raises:
        PokesimError: the file cannot be written.
    """
    canvas = Image.new("RGB", (WIDTH, HEIGHT * len(answers)), LIGHT.paper)
    for number, (answer, explanation) in enumerate(zip(answers, explanations, strict=True)):
        canvas.paste(card(answer, explanation), (0, number * HEIGHT))
    save_picture(canvas, path)


def _paste_heated(
    canvas: Image.Image,
    source: PictureSource,
    places: Map,
    shift: float,
    box: Box,
    colours: Palette,
) -> None:
    is_dark = colours is DARK
    picture = heated(source, places, shift, 2 * _TILE, 2 * _TILE, is_dark=is_dark)
    paste(canvas, picture, box, whole=True, mat=colours.mat)


def _draw_words(canvas: Image.Image, words: str, box: Box, colours: Palette) -> None:
    paste_empty(canvas, box)
    left, top, right, bottom = box
    lines = textwrap.wrap(words, _LETTERS, max_lines=_LINES, placeholder=" …")
    size = 72 if len(lines) == 1 else 50
    first = (top + bottom) // 2 - (len(lines) - 1) * size * 5 // 8
    for number, line in enumerate(lines):
        middle = ((left + right) // 2, first + number * size * 5 // 4)
        write(canvas, middle, line, _TILE - 60, size, colours.ink, bold=True, least=32, anchor="mm")


def _draw_similarity(canvas: Image.Image, x: int, y: int, match: Match, colours: Palette) -> None:
    """Write a similarity centred at x, y, in a ring unless the match is only the closest.

    An almost empty ring would look like a failure, which the closest of many is not.
    """
    if match.resembles:
        _draw_ring(canvas, x, y, match.similarity, colours)
    figure, is_bold = f"{match.similarity:.0f} %", bool(match.resembles)
    write(
        canvas,
        (x, y + 12),
        figure,
        _RING - 44,
        40,
        colours.ink,
        bold=is_bold,
        least=30,
        anchor="ms",
    )
    write(canvas, (x, y + 36), "similar", _RING - 40, 18, colours.grey, anchor="ms")


def _draw_ring(canvas: Image.Image, x: int, y: int, percent: float, colours: Palette) -> None:
    """Draw a ring centred at x, y, which is closed at 100 %."""
    fine = 4  # drawn larger, because Pillow does not smooth arcs
    ring = Image.new("RGB", (fine * _RING, fine * _RING), colours.paper)
    draw, corners = ImageDraw.Draw(ring), (0, 0, ring.width - 1, ring.height - 1)
    draw.arc(corners, 0, 360, colours.bar, fine * 13)
    draw.arc(corners, -90, -90 + 3.6 * percent, colours.accent, fine * 13)
    canvas.paste(
        ring.resize((_RING, _RING), Image.Resampling.BOX), (x - _RING // 2, y - _RING // 2)
    )


def _draw_examples(
    canvas: Image.Image, examples: Sequence[Example], top: int, colours: Palette
) -> None:
    """Draw the photos and words that one was combined with in a row, each after its sign."""
    x = _MARGIN
    for one in examples[:_EXAMPLES]:
        middle = (x + 4, top + _SMALL // 2 + 12)
        x += 12 + write(canvas, middle, sign(one), 40, 34, colours.ink, bold=True)
        if one.photo is None:
            room, words = _MARGIN + _TILE - x, f"“{one.query}”"
            x += 12 + write(canvas, (x, middle[1]), words, room, 24, colours.ink, least=16)
            continue
        paste(canvas, one.photo, (x, top, x + _SMALL, top + _SMALL))
        x += _SMALL + 6
    if (more := len(examples) - _EXAMPLES) > 0:
        write(
            canvas,
            (x, top + _SMALL // 2 + 6),
            f"and {more} more",
            _MARGIN + _TILE - x,
            18,
            colours.grey,
        )


def _draw_others(canvas: Image.Image, others: Sequence[Match], colours: Palette) -> None:
    """Draw further matches in a row at the bottom, each with its label and its similarity."""
    width = (WIDTH - 2 * _MARGIN) // max(3, len(others))
    top = HEIGHT - _MARGIN - _SMALL
    for place, match in enumerate(others):
        x = _MARGIN + place * width
        paste(canvas, match.path, (x, top, x + _SMALL, top + _SMALL))
        x, room = x + _SMALL + 12, width - _SMALL - 24
        if match.resembles is None:
            write(canvas, (x, top + 50), match.label, room, 22, colours.ink, least=16)
            continue
        write(canvas, (x, top + 38), match.label, room, 22, colours.ink, least=16)
        write(canvas, (x, top + 64), f"{match.similarity:.0f} %", room, 18, colours.grey)
