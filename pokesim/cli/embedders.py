"""`pokesim embedders`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli import completion
from pokesim.cli.options import FormatOption
from pokesim.cli.output import note, progress, results, say, say_lines
from pokesim.errors import UsageError
from pokesim.show.text import TableFormat


def embedders(
    prepare: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Export, fetch or copy this one into the cache now.",
            autocompletion=completion.embedders,
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Local weights file (.h5), with --prepare.")
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Measure those that are ready on pictures in subfolders."
        ),
    ] = None,
    form: FormatOption = TableFormat.TABLE,
) -> None:
    """List the networks that turn pictures into vectors.

    With --compare, each picture of a folder is looked for among the others by each network that
    is ready; a picture from the same subfolder is right. R@1 is the share of right answers.

    Examples:
        pokesim embedders --compare labelled
        pokesim embedders --format json
        pokesim embedders --prepare mobilenet_v2 --weights mobilenet_v2.weights.h5
    """
    from pokesim.embedders.inventory import inventory
    from pokesim.embedders.prepare import prepare_model
    from pokesim.show.records import embedder_records
    from pokesim.show.reports import embedder_table

    if weights and not prepare:
        raise UsageError("--weights needs --prepare NAME.")
    if prepare:
        model = prepare_model(prepare, weights)
        say(f"{model.name} is ready: {model.path}")
    elif compare:
        _compare(compare, form)
    elif form is TableFormat.TABLE:
        say_lines(embedder_table(inventory()))
    else:
        results.write(embedder_records(inventory()).text(form))


def _compare(folder: Path, form: TableFormat) -> None:
    from pokesim.analysis.compare import compare_embedders
    from pokesim.show.records import comparison_records
    from pokesim.show.reports import comparison_note, comparison_table

    with progress("networks") as on_progress:
        found = compare_embedders(folder, progress=on_progress)
    if form is TableFormat.TABLE:
        say_lines(comparison_table(found))
    else:
        results.write(comparison_records(found).text(form))
    note(comparison_note(found))
