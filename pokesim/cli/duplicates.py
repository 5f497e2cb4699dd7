"""`pokesim duplicates`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli.options import FormatOption, IndexOption, WhereOption, all_of, check_picture
from pokesim.cli.output import note, progress, results, say_lines
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import TableFormat, counted


def duplicates(
    index: IndexOption = DEFAULT_INDEX,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            help="Similarity in percent.",
            show_default="82 with general and general_lite2, 87 with compact, else 90",
        ),
    ] = None,
    where: WhereOption = None,
    form: FormatOption = TableFormat.TABLE,
    save: Annotated[Path | None, typer.Option(help="Draw the groups to a PNG or JPEG.")] = None,
) -> None:
    """Find groups of near-identical pictures in an index.

    All pairs are compared. Each picture of a group is at least --threshold similar to another one
    of it; the similarity shown is that to the group's first picture, the largest file.

    Examples:
        pokesim duplicates -i indexes/mine --threshold 95 --save groups.png
        pokesim duplicates --index indexes/mine --format json
        pokesim duplicates --where "Type1=grass"
    """
    from pokesim.analysis.duplicates import find_duplicates
    from pokesim.show.records import group_records
    from pokesim.show.reports import groups_table

    if save:
        check_picture(save)
    with progress("blocks of pairs") as on_progress:
        groups = find_duplicates(
            index, threshold=threshold, where=all_of(where), progress=on_progress
        )
    if form is not TableFormat.TABLE:
        results.write(group_records(groups).text(form))
    elif groups:
        say_lines(groups_table(groups))
    pictures = sum(map(len, groups))
    note(f"{counted(len(groups), 'group')} of {pictures:,} near-identical pictures.")
    if save and groups:
        from pokesim.show.drawing.duplicates_sheet import save_groups

        save_groups(groups, save)
