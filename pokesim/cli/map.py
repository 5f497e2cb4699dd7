"""`pokesim map`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli.options import IndexOption, WhereOption, all_of, check_writable
from pokesim.cli.output import note, progress
from pokesim.errors import UsageError
from pokesim.index import DEFAULT_INDEX


class Method(StrEnum):
    """The choices of `pokesim.analysis.layout.Method`, whose module imports NumPy."""

    AUTO = "auto"
    PCA = "pca"
    TSNE = "tsne"


def map_pictures(
    out: Annotated[Path | None, typer.Argument(metavar="OUT", hidden=True)] = None,  # the old way
    save: Annotated[
        Path | None, typer.Option(help="The .html, .png or .jpg file to write.")
    ] = None,
    index: IndexOption = DEFAULT_INDEX,
    most: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of pictures.", show_default="2000")
    ] = None,
    method: Annotated[
        Method, typer.Option(help="auto is tsne if openTSNE (pokesim[map]) is installed, else pca.")
    ] = Method.AUTO,
    where: WhereOption = None,
) -> None:
    """Draw a map of an index, similar pictures together.

    An HTML map is one page to pan, zoom and search in a browser. It leads to the pictures by
    relative paths, so it can be moved together with them.

    Examples:
        pokesim map --save map.html --index indexes/mine
        pokesim map --save map.png --most 500 --method pca
        pokesim map --save grass.jpg --where "Type1=grass"
    """
    from pokesim.analysis.layout import MAX_PICTURES
    from pokesim.show.map import map_index, shown_of

    if save and out:
        raise UsageError(f"Give either --save {save} or {out}.")
    path = save or out
    if not path:
        raise UsageError("Give --save FILE, such as --save map.html.")
    check_writable(path)
    with progress("pictures drawn") as show:
        layout = map_index(
            index,
            path,
            most=most or MAX_PICTURES,
            method=method,
            where=all_of(where),
            progress=show,
        )
    note(f"Drew {shown_of(layout)} in {path}.")
