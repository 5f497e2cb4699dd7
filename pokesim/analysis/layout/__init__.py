"""Lay an index out in two dimensions, with similar pictures close together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pokesim.analysis.layout.reduce import Method, in_unit_square, resolved
from pokesim.arguments import choice, whole_number
from pokesim.errors import CorruptIndexError
from pokesim.index import DEFAULT_INDEX
from pokesim.index.vectors.flat import spread_ids
from pokesim.metric import within_bounds
from pokesim.search.index import open_index

if TYPE_CHECKING:
    from pokesim.index.metadata.table import Value

__all__ = ["MAX_PICTURES", "Layout", "Method", "PlacedPicture", "layout_pictures"]

MAX_PICTURES = 2000
"""Default maximum number of pictures on a map."""


@dataclass(frozen=True, slots=True)
class PlacedPicture:
    """A picture on the map.

    Attributes:
        path: its file.
        label: its name; see `pokesim.search.matches.QueryOptions`.
        x: from 0 at the left to 1.
        y: from 0 at the top to 1.
        name: the path from the picture folder, with "/" as separator.
        metadata: its row of the index's table, by column.
    """

    path: Path
    label: str
    x: float
    y: float
    name: str
    metadata: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Layout:
    """The pictures of an index, or a part of them, in the unit square.

    Attributes:
        pictures: those that are placed.
        total: how many there are, of which `pictures` may be a part.
    """

    pictures: list[PlacedPicture]
    total: int


def layout_pictures(
    index: str | Path = DEFAULT_INDEX,
    *,
    most: int = MAX_PICTURES,
    method: str = Method.AUTO,
    where: str | None = None,
) -> Layout:
    """Place the pictures of an index in the unit square, similar pictures close together.

    Args:
        index: the index's folder or address.
        most: maximum number of pictures; from a larger index, they are taken at equal steps.
        method: "pca", "tsne" or "auto".
        where: a filter on the metadata; only pictures that pass it are placed. See
            `pokesim.index.metadata.filter_parser`.

    Raises:
        UsageError: ``most`` is below 1, the method is unknown or needs a package that is not
            installed, or the filter is not valid for this index.
        IndexFolderError: the index is missing or damaged.
    """
    most, chosen = whole_number("most", most), choice("method", method, Method)
    with open_index(index) as opened:
        passing = np.arange(len(opened)) if where is None else opened.select(where)
        ids = passing[spread_ids(len(passing), most)]
        reduction = resolved(chosen, len(ids))
        if not len(ids):
            return Layout([], 0)
        vectors = opened.vectors(ids)
        if not within_bounds(vectors):
            raise CorruptIndexError(f"{index} has vectors that are not finite; build it again.")
        xy = in_unit_square(vectors, reduction)
        items = [opened.items[item_id] for item_id in ids.tolist()]
        metadata = opened.metadata
        pictures = [
            PlacedPicture(
                opened.path_of(item),
                opened.label_of(item),
                x,
                y,
                item.path,
                metadata.row(item.id) if metadata else {},
            )
            for item, (x, y) in zip(items, xy.tolist(), strict=True)
        ]
        return Layout(pictures, len(passing))
