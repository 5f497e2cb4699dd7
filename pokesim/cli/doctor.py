"""`pokesim doctor`."""

from __future__ import annotations

from pokesim.cli.options import FormatOption, IndexOption
from pokesim.cli.output import results, say_lines
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import TableFormat


def doctor(index: IndexOption = DEFAULT_INDEX, form: FormatOption = TableFormat.TABLE) -> None:
    """Show what is ready on this machine, and what is missing.

    It reports versions, processor, cache, embedders and the index.

    Examples:
        pokesim doctor --index indexes/mine
        pokesim doctor --format csv
    """
    from pokesim.maintenance.doctor import examine
    from pokesim.show.records import finding_records
    from pokesim.show.reports import findings_table

    found = examine(index)
    if form is TableFormat.TABLE:
        say_lines(findings_table(found))
    else:
        results.write(finding_records(found).text(form))
