"""`pokesim tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.analysis.labels import Labels
from pokesim.cli.app import progress
from pokesim.cli.options import IndexOption, LabelsOption
from pokesim.embedders.catalog import spec_of
from pokesim.errors import UsageError
from pokesim.index import DEFAULT_INDEX


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
    from pokesim.analysis.tune import reset_index, tune_index
    from pokesim.index import open_store
    from pokesim.show.reports import tuning_text

    if reset == (labelled is not None):
        raise UsageError("Give a folder of labelled pictures, or --reset.")
    if labelled is None:
        reset_index(index)
        print(f"{index} has its plain vectors again.")
        return
    with progress("labelled pictures") as tell:
        tuning = tune_index(labelled, index, dims=dims, labels=labels, force=force, progress=tell)
    manifest = open_store(index).snapshot().manifest
    base_dimension = spec_of(manifest.embedder.name).dimension
    print(tuning_text(tuning, (base_dimension, manifest.dimension)))
