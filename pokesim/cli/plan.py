"""The command that looks ahead."""

from __future__ import annotations

from typing import Annotated

import typer

from pokesim.cli import completion


def plan(
    images: Annotated[float, typer.Option(help="Number of pictures, such as 100e6.")],
    embedder: Annotated[
        str,
        typer.Option(
            help="A name that `pokesim embedders` lists.", autocompletion=completion.embedders
        ),
    ] = "resnet50",
    dims: Annotated[
        int | None,
        typer.Option(help="Length of the vectors, after a tuning.", show_default="the embedder's"),
    ] = None,
    workers: Annotated[int, typer.Option(help="Workers that embed, of two cores each.")] = 1,
    memory: Annotated[float, typer.Option(help="Memory of a machine that searches, in GB.")] = 64,
) -> None:
    """Work out the memory, disk and time of an index.

    It tells which set-up suits it, and shows the arithmetic. The figures behind it are those of
    two cores, in README.md.

    Examples:
        pokesim plan --images 100e6 --embedder resnet50 --dims 256
        pokesim plan --images 1e6 --workers 8 --memory 32
    """
    from pokesim.analysis.capacity import plan_capacity
    from pokesim.show.reports import capacity_text

    print(capacity_text(plan_capacity(images, embedder, dims, workers, 1e9 * memory)))
