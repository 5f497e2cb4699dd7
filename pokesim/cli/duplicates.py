"""`pokesim duplicates`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pokesim.analysis import Keep
from pokesim.cli.options import (
    FormatOption,
    IndexOption,
    WhereOption,
    all_of,
    check_page,
    check_picture,
)
from pokesim.cli.output import note, progress, results, say_lines
from pokesim.errors import UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import TableFormat, counted

if TYPE_CHECKING:
    from pokesim.analysis.duplicates import Duplicate
    from pokesim.analysis.extras import Moves
    from pokesim.analysis.review import Review


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
            show_default="none; with --similar 83 with general, 86 with general_lite2, 87 with "
            "compact, else 90",
        ),
    ] = None,
    keep: Annotated[
        Keep, typer.Option(help="Which picture of a group comes first, to be kept.")
    ] = Keep.LARGEST,
    where: WhereOption = None,
    form: FormatOption = TableFormat.TABLE,
    save: Annotated[Path | None, typer.Option(help="Draw the groups to a PNG or JPEG.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page to review the groups and choose what goes.")
    ] = None,
    review: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take what was chosen on that page, as downloaded."),
    ] = None,
    list_extra: Annotated[
        bool,
        typer.Option("--list-extra", help="Print only the paths of what is not kept, one a line."),
    ] = False,
    move_to: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Move what is not kept there, and remove it from the index."
        ),
    ] = None,
    trash: Annotated[
        bool, typer.Option("--trash", help="Move it to the system's trash instead.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Move the pictures, not only say which.")
    ] = False,
    undo: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Move back what the undo-….json of a folder names."),
    ] = None,
) -> None:
    """Find pictures that are the same picture.

    A copy has the same bytes as the first picture of its group, or was resized, recompressed, made
    grey, mirrored, turned by any angle, or cropped a little. The picture files are read.

    --move-to and --trash say what they would move; add --yes to move it. A picture that has changed
    since it was indexed stays. Nothing is deleted. On the page of --html, pictures can also be
    marked as not the same: --review remembers that in the index.

    Examples:
        pokesim duplicates -i indexes/mine --save groups.png
        pokesim duplicates --index indexes/mine --keep oldest --format json
        pokesim duplicates --similar --threshold 95 --where "Type1=grass"
        pokesim duplicates --keep shortest-path --list-extra
        pokesim duplicates --where "HP > 80" --trash
        pokesim duplicates --html review.html
        pokesim duplicates --review review.json --move-to ~/extra --yes
        pokesim duplicates --move-to ~/extra --yes
        pokesim duplicates --undo ~/extra/undo-20261126T101500.json
    """
    if undo:
        _undo(undo)
        return
    _check_actions(list_extra, move_to, trash, yes, form)
    if similar and (move_to or trash) and not review:
        raise UsageError(
            "--move-to and --trash move copies only; of --similar pictures, what a --review says."
        )
    from pokesim.analysis.duplicates import find_duplicates
    from pokesim.analysis.review import read_review
    from pokesim.show.records import group_records
    from pokesim.show.reports import groups_table, groups_text

    if save:
        check_picture(save)
    if html:
        check_page(html)
    decided = read_review(review) if review else None
    groups: Sequence[Sequence[Duplicate]]
    with progress("steps") as on_progress:
        groups = find_duplicates(
            index,
            threshold=threshold,
            similar=similar,
            keep=keep,
            where=all_of(where),
            progress=on_progress,
        )
    note(f"{groups_text(groups)}.")
    if decided:
        groups = _decided(groups, decided, index)
    if list_extra:
        results.write("".join(f"{one.path}\n" for group in groups for one in group[1:]))
    elif move_to or trash:
        _move(groups, index, move_to, yes)
    elif form is not TableFormat.TABLE:
        results.write(group_records(groups).text(form))
    elif groups:
        say_lines(groups_table(groups))
    if save and groups:
        from pokesim.show.drawing.duplicates_sheet import save_groups

        save_groups(groups, save)
    if html:
        from pokesim.show.review_page import save_review

        options = " --similar" if similar else ""
        save_review(
            groups,
            html,
            f"pokesim duplicates -i {shlex.quote(index)}{options} "
            "--review review.json --move-to FOLDER --yes",
        )


def _check_actions(
    list_extra: bool,
    move_to: Path | None,
    trash: bool,
    yes: bool,
    form: TableFormat,
) -> None:
    """Raise UsageError unless at most one thing is to be done with the groups."""
    actions = {"--list-extra": list_extra, "--move-to": move_to is not None, "--trash": trash}
    given = [name for name, is_given in actions.items() if is_given]
    if form is not TableFormat.TABLE:
        given.append("--format")
    if len(given) > 1:
        raise UsageError(f"Give {given[0]} or {given[1]}, not both.")
    if yes and not (move_to or trash):
        raise UsageError("--yes needs --move-to FOLDER or --trash.")


def _decided(
    groups: Sequence[Sequence[Duplicate]], review: Review, index: str
) -> Sequence[Sequence[Duplicate]]:
    """Remember what a review says is not the same, and return what goes, after what stays."""
    from pokesim.analysis.different import remember_different

    chosen = review.chosen(groups)
    if pairs := review.different_pairs(groups):
        remember_different(index, pairs)
        note(f"{index} remembers {counted(len(pairs), 'pair')} of pictures that are not the same.")
    return chosen


def _move(
    groups: Sequence[Sequence[Duplicate]], index: str, folder: Path | None, yes: bool
) -> None:
    from pokesim.analysis.extras import move_extras

    moves = move_extras(groups, index, folder=folder, dry_run=not yes)
    _report(moves)
    where = "the trash" if folder is None else str(folder)
    pictures = counted(len(moves.moved), "picture")
    if not yes:
        note(f"{pictures} would go to {where}; add --yes to move them.")
    else:
        note(f"Moved {pictures} to {where}, out of the index {index}.")
    if moves.undo:
        note(f"To undo this: pokesim duplicates --undo {shlex.quote(str(moves.undo))}")


def _undo(file: Path) -> None:
    from pokesim.analysis.extras import undo_moves

    moves = undo_moves(file)
    _report(moves)
    note(f"Moved {counted(len(moves.moved), 'picture')} back, also into the index.")


def _report(moves: Moves) -> None:
    """Say what was moved, and what was not; that something was not is no error."""
    from pokesim.show.reports import moves_text

    if moves.moved:
        say_lines(moves_text(moves))
    for path, reason in moves.skipped:
        note(f"not moved: {path}: {reason}")
