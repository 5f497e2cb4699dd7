"""`pokesim embedders`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli import completion
from pokesim.errors import UsageError


def embedders(
    prepare: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Make this one's model ready now.",
            autocompletion=completion.embedders,
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="With --prepare: a local weights file (.h5).")
    ] = None,
) -> None:
    """List the networks that turn pictures into vectors.

    Examples:
        pokesim embedders --prepare mobilenet_v2 --weights mobilenet_v2.weights.h5
    """
    from pokesim.embedders.inventory import inventory
    from pokesim.embedders.prepare import prepare_model
    from pokesim.show.reports import embedder_table

    if weights and not prepare:
        raise UsageError("--weights goes with --prepare NAME.")
    if prepare:
        model = prepare_model(prepare, weights)
        print(f"{model.name} is ready: {model.path}")
    else:
        print(embedder_table(inventory()))
