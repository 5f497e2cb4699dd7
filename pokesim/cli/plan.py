"""`pokesim plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from pokesim.cli import completion
from pokesim.cli.options import FormatOption
from pokesim.cli.output import results, say_lines
from pokesim.embedders.catalog import DEFAULT
from pokesim.show.text import TableFormat


def plan(
    images: Annotated[float, typer.Option(help="Number of pictures, such as 100e6.")],
    embedder: Annotated[
        str,
        typer.Option(
            help="A name that `pokesim embedders` lists.", autocompletion=completion.embedders
        ),
    ] = DEFAULT,
    dims: Annotated[
        int | None,
        typer.Option(help="Length of the vectors after tuning.", show_default="the embedder's"),
    ] = None,
    workers: Annotated[int, typer.Option(help="Workers that embed, with two cores each.")] = 1,
    memory: Annotated[
        float, typer.Option(help="Memory of each machine that searches, in GB.")
    ] = 64,
    form: FormatOption = TableFormat.TABLE,
) -> None:
    """Estimate the memory, disk space and time of an index.

    It recommends a set-up and shows the arithmetic. The underlying figures were measured on two
    cores.

    Examples:
        pokesim plan --images 100e6 --embedder resnet50 --dims 256
        pokesim plan --images 1e6 --workers 8 --memory 32 --format json
    """
    from pokesim.analysis.capacity import plan_capacity
    from pokesim.show.records import capacity_records
    from pokesim.show.reports import capacity_text

    found = plan_capacity(images, embedder, dims, workers, 1e9 * memory)
    if form is TableFormat.TABLE:
        say_lines(capacity_text(found))
    else:
        results.write(capacity_records(found).text(form))
