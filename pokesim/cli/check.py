"""`pokesim check`."""

from __future__ import annotations

from itertools import chain
from typing import Annotated

import typer

from pokesim.cli.options import FormatOption, IndexOption
from pokesim.cli.output import results, say
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import TableFormat


def check(
    index: IndexOption = DEFAULT_INDEX,
    repair: Annotated[bool, typer.Option("--repair", help="Repair a damaged index first.")] = False,
    form: FormatOption = TableFormat.TABLE,
) -> None:
    """Verify an index: every byte, every vector, its embedder.

    A repair builds the candidate index again, returns to an older sound snapshot, or embeds the
    pictures again.

    Examples:
        pokesim check -i indexes/mine
        pokesim check --repair
        pokesim check --index indexes/mine --format json
    """
    from pokesim.maintenance.check import check_index
    from pokesim.maintenance.repair import repair_index
    from pokesim.show.records import check_records

    repairs = repair_index(index) if repair else iter(())
    checks = check_index(index)
    if form is not TableFormat.TABLE:
        results.write(check_records(index, repairs, checks).text(form))
        return
    for line in chain(repairs, checks):
        say(line)
    say(f"{index} is sound.")
