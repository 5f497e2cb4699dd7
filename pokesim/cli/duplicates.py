"""`pokesim duplicates`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli.app import note, progress
from pokesim.cli.options import IndexOption, check_ending
from pokesim.index import DEFAULT_INDEX
from pokesim.show.reports import Layout
from pokesim.show.text import counted


def duplicates(
    index: IndexOption = DEFAULT_INDEX,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=100, help="Similarity in percent.", show_default="80 with compact, else 90"
        ),
    ] = None,
    form: Annotated[
        Layout, typer.Option("--format", help="How the groups are written.")
    ] = Layout.TABLE,
    save: Annotated[Path | None, typer.Option(help="Draw the groups to a PNG or JPEG.")] = None,
) -> None:
    """Find groups of near-identical pictures in an index.

    Every pair is compared; a group's pictures are each at least so similar to another of it.
    Similarities are to the group's first picture, the largest file.

    Examples:
        pokesim duplicates --index indexes/mine --threshold 95 --save groups.png
    """
    import json

    from pokesim.analysis.duplicates import find_duplicates
    from pokesim.show.reports import groups_list, groups_table

    if save:
        check_ending("--save", save)
    with progress("blocks of pairs") as tell:
        groups = find_duplicates(index, threshold=threshold, progress=tell)
    if form is Layout.JSON:
        print(json.dumps(groups_list(groups), indent=1))
    elif groups:
        print(groups_table(groups))
    pictures = sum(map(len, groups))
    note(f"{counted(len(groups), 'group')} of {pictures:,} near-identical pictures.")
    if save and groups:
        from pokesim.show.duplicates_sheet import save_groups

        save_groups(groups, save)
