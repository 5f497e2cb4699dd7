"""`pokesim add` and `pokesim remove`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli.options import IndexOption
from pokesim.cli.output import note, say
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import counted


def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Pictures.")],
    index: IndexOption = DEFAULT_INDEX,
) -> None:
    """Add single pictures to an index.

    The other pictures are not read again.

    Examples:
        pokesim add new.jpg --index indexes/mine
    """
    from pokesim.build.edit import add_pictures
    from pokesim.show.reports import build_notes, build_text

    report = add_pictures(files, index)
    for line in build_notes(report):
        note(line)
    say(build_text(report))


def remove(
    names: Annotated[
        list[str], typer.Argument(metavar="LABEL|PATH", help="Labels or paths of pictures.")
    ],
    index: IndexOption = DEFAULT_INDEX,
) -> None:
    """Remove pictures from an index, not from the disk.

    The next build adds those that are still in the index's folder again.

    Examples:
        pokesim remove brumbel --index indexes/mine
    """
    from pokesim.build.edit import remove_pictures

    report = remove_pictures(names, index)
    say(f"Removed {counted(report.dropped, 'picture')}; {index} has {report.indexed:,}.")
