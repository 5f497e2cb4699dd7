"""Commands that measure an index and make it better."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.analysis.labels import Labels
from pokesim.cli.app import note
from pokesim.cli.options import IndexOption, LabelsOption, check_ending
from pokesim.errors import UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.show.reports import Layout
from pokesim.show.text import plain


def evaluate(
    queries: Annotated[
        Path, typer.Argument(metavar="QUERIES", help="Folder of photos named by their labels.")
    ],
    index: IndexOption = DEFAULT_INDEX,
    labels: LabelsOption = Labels.AUTO,
    ks: Annotated[str, typer.Option("-k", help="The k of recall@k, with commas.")] = "1,5,10",
    form: Annotated[
        Layout, typer.Option("--format", help="How the figures are written.")
    ] = Layout.TABLE,
    misses: Annotated[
        Path | None, typer.Option(help="Draw the worst misses to a PNG or JPEG.")
    ] = None,
    compare: Annotated[
        list[str] | None, typer.Option(help="Another index to line up; may be repeated.")
    ] = None,
) -> None:
    """Measure how often the right picture is among the first k.

    Figures are percent with 95 % bootstrap intervals; MRR is the mean reciprocal rank.

    Examples:
        pokesim evaluate photos --index indexes/mine --misses misses.png
        pokesim evaluate photos --labels stem --format json
    """
    import json

    from pokesim.analysis.evaluate import evaluate_index
    from pokesim.show.reports import evaluation_dict, evaluation_table

    if misses:
        check_ending("--misses", misses)
    if not all(part.strip().isdigit() for part in ks.split(",")):
        raise UsageError(f"-k takes numbers with commas, such as 1,5,10, not {ks}.")
    wanted = sorted({int(part) for part in ks.split(",")})
    found = [
        evaluate_index(queries, one, labels=labels, ks=wanted) for one in [index, *(compare or [])]
    ]
    for skipped in found[0].skipped:
        note(plain(f"skipped {skipped.path}: {skipped.reason}"))
    if unknown := found[0].unknown:
        total, some = sum(unknown.values()), ", ".join(sorted(unknown)[:5])
        note(f"Not counted: {total} photos of {len(unknown)} labels not in the index ({some}, …).")
    if form is Layout.JSON:
        print(json.dumps([evaluation_dict(one) for one in found], indent=1))
    else:
        print(evaluation_table(found))
    if misses:
        from pokesim.show.misses_sheet import save_misses

        drawn = save_misses(found[0].ranked, misses)
        note(f"Drew {drawn} misses in {misses}." if drawn else "There are no misses to draw.")
