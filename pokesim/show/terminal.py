"""Draw pictures in a terminal: as pictures where it can show them, else in half blocks.

A half block is a character that shows two pixels, one above the other, in 24-bit colour.
"""

from __future__ import annotations

import base64
import io
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence

from PIL import Image
from rich.cells import set_cell_size
from rich.console import Console

from pokesim.errors import PictureError
from pokesim.images import PictureSource, thumbnail_of
from pokesim.search.matches import Match
from pokesim.show.text import plain

_GAP = 2  # cells between pictures

_WIDEST, _NARROWEST = 40, 24  # cells

_MOST = 80  # cells to a picture of a row: xterm shows none that is wider than 1,000 pixels

_FINE = 12  # pixels to a cell's width, where the terminal shows pictures

_CHUNK = 4096  # characters of a message of kitty's protocol

# In sixels: a colour, as percentages of red, green and blue; the start, with the picture's size.
_COLOUR, _SIZE = re.compile(r"#\d+;2;\d+;\d+;\d+"), re.compile(r"\x1bP[\d;]*q\"[\d;]*")

_RESET = "\x1b[0m"


def preview(photo: PictureSource | None, matches: Sequence[Match], size: os.terminal_size) -> str:
    """Draw a photo and all its matches, in rows with captions below.

    Args:
        photo: the photo; None if a word was searched with.
        matches: its matches.
        size: columns and lines of the terminal; a row of pictures is no larger.
    """
    pictures: list[tuple[PictureSource, str]] = [(match.path, _caption(match)) for match in matches]
    if photo is not None:
        pictures.insert(0, (photo, "your photo"))
    paint = _painter()
    columns = min(size.columns, _MOST) if paint else size.columns
    fit = max(2, min(len(pictures), (columns + _GAP) // (_NARROWEST + _GAP)))
    side = min(_WIDEST, (columns + _GAP) // fit - _GAP, 2 * max(4, size.lines - 3))
    side -= side % 2  # half as many lines
    drawn = []
    for start in range(0, len(pictures), fit):
        row = pictures[start : start + fit]
        sheet = _sheet([source for source, _ in row], side, _FINE if paint else 1)
        drawn.append(paint(sheet, side // 2) if paint else _half_blocks(sheet))
        captions = (set_cell_size(plain(caption), side) for _, caption in row)
        drawn.append((" " * _GAP).join(captions))
    return "\n".join(drawn)


def _caption(match: Match) -> str:
    if match.resembles is None:
        return f"{match.rank}. {match.label}"
    return f"{match.label} {match.similarity:.0f} %"


def _painter() -> Callable[[Image.Image, int], str] | None:
    """Return what draws a picture on some lines of this terminal, if it shows pictures.

    When the library is imported, it asks the terminal at standard input and output.
    """
    terminals = (sys.__stdin__, sys.__stdout__)
    if not all(stream and stream.isatty() for stream in terminals):
        return None
    logging.getLogger("textual_image").setLevel(logging.CRITICAL)
    try:
        from textual_image import renderable
    except (OSError, ValueError):  # the terminal has gone, or answers with no text
        return None
    kinds = {renderable.SixelImage: _sixels, renderable.TGPImage: _kitty}
    return kinds.get(renderable.Image)


def _sheet(sources: Sequence[PictureSource], side: int, scale: int) -> Image.Image:
    """Return pictures side by side on white, ``side`` cells of ``scale`` pixels to each."""
    cells = len(sources) * (side + _GAP) - _GAP
    sheet = Image.new("RGB", (cells * scale, side * scale), "white")
    for number, source in enumerate(sources):
        try:
            picture = thumbnail_of(source, side * scale, side * scale)
        except PictureError:  # moved or deleted since it was indexed; the caption still holds
            continue
        left = number * (side + _GAP) * scale
        corner = ((side * scale - picture.width) // 2, (side * scale - picture.height) // 2)
        sheet.paste(picture, (left + corner[0], corner[1]))
    return sheet


def _sixels(sheet: Image.Image, lines: int) -> str:
    from textual_image.renderable import SixelImage

    cells, text = sheet.width // _FINE, io.StringIO()
    console = Console(file=text, force_terminal=True, color_system="truecolor", width=cells + 1)
    console.print(SixelImage(sheet, width=cells, height=lines), end="")
    # Colours are defined where they are first used. xterm wants them first: a later one may change
    # what has been drawn.
    drawn = text.getvalue()
    colours = "".join(_COLOUR.findall(drawn))
    drawn = _COLOUR.sub(lambda found: found[0].split(";")[0], drawn)
    drawn = _SIZE.sub(lambda found: found[0] + colours, drawn, count=1)
    return f"{drawn}\x1b[A"  # up to the last line of the picture


def _kitty(sheet: Image.Image, lines: int) -> str:
    """Return a picture in kitty's graphics protocol; see its documentation.

    The library draws placeholders instead, which older terminals show as boxes.
    """
    png = io.BytesIO()
    sheet.save(png, "PNG")
    data = base64.b64encode(png.getvalue()).decode("ascii")
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    cells = sheet.width // _FINE
    controls = [f"a=T,f=100,q=2,c={cells},r={lines},m=1", *["m=1"] * (len(chunks) - 1)]
    controls[-1] = controls[-1].replace("m=1", "m=0")
    return "".join(
        f"\x1b_G{control};{chunk}\x1b\\" for control, chunk in zip(controls, chunks, strict=True)
    )


def _half_blocks(sheet: Image.Image) -> str:
    return "\n".join(
        "".join(_cell(sheet, x, y) for x in range(sheet.width)) + _RESET
        for y in range(0, sheet.height, 2)
    )


def _cell(sheet: Image.Image, x: int, y: int) -> str:
    upper = ";".join(map(str, sheet.getpixel((x, y))))  # type: ignore[arg-type]
    lower = ";".join(map(str, sheet.getpixel((x, y + 1))))  # type: ignore[arg-type]
    return f"\x1b[38;2;{upper}m\x1b[48;2;{lower}m▀"
