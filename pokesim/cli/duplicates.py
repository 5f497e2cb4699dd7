"""`pokesim duplicates`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli.options import FormatOption, IndexOption, WhereOption, all_of, check_picture
from pokesim.cli.output import note, progress, results, say_lines
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import TableFormat


class Keep(StrEnum):
    """The choices of `pokesim.analysis.duplicates.Keep`, whose module imports NumPy."""

    LARGEST = "largest"
    OLDEST = "oldest"
    NEWEST = "newest"
    FIRST = "first"
    SHORTEST_PATH = "shortest-path"


def duplicates(
    index: IndexOption = DEFAULT_INDEX,
    similar: Annotated[
        bool, typer.Option("--similar", help="Group similar pictures, not only copies.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            help="Least similarity in percent: to the first of the group, or with --similar to "
            "any of it.",
            show_default="none; with --similar 82 with general and general_lite2, 87 with "
            "compact, else 90",
        ),
    ] = None,
    keep: Annotated[
        Keep, typer.Option(help="Which picture of a group comes first, to be kept.")
    ] = Keep.LARGEST,
    where: WhereOption = None,
    form: FormatOption = TableFormat.TABLE,
    save: Annotated[Path | None, typer.Option(help="Draw the groups to a PNG or JPEG.")] = None,
) -> None:
    """Find pictures that are the same picture.

    A copy has the same bytes as the first picture of its group, or was resized, recompressed, made
    grey, mirrored, turned by quarter turns, or cropped a little. The picture files are read.

    Examples:
        pokesim duplicates -i indexes/mine --save groups.png
        pokesim duplicates --index indexes/mine --keep oldest --format json
        pokesim duplicates --similar --threshold 95 --where "Type1=grass"
    """
    from pokesim.analysis.duplicates import Keep as Order
    from pokesim.analysis.duplicates import find_duplicates
    from pokesim.show.records import group_records
    from pokesim.show.reports import groups_table, groups_text

    if save:
        check_picture(save)
    with progress("steps") as on_progress:
        groups = find_duplicates(
            index,
            threshold=threshold,
            similar=similar,
            keep=Order(keep),
            where=all_of(where),
            progress=on_progress,
        )
    if form is not TableFormat.TABLE:
        results.write(group_records(groups).text(form))
    elif groups:
        say_lines(groups_table(groups))
    note(f"{groups_text(groups)}.")
    if save and groups:
        from pokesim.show.drawing.duplicates_sheet import save_groups

        save_groups(groups, save)
