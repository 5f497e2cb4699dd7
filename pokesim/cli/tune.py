"""`pokesim tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.analysis.labels import Labels
from pokesim.cli.options import IndexOption, TruthOption
from pokesim.cli.output import progress, say, say_lines
from pokesim.errors import UsageError
from pokesim.index import DEFAULT_INDEX


def tune(
    labelled: Annotated[
        Path | None,
        typer.Argument(metavar="LABELLED", help="Folder of labelled pictures to learn from."),
    ] = None,
    index: IndexOption = DEFAULT_INDEX,
    dims: Annotated[int, typer.Option(min=1, help="Maximum length of the new vectors.")] = 256,
    truth: TruthOption = Labels.AUTO,
    force: Annotated[
        bool, typer.Option("--force", help="Use the metric even if it does not help.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Return to the base vectors instead.")
    ] = False,
) -> None:
    """Learn from labelled pictures which differences matter.

    Give a folder with a subfolder for each label, or with the same file stems in several folders.

    Examples:
        pokesim tune labelled --index indexes/mine
        pokesim tune --reset
        pokesim tune labelled --truth folder --dims 128 --force
    """
    from pokesim.analysis.tune import reset_index, tune_index
    from pokesim.embedders.embedder import spec_for
    from pokesim.index import open_store
    from pokesim.show.reports import tuning_text

    if reset == (labelled is not None):
        raise UsageError("Give either a folder of labelled pictures or --reset.")
    if labelled is None:
        reset_index(index)
        say(f"{index} has its base vectors again.")
        return
    with progress("labelled pictures") as on_progress:
        tuning = tune_index(
            labelled, index, dims=dims, labels=truth, force=force, progress=on_progress
        )
    manifest = open_store(index).snapshot().manifest
    base_dimension = spec_for(manifest.embedder).dimension
    say_lines(tuning_text(tuning, (base_dimension, manifest.dimension)))
