"""Commands that look after indexes, models and sample pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pokesim.cli.options import IndexOption
from pokesim.errors import PokesimError
from pokesim.index import DEFAULT_INDEX

if TYPE_CHECKING:
    from pokesim.index.store import Metadata


def info(
    index: IndexOption = DEFAULT_INDEX,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Show what its table holds, and what has no match.")
    ] = False,
) -> None:
    """Say what an index is, when it was built, what was skipped.

    Examples:
        pokesim info --index indexes/mine
    """
    from pokesim.index import open_store
    from pokesim.show.reports import metadata_table, snapshot_text

    if metadata:
        print(metadata_table(_metadata_of(index)))
        return
    print(snapshot_text(index, open_store(index).snapshot()))


def _metadata_of(index: str) -> Metadata:
    from pokesim.search.index import open_index

    found = open_index(index).metadata
    if found is None:
        raise PokesimError(
            f"{index} has no metadata; `pokesim build-index --metadata` gives it some."
        )
    return found
