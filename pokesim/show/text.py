"""Answers as text on standard output: a table for people, JSON, NDJSON, CSV and paths for programs.

JSON is an array, NDJSON a line a photo, of ``{"query": …, "matches": [{"rank", "label", "path",
"distance", "similarity"}]}``, or ``{"query": …, "error": …}`` for a photo that cannot be read. A
match has "near" too where labels were asked for, and "metadata" where the index has a table.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

_COMMANDS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def plain(name: str) -> str:
    """Show what in a file's name would command a terminal, or turn the line around, as escapes."""
    return _COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode(), name)


def counted(number: int, what: str) -> str:
    """Return "1 picture", "1,000 pictures"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Lay rows out in columns two spaces apart; the first row is the heading.

    Args:
        rows: cells, all rows of one length.
        right: columns whose cells are set to the right, as numbers are.
    """
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(_width(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = []
    for row in rows:
        room = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = (room[at] + cell if at in right else cell + room[at] for at, cell in enumerate(row))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _width(text: str) -> int:
    """Return how many cells of a terminal a text takes; a Chinese character takes two."""
    if text.isascii():  # loading rich takes longer than a search
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def readable_path(path: Path) -> str:
    """Return a path relative to the current folder where it lies below, else whole."""
    try:
        return os.fspath(path.relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)
