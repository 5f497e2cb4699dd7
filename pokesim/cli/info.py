"""`pokesim info`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pokesim.cli.options import FormatOption, IndexOption
from pokesim.cli.output import results, say_lines
from pokesim.errors import PokesimError
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import TableFormat

if TYPE_CHECKING:
    from pokesim.index.store import Metadata


def info(
    index: IndexOption = DEFAULT_INDEX,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Show the columns and values of its table.")
    ] = False,
    form: FormatOption = TableFormat.TABLE,
) -> None:
    """Describe an index: pictures, embedder, size, skipped files.

    Examples:
        pokesim info -i indexes/mine
        pokesim info --index indexes/mine --format json
        pokesim info --metadata
    """
    from pokesim.index import open_store
    from pokesim.show.records import metadata_records, snapshot_records
    from pokesim.show.reports import metadata_table, snapshot_text

    if metadata:
        found = _metadata_of(index)
        if form is TableFormat.TABLE:
            say_lines(metadata_table(found))
        else:
            results.write(metadata_records(found).text(form))
        return
    snapshot = open_store(index).snapshot()
    if form is TableFormat.TABLE:
        say_lines(snapshot_text(index, snapshot))
    else:
        results.write(snapshot_records(index, snapshot).text(form))


def _metadata_of(index: str) -> Metadata:
    from pokesim.search.index import open_index

    found = open_index(index).metadata
    if found is None:
        raise PokesimError(
            f"{index} has no metadata; add some with `pokesim build-index --metadata FILE`."
        )
    return found
