"""The command line: parse, call, print. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from pokesim.cli import asking, building, judging, keeping, moving, planning, serving
from pokesim.cli.base import add_command, app

_COMMANDS: dict[str, Callable[..., None]] = {  # in the order of --help
    "build-index": building.build_index,
    "query": asking.query,
    "duplicates": asking.duplicates,
    "map": asking.map_pictures,
    "serve": serving.serve,
    "embedders": keeping.embedders,
    "info": keeping.info,
    "add": building.add,
    "remove": building.remove,
    "check": keeping.check,
    "push": moving.push,
    "pull": moving.pull,
    "evaluate": judging.evaluate,
    "tune": judging.tune,
    "plan": planning.plan,
    "fetch-dataset": keeping.fetch_dataset,
    "sample-data": keeping.sample_data,
    "doctor": keeping.doctor,
}
for _name, _command in _COMMANDS.items():
    add_command(app, _name, _command)
add_command(keeping.cache, "clear", keeping.cache_clear)
app.add_typer(keeping.cache, name="cache")


def main() -> None:
    """Run the command line."""
    if "--debug" not in sys.argv:
        _quiet_libraries()
    app()


def _quiet_libraries() -> None:
    """Keep what C libraries (libtiff, LiteRT, …) say to file descriptor 2 off standard error.

    Python's own ``sys.stderr`` goes on through a copy of the descriptor.
    """
    try:
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    except OSError:
        pass  # started without a standard error; there is nothing to keep clean
