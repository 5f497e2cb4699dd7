"""Commands that measure an index and make it better."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli.base import IndexOption, check_ending, note, progress
from pokesim.embedders.catalog import spec_of
from pokesim.errors import UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.labels import Labels
from pokesim.show.text import Layout, plain

LabelsOption = Annotated[
    Labels, typer.Option(help="What names the label; auto: the stem if the index knows it.")
]


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

    from pokesim import evaluate as measure
    from pokesim.show import text

    if misses:
        check_ending("--misses", misses)
    if not all(part.strip().isdigit() for part in ks.split(",")):
        raise UsageError(f"-k takes numbers with commas, such as 1,5,10, not {ks}.")
    wanted = sorted({int(part) for part in ks.split(",")})
    found = [
        measure.evaluate_index(queries, one, labels=labels, ks=wanted)
        for one in [index, *(compare or [])]
    ]
    for skipped in found[0].skipped:
        note(plain(f"skipped {skipped.path}: {skipped.reason}"))
    if unknown := found[0].unknown:
        total, some = sum(unknown.values()), ", ".join(sorted(unknown)[:5])
        note(f"Not counted: {total} photos of {len(unknown)} labels not in the index ({some}, …).")
    if form is Layout.JSON:
        print(json.dumps([text.evaluation_dict(one) for one in found], indent=1))
    else:
        print(text.evaluation_table(found))
    if misses:
        from pokesim.show.misses import save_misses

        drawn = save_misses(found[0].ranked, misses)
        note(f"Drew {drawn} misses in {misses}." if drawn else "There are no misses to draw.")


def tune(
    labelled: Annotated[
        Path | None,
        typer.Argument(metavar="LABELLED", help="Folder of labelled pictures to learn from."),
    ] = None,
    index: IndexOption = DEFAULT_INDEX,
    dims: Annotated[int, typer.Option(min=1, help="Length of the new vectors, at most.")] = 256,
    labels: LabelsOption = Labels.AUTO,
    force: Annotated[
        bool, typer.Option("--force", help="Publish even if it does not help.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Return to the plain vectors instead.")
    ] = False,
) -> None:
    """Learn from labelled pictures which differences matter.

    Give a folder a label, or the same file stem in several folders.

    Examples:
        pokesim tune labelled --index indexes/mine
        pokesim tune labelled --labels folder --dims 128 --force
    """
    from pokesim import tune as learn
    from pokesim.index.store import store_of
    from pokesim.show import text

    if reset == (labelled is not None):
        raise UsageError("Give a folder of labelled pictures, or --reset.")
    if labelled is None:
        learn.reset_index(index)
        print(f"{index} has its plain vectors again.")
        return
    with progress("labelled pictures") as tell:
        tuning = learn.tune_index(
            labelled, index, dims=dims, labels=labels, force=force, progress=tell
        )
    manifest = store_of(index).snapshot().manifest
    plain_dimension = spec_of(manifest.embedder.name).dimension
    print(text.tuning_text(tuning, (plain_dimension, manifest.dimension)))
