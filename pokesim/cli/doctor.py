"""`pokesim doctor`."""

from __future__ import annotations

from pokesim.cli.options import IndexOption
from pokesim.index import DEFAULT_INDEX


def doctor(index: IndexOption = DEFAULT_INDEX) -> None:
    """Tell what is ready on this machine, and what to do if not.

    Versions, processor, cache, which embedders are ready, and the index.

    Examples:
        pokesim doctor --index indexes/mine
    """
    from pokesim.maintenance.doctor import examine
    from pokesim.show.reports import findings_table

    print(findings_table(examine(index)))
