"""`pokesim check`."""

from __future__ import annotations

from typing import Annotated

import typer

from pokesim.cli.options import IndexOption
from pokesim.index import DEFAULT_INDEX


def check(
    index: IndexOption = DEFAULT_INDEX,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make a damaged index whole first.")
    ] = False,
) -> None:
    """Verify an index: every byte, its vectors, its embedder.

    Repairing builds the search structure again, returns to an older snapshot that is sound, or
    embeds the pictures again.

    Examples:
        pokesim check --index indexes/mine
    """
    from pokesim.maintenance.check import check_index
    from pokesim.maintenance.repair import repair_index

    if repair:
        for line in repair_index(index):
            print(line)
    for line in check_index(index):
        print(line)
    print(f"{index} is sound.")
