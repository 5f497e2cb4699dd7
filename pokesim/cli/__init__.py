"""The command line: parse, call, print. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from pokesim.cli.app import add_command, app
from pokesim.cli.build_index import build_index
from pokesim.cli.cache import cache, cache_clear
from pokesim.cli.check import check
from pokesim.cli.datasets import fetch_dataset, sample_data
from pokesim.cli.doctor import doctor
from pokesim.cli.duplicates import duplicates
from pokesim.cli.edit import add, remove
from pokesim.cli.embedders import embedders
from pokesim.cli.evaluate import evaluate
from pokesim.cli.info import info
from pokesim.cli.map import map_pictures
from pokesim.cli.plan import plan
from pokesim.cli.push import pull, push
from pokesim.cli.query import query
from pokesim.cli.serve import serve
from pokesim.cli.tune import tune

_COMMANDS: dict[str, Callable[..., None]] = {  # in the order of --help
    "build-index": build_index,
    "query": query,
    "duplicates": duplicates,
    "map": map_pictures,
    "serve": serve,
    "embedders": embedders,
    "info": info,
    "add": add,
    "remove": remove,
    "check": check,
    "push": push,
    "pull": pull,
    "evaluate": evaluate,
    "tune": tune,
    "plan": plan,
    "fetch-dataset": fetch_dataset,
    "sample-data": sample_data,
    "doctor": doctor,
}

for _name, _command in _COMMANDS.items():
    add_command(app, _name, _command)

add_command(cache, "clear", cache_clear)

app.add_typer(cache, name="cache")


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
