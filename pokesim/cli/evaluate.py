"""`pokesim evaluate`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pokesim.analysis.labels import Labels
from pokesim.cli.options import (
    FormatOption,
    IndexOption,
    TruthOption,
    WhereOption,
    all_of,
    check_picture,
)
from pokesim.cli.output import note, results, say_lines
from pokesim.errors import UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import TableFormat, counted

if TYPE_CHECKING:
    from pokesim.analysis.evaluate import Evaluation


def evaluate(
    queries: Annotated[
        Path, typer.Argument(metavar="QUERIES", help="Folder of photos named by their labels.")
    ],
    index: IndexOption = DEFAULT_INDEX,
    truth: TruthOption = Labels.AUTO,
    ks: Annotated[str, typer.Option("-k", help="The k of recall@k, with commas.")] = "1,5,10",
    where: WhereOption = None,
    form: FormatOption = TableFormat.TABLE,
    save: Annotated[
        Path | None,
        typer.Option("--save", "--misses", help="Draw the worst misses to a PNG or JPEG."),
    ] = None,
    compare: Annotated[
        list[str] | None, typer.Option(help="Another index to compare with; may be repeated.")
    ] = None,
) -> None:
    """Measure how often the right picture is among the first k.

    Figures are percent with 95 % bootstrap intervals; MRR is the mean reciprocal rank.

    Examples:
        pokesim evaluate photos -i indexes/mine --save misses.png
        pokesim evaluate photos --truth stem --format json
        pokesim evaluate photos -k 1,5 --compare indexes/mine
        pokesim evaluate photos --where "Type1=grass"
    """
    from pokesim.analysis.evaluate import evaluate_index
    from pokesim.show.records import evaluation_records
    from pokesim.show.reports import evaluation_table

    if save:
        check_picture(save)
    cutoffs = _cutoffs(ks)
    found = [
        evaluate_index(queries, one, labels=truth, ks=cutoffs, where=all_of(where))
        for one in [index, *(compare or [])]
    ]
    _note_uncounted(found[0])
    if form is TableFormat.TABLE:
        say_lines(evaluation_table(found))
    else:
        results.write(evaluation_records(found).text(form))
    if save:
        from pokesim.show.drawing.misses_sheet import save_misses

        drawn = save_misses(found[0].ranked, save)
        note(f"Drew {drawn} misses in {save}." if drawn else "There are no misses to draw.")


def _cutoffs(ks: str) -> list[int]:
    """Return the numbers in a text such as "1,5,10", ascending."""
    if not re.fullmatch(r" *\d{1,9} *(, *\d{1,9} *)*", ks, re.ASCII):
        raise UsageError(f"-k takes numbers with commas, such as 1,5,10, not {ks}.")
    return sorted({int(part) for part in ks.split(",")})


def _note_uncounted(evaluation: Evaluation) -> None:
    for skipped in evaluation.skipped:
        note(f"skipped {skipped.path}: {skipped.reason}")
    if unknown := evaluation.unknown:
        photos, labels = counted(sum(unknown.values()), "photo"), counted(len(unknown), "label")
        some = ", ".join(sorted(unknown)[:5]) + (", …" if len(unknown) > 5 else "")
        note(f"Not counted: {photos} of {labels} not in the index ({some}).")
