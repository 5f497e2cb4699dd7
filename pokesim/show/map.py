"""Map of a collection: thumbnails laid out in 2-D, as a zoomable page or as a picture."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pokesim.analysis.layout import PlacedPicture
from pokesim.errors import PictureError
from pokesim.gallery import data_url
from pokesim.images import thumbnail_of
from pokesim.show.drawing.canvas import PAPER, TILE, paste, save_picture
from pokesim.show.html_page import save_page
from pokesim.show.text import plain

_SIDE = 2000  # of the map as a picture, in pixels

_MARGIN = 60

_SMALLEST, _LARGEST = 28, 180  # sides of a thumbnail in a picture

_THUMBNAIL = 112  # side of a thumbnail in a page


def save_map(placed: Sequence[PlacedPicture], path: Path, title: str) -> None:
    """Write a map as one self-contained HTML file, or as PNG or JPEG, by its ending.

    Missing pictures are left blank.

    Raises:
        PokesimError: the file cannot be written.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        save_picture(_drawn(placed), path)
        return
    pictures = [
        {
            "label": plain(one.label),
            "path": plain(str(one.path)),
            "x": round(one.x, 5),
            "y": round(one.y, 5),
            "src": _thumbnail(one.path),
        }
        for one in placed
    ]
    data = json.dumps(pictures).replace("<", "\\u003c")  # so that no name can end the script
    save_page(path, "map.html", {"title": html.escape(plain(title)), "pictures": data})


def _drawn(placed: Sequence[PlacedPicture]) -> Image.Image:
    canvas = Image.new("RGB", (_SIDE, _SIDE), PAPER)
    side = round(min(_LARGEST, max(_SMALLEST, 0.55 * _SIDE / math.sqrt(len(placed) or 1))))
    room = _SIDE - 2 * _MARGIN - side
    for one in placed:
        x, y = _MARGIN + round(one.x * room), _MARGIN + round(one.y * room)
        paste(canvas, one.path, (x, y, x + side, y + side))
    return canvas


def _thumbnail(path: Path) -> str:
    """Return a picture as a data URL; a missing one is blank."""
    try:
        return data_url(thumbnail_of(path, _THUMBNAIL, _THUMBNAIL))
    except PictureError:
        return data_url(Image.new("RGB", (_THUMBNAIL, _THUMBNAIL), TILE))
