"""Map of a collection: thumbnails on a grid, as a page to explore or as a picture."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from pokesim.analysis.layout import (
    MAX_PICTURES,
    Layout,
    Method,
    PlacedPicture,
    layout_pictures,
)
from pokesim.analysis.layout.grid import Grid, on_grid
from pokesim.analysis.layout.names import cluster_names, telling_tags, without_number
from pokesim.arguments import file_path
from pokesim.errors import UsageError
from pokesim.gallery import data_url
from pokesim.index import DEFAULT_INDEX
from pokesim.progress import Progress
from pokesim.show.drawing.canvas import (
    GREY,
    INK,
    PAPER,
    TILE,
    Box,
    paste,
    rounded,
    save_picture,
    tile,
)
from pokesim.show.drawing.typeset import write
from pokesim.show.html_page import save_page
from pokesim.show.text import counted, plain
from pokesim.threads import read_ahead, usable_cores

_SIDE = 2000  # of the map as a picture, in pixels

_MARGIN = 40

_HEAD = 50  # height of the title of the map as a picture

_LARGEST = 180  # side of a thumbnail in a picture

_THUMBNAIL = 112  # side of a thumbnail in a page

_ASPECTS = (1.75, 1.0, 0.55)  # of the grids of a page, for a wide window, a square and a tall one

_NAMES = 40  # on a picture


def map_index(
    index: str | Path = DEFAULT_INDEX,
    path: str | Path = "map.html",
    *,
    most: int = MAX_PICTURES,
    method: str = Method.AUTO,
    where: str | None = None,
    progress: Progress | None = None,
) -> Layout:
    """Draw a map of an index, similar pictures together, as one HTML file, or as PNG or JPEG.

    The page holds thumbnails, and leads to the pictures by paths relative to itself, so it can be
    moved together with them. Missing pictures are left blank.

    Args:
        index: the index's folder or address.
        path: the file to write; its ending decides the format.
        most: maximum number of pictures; from a larger index, they are taken at equal steps.
        method: "pca", "tsne" (an extra), or "auto".
        where: a filter on the metadata; only pictures that pass it are drawn.
        progress: called with (pictures drawn, pictures in all).

    Returns:
        where the pictures are, before they are put on a grid.

    Raises:
        UsageError: the file has another ending, ``most`` is below 1, the method is unknown or needs
            a package that is not installed, or the filter is not valid for this index.
        IndexFolderError: the index is missing or damaged.
        PokesimError: the file cannot be written.
    """
    path = file_path("The map", path)
    ending = path.suffix.lower()
    if ending not in _WRITERS:
        raise UsageError(
            f"A map is HTML, PNG or JPEG; name a file *.html, *.png or *.jpg, not {path}."
        )
    layout = layout_pictures(index, most=most, method=method, where=where)
    title = f"{shown_of(layout)} of {PurePath(index).name}"
    _WRITERS[ending](layout, path, plain(title), progress or (lambda done, total: None))
    return layout


def shown_of(layout: Layout) -> str:
    """Return "151 pictures", or "2,000 of 4,324 pictures" if they are a part."""
    part = "" if len(layout.pictures) == layout.total else f"{len(layout.pictures):,} of "
    return f"{part}{counted(layout.total, 'picture')}"


def _save_page(layout: Layout, path: Path, title: str, progress: Progress) -> None:
    pictures = layout.pictures
    grids = [_grid(layout, aspect) for aspect in _ASPECTS]
    tags = _tags(pictures, grids[0])
    columns = list(pictures[0].metadata) if pictures else []
    described = []
    for one in read_ahead(partial(_described, path), pictures, ahead=4 * usable_cores()):
        described.append(one)
        progress(len(described), len(pictures))
    data = {
        "columns": [plain(column) for column in columns],
        "pictures": described,
        "grids": [
            {
                "columns": grid.columns,
                "rows": grid.rows,
                "cells": grid.cells.tolist(),
                "names": [
                    [plain(name.text), round(name.x, 2), round(name.y, 2), name.size]
                    for name in (cluster_names(tags, grid) if tags else [])
                ],
            }
            for grid in grids
        ],
    }
    text = json.dumps(data).replace("<", "\\u003c")  # so that no name can end the script
    save_page(path, "map.html", {"title": escape(title), "data": text})


def _described(page: Path, one: PlacedPicture) -> dict[str, Any]:
    """Return what the page knows of a picture."""
    return {
        "label": plain(one.label),
        "name": plain(one.name if not PurePosixPath(one.name).is_absolute() else one.path.name),
        "link": _link(page, one.path),
        "image": data_url(tile(one.path, _THUMBNAIL, _THUMBNAIL, is_clear=True)),
        "values": ["" if cell is None else plain(str(cell)) for cell in one.metadata.values()],
    }


def _link(page: Path, picture: Path) -> str:
    """Return the address of a picture relative to the page."""
    here, there = page.parent.resolve(), picture.parent.resolve() / picture.name
    try:
        relative = os.path.relpath(there, here)
    except ValueError:  # on another drive of Windows, which no relative path leads to
        return there.as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))


def _grid(layout: Layout, aspect: float) -> Grid:
    points = [(one.x, one.y) for one in layout.pictures]
    return on_grid(np.array(points, np.float64).reshape(-1, 2), aspect)


def _tags(pictures: Sequence[PlacedPicture], grid: Grid) -> Sequence[str] | None:
    """Return what names the clusters: the folders, the labels or a column of text."""
    sources = {
        "folder": [PurePosixPath(one.name).parent.name for one in pictures],
        "label": [without_number(one.label) for one in pictures],
    }
    for column in pictures[0].metadata if pictures else ():
        cells = [one.metadata[column] for one in pictures]
        if all(cell is None or isinstance(cell, str) for cell in cells):
            sources[f"column {column}"] = [str(cell or "") for cell in cells]
    return telling_tags(sources, grid)


def _save_picture(layout: Layout, path: Path, title: str, progress: Progress) -> None:
    canvas = Image.new("RGB", (_SIDE, _SIDE), PAPER)
    write(canvas, (_MARGIN, _MARGIN + 26), title, _SIDE - 2 * _MARGIN, 30, GREY)
    grid = _grid(layout, 1.0)
    room, top = _SIDE - 2 * _MARGIN, _MARGIN + _HEAD
    across, down = room / grid.columns, (room - _HEAD) / max(1, grid.rows)
    side = round(min(_LARGEST, 0.94 * across, 0.94 * down))
    for done, (one, (column, row)) in enumerate(
        zip(layout.pictures, grid.cells.tolist(), strict=True), 1
    ):
        x = round(_MARGIN + (column + 0.5) * across - side / 2)
        y = round(top + (row + 0.5) * down - side / 2)
        paste(canvas, one.path, (x, y, x + side, y + side))
        progress(done, len(layout.pictures))
    tags = _tags(layout.pictures, grid)
    taken: list[Box] = []
    for name in cluster_names(tags, grid)[:_NAMES] if tags else []:
        x, y = _MARGIN + (name.x + 0.5) * across, top + (name.y + 0.5) * down
        _draw_name(canvas, name.text, round(x), round(y), taken)
    save_picture(canvas, path)


def _draw_name(canvas: Image.Image, text: str, x: int, y: int, taken: list[Box]) -> None:
    """Draw the name of a cluster around x, y, unless a name is there already; add its box."""
    label = Image.new("RGB", (400, 44), TILE)
    width = 28 + write(label, (14, 31), text, label.width - 28, 26, INK, bold=True)
    label = label.crop((0, 0, width, label.height))
    left = min(max(x - width // 2, _MARGIN), _SIDE - _MARGIN - width)
    box = (left, y - label.height // 2, left + width, y + label.height // 2)
    if any(
        box[0] < one[2] and one[0] < box[2] and box[1] < one[3] and one[1] < box[3] for one in taken
    ):
        return
    canvas.paste(label, box[:2], rounded(*label.size, radius=14))
    taken.append(box)


_WRITERS = {
    ".html": _save_page,
    ".htm": _save_page,
    ".png": _save_picture,
    ".jpg": _save_picture,
    ".jpeg": _save_picture,
}
