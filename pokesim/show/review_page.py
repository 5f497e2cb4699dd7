"""A page to review groups of duplicates side by side, and to download what was decided."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

from pokesim.analysis.duplicates import Duplicate
from pokesim.errors import PictureError
from pokesim.gallery import data_url
from pokesim.images import head_of, thumbnail_of
from pokesim.show.drawing.canvas import TILE
from pokesim.show.html_page import save_page
from pokesim.show.reports import groups_text
from pokesim.show.text import plain, readable_path

_SIDE = 360  # of a picture, in pixels; somewhat larger than shown


def save_review(groups: Sequence[Sequence[Duplicate]], path: Path, command: str) -> None:
    """Write the page as one self-contained HTML file.

    Of each group, the first picture stays and the others go, until the person changes that. The
    page downloads what `pokesim.analysis.review.read_review` reads. Missing pictures are blank.

    Args:
        groups: as `find_duplicates` returns them.
        path: the file to write.
        command: the command that takes the downloaded file.

    Raises:
        PokesimError: the file cannot be written.
    """
    sections = [_section(number, group) for number, group in enumerate(groups, 1)]
    paths = [[os.fspath(one.path) for one in group] for group in groups]
    parts = {
        "title": escape(groups_text(groups)),
        "groups": "\n".join(sections),
        "command": escape(plain(command)),
        # So that no name can end the script.
        "paths": json.dumps(paths).replace("<", "\\u003c"),
    }
    save_page(path, "review.html", parts)


def _section(number: int, group: Sequence[Duplicate]) -> str:
    figures = "\n".join(_figure(number, place, one) for place, one in enumerate(group))
    return (
        f'<section aria-labelledby="g{number}"><h2 id="g{number}">Group {number:,}</h2>\n'
        f'<p class="wrong" role="alert" hidden>Keep at least one picture of this group.</p>\n'
        f"<div>{figures}</div></section>"
    )


def _figure(number: int, place: int, one: Duplicate) -> str:
    name, folder = escape(plain(one.path.name)), escape(plain(readable_path(one.path.parent)))
    picture, size = _picture(one.path)
    facts = [size, f"{one.bytes / 1e3:,.0f} kB"]
    if place:
        facts = [one.kind, f"{one.similarity:.0f} % similar", *facts]
    choices = [("keep", "Keep"), ("go", "Goes")] + [("different", "Not the same")] * (place > 0)
    chosen = "go" if place else "keep"
    radios = "".join(
        f'<label><input type="radio" name="p{number}-{place}" value="{value}"'
        f"{' checked' if value == chosen else ''}>{text}</label>"
        for value, text in choices
    )
    return (
        f'<figure data-bytes="{one.bytes}"><img src="{picture}" alt="" loading="lazy">'
        f"<figcaption><b>{name}</b><span>{folder}</span>"
        f"<span>{' · '.join(fact for fact in facts if fact)}</span></figcaption>"
        f'<div role="radiogroup" aria-label="{name}">{radios}</div></figure>'
    )


def _picture(path: Path) -> tuple[str, str]:
    """Return a picture as a data URL, and its size; a missing one is blank."""
    try:
        head = head_of(path)
        return data_url(thumbnail_of(path, _SIDE, _SIDE)), f"{head.width} × {head.height}"
    except PictureError:
        return data_url(Image.new("RGB", (_SIDE, _SIDE), TILE)), "not readable"
