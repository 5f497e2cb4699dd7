"""Text for a terminal: columns, counts, paths, and names that cannot control the terminal."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

# C0, DEL and C1, also as undecodable bytes of a file name; marks that change the direction of text
# or end a line.
_CONTROLS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\udc80-\udc9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)

_NARROWEST = 12
"""The fewest cells of a terminal that a column is narrowed to."""


class TableFormat(StrEnum):
    """The formats of a report."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def plain(name: str) -> str:
    """Escape control characters and those that reverse the direction of text."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), name)


def plain_lines(text: str) -> str:
    """Escape as `plain` does, except the ends of lines."""
    return "\n".join(map(plain, text.split("\n")))


def json_text(data: Any, **options: Any) -> str:
    """Return JSON in ASCII, without any character that controls a terminal.

    A number that JSON does not know, such as NaN, becomes null. ``options`` are those of
    `json.dumps`.
    """
    try:
        text = json.dumps(data, allow_nan=False, **options)
    except ValueError:
        text = json.dumps(_without_nan(data), **options)
    return text.replace("\x7f", "\\u007f")


def _without_nan(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def counted(number: int, what: str) -> str:
    """Return "1 picture", "1,000 pictures"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def columns(
    rows: Sequence[Sequence[str]],
    right: Sequence[int] = (),
    *,
    shorten: Sequence[int] = (),
    width: int | None = None,
) -> str:
    """Lay out rows in columns, two spaces apart; the first row is the heading.

    Args:
        rows: the cells; all rows have the same length.
        right: the columns to align to the right, such as numbers.
        shorten: the columns that may be cut, with "…", for a line to fit.
        width: the width of a line, in cells of a terminal; None for no limit.
    """
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(_width(row[at]) for row in rows) for at in range(len(rows[0]))]
    if width is not None:
        widths = _narrowed(widths, shorten, width - 2 * (len(widths) - 1))
        rows = [[_cut(cell, most) for cell, most in zip(row, widths, strict=True)] for row in rows]
    lines = []
    for row in rows:
        gaps = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = (gaps[at] + cell if at in right else cell + gaps[at] for at, cell in enumerate(row))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _narrowed(widths: Sequence[int], shorten: Sequence[int], total: int) -> list[int]:
    """Narrow the widest of some columns until all fit in ``total``, or are at their narrowest."""
    narrowed = list(widths)
    while sum(narrowed) > total and shorten:
        widest = max(shorten, key=narrowed.__getitem__)
        if narrowed[widest] <= _NARROWEST:
            break
        narrowed[widest] -= 1
    return narrowed


def _cut(text: str, width: int) -> str:
    """Cut a text to a width on a terminal, with "…" at its end."""
    if _width(text) <= width:
        return text
    if text.isascii():
        return f"{text[: width - 1].rstrip()}…"
    from rich.cells import set_cell_size

    return f"{set_cell_size(text, width - 1).rstrip()}…"


def _width(text: str) -> int:
    """Return the width of a text on a terminal; a Chinese character takes two cells."""
    if text.isascii():  # importing rich takes longer than a search
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def readable_path(path: Path) -> str:
    """Return a path relative to the current folder if it lies below it, otherwise unchanged."""
    try:
        return os.fspath(path.relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)
