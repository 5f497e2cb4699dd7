"""What all commands share: the group they stand in, errors as sentences, common options."""

from __future__ import annotations

import contextlib
import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from pokesim import __version__
from pokesim.cli.config import defaults_of
from pokesim.errors import PokesimError
from pokesim.show.text import plain

INTERRUPTED = 130  # what a shell expects after Ctrl-C

_ANYWHERE = ("--debug", "--quiet", "--verbose")

_told = {"quiet": False}


class Group(TyperGroup):
    """Turns every error into one sentence on standard error and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Let --debug, --quiet and --verbose stand anywhere, also behind a command's name."""
        ours = [arg for arg in args if arg in _ANYWHERE]
        args = [*ours, *(arg for arg in args if arg not in _ANYWHERE)]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Run a command."""
        try:
            return super().invoke(ctx)
        except PokesimError as error:
            _fail(ctx, str(error), error.exit_code)
        except KeyboardInterrupt as interrupt:
            told = str(interrupt) or "Interrupted; an index that was there before is unchanged."
            _fail(ctx, told, INTERRUPTED)
        except BrokenPipeError:
            raise  # the reader has gone; typer ends quietly
        except Exception as error:
            if type(error).__module__.startswith("typer."):
                raise  # a usage error or an exit, which typer handles
            kind = type(error).__name__
            _fail(ctx, f"Unexpected {kind}: {error} (--debug shows where).", PokesimError.exit_code)


def _fail(ctx: Any, sentence: str, code: int) -> NoReturn:  # noqa: ANN401
    if ctx.params.get("debug"):
        traceback.print_exc()
    complain(sentence)
    raise typer.Exit(code)


def complain(sentence: str) -> None:
    """Say what went wrong, on standard error."""
    print(plain(f"pokesim: {sentence}"), file=sys.stderr)


def note(line: str) -> None:
    """Say something that is no result, on standard error; not with --quiet."""
    if not _told["quiet"]:
        print(line, file=sys.stderr)


@contextlib.contextmanager
def progress(what: str | Callable[[], str]) -> Iterator[Callable[[int, int], None]]:
    """Show progress as `progress_shown` does; not with --quiet."""
    if _told["quiet"]:
        yield lambda done, total: None
        return
    from pokesim.show.progress import progress_shown

    with progress_shown(what) as show:
        yield show


app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def add_command(group: typer.Typer, name: str, command: Callable[..., None]) -> None:
    """Make a function a command, whose help is its docstring, with the examples line by line."""
    told = inspect.getdoc(command) or ""
    group.command(name, help=told.replace("Examples:\n", "\b\nExamples:\n"))(command)


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show an error's traceback.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell errors only, no notes.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Tell more of what is done.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Search a folder of pictures with a photo: exact nearest neighbours, offline."""
    if version:
        print(f"pokesim {__version__}")
        raise typer.Exit
    for stream in (sys.stdout, sys.stderr):
        # A file name need not be text in the terminal's encoding; it goes out as the bytes it is.
        stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    handler = logging.StreamHandler(sys.stderr)
    log = logging.getLogger("pokesim")
    log.handlers = [handler]
    log.setLevel(logging.DEBUG if debug or verbose else logging.WARNING if quiet else logging.INFO)
    _told["quiet"] = quiet
    ctx.default_map = defaults_of(ctx.command.commands)  # type: ignore[attr-defined]
    # Pillow's remarks on bad files; what is skipped is listed with its reason anyway.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
