"""`pokesim map`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli.app import note
from pokesim.cli.options import PAGE_ENDINGS, IndexOption, check_ending
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import counted


def map_pictures(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="An .html, .png or .jpg file.")],
    index: IndexOption = DEFAULT_INDEX,
    most: Annotated[
        int | None, typer.Option(min=1, help="Pictures on it at most.", show_default="2000")
    ] = None,
    method: Annotated[
        str, typer.Option(help="pca, tsne (needs pokesim[map]), or auto: the best at hand.")
    ] = "auto",
) -> None:
    """Draw a map of a collection, alike pictures together.

    The page is one file with the thumbnails in it, to move, zoom and search in the browser.

    Examples:
        pokesim map map.html --index indexes/mine
        pokesim map map.png --most 500
    """
    from pokesim.analysis.layout import MAX_PICTURES, layout_pictures
    from pokesim.show.map import save_map

    if out.suffix.lower() not in PAGE_ENDINGS:
        check_ending("OUT", out)
    placed = layout_pictures(index, most=most or MAX_PICTURES, method=method)
    pictures = counted(len(placed), "picture")
    save_map(placed, out, f"{pictures} of {index}")
    note(f"Drew {pictures} in {out}.")
