"""`pokesim add` and `pokesim remove`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli.options import IndexOption, report_build
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import counted


def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Pictures.")],
    index: IndexOption = DEFAULT_INDEX,
) -> None:
    """Add single pictures to an index.

    The others are not looked at.

    Examples:
        pokesim add new.jpg --index indexes/mine
    """
    from pokesim.build.edit import add_pictures

    report_build(add_pictures(files, index))


def remove(
    names: Annotated[
        list[str], typer.Argument(metavar="LABEL|PATH", help="Labels or paths of pictures.")
    ],
    index: IndexOption = DEFAULT_INDEX,
) -> None:
    """Take pictures out of an index; their files stay.

    Building the index again takes up what is still in its folder.

    Examples:
        pokesim remove brumbel --index indexes/mine
    """
    from pokesim.build.edit import remove_pictures

    report = remove_pictures(names, index)
    print(f"Removed {counted(report.dropped, 'picture')}; {index} has {report.indexed:,}.")
