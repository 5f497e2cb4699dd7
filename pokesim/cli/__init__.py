"""The command line: parse, call, print. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

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
from pokesim.cli.mcp import mcp
from pokesim.cli.milvus import pull, push
from pokesim.cli.output import complain, flush_results, open_standard_streams
from pokesim.cli.plan import plan
from pokesim.cli.query import query
from pokesim.cli.serve import serve
from pokesim.cli.tune import tune
from pokesim.cli.watch import watch
from pokesim.errors import PokesimError

_MAINTAIN = "Maintain"

_SECTIONS: dict[str, dict[str, Callable[..., None]]] = {  # in the order of --help
    "Everyday": {
        "build-index": build_index,
        "query": query,
        "serve": serve,
        "watch": watch,
        "mcp": mcp,
        "add": add,
        "remove": remove,
        "duplicates": duplicates,
        "map": map_pictures,
        "fetch-dataset": fetch_dataset,
        "sample-data": sample_data,
    },
    "Measure and tune": {"evaluate": evaluate, "tune": tune, "embedders": embedders},
    _MAINTAIN: {"info": info, "check": check, "doctor": doctor},
    "Scale": {"plan": plan, "push": push, "pull": pull},
}

for _section, _commands in _SECTIONS.items():
    for _name, _command in _commands.items():
        add_command(app, _name, _command, _section)

add_command(cache, "clear", cache_clear)

app.add_typer(cache, name="cache", rich_help_panel=_MAINTAIN)


def main() -> None:
    """Run the command line."""
    open_standard_streams()
    if "--debug" not in sys.argv:
        _silence_libraries()
    try:
        Path.cwd()
    except OSError as error:
        complain(f"The current folder cannot be used ({error.strerror}); change to another one.")
        sys.exit(PokesimError.exit_code)
    try:
        app(prog_name="pokesim")
    except SystemExit as end:
        written = flush_results(report=not end.code)  # else an error has been reported
        sys.exit(end.code if written else end.code or PokesimError.exit_code)


def _silence_libraries() -> None:
    """Discard what C libraries (libtiff, LiteRT, …) write to file descriptor 2.

    Python's own ``sys.stderr`` continues through a copy of the descriptor.
    """
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
