"""The command line: parse, call, print. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from pokesim.cli.commands import app
from pokesim.cli.output import complain, flush_results, open_standard_streams
from pokesim.errors import PokesimError


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
        gc.freeze()  # what is left ends with the process; searching it for cycles takes 50 ms
        written = flush_results(report=not end.code)  # else an error has been reported
        sys.exit(end.code if written else end.code or PokesimError.exit_code)


def _silence_libraries() -> None:
    """Discard what C libraries (libtiff, LiteRT, …) write to file descriptor 2.

    Python's own ``sys.stderr`` continues through a copy of the descriptor.
    """
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
