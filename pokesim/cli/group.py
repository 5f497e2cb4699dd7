"""What all commands share: their group, how their help is laid out, errors as one message."""

from __future__ import annotations

import contextlib
import inspect
import os
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from pokesim.cli.output import complain, explain
from pokesim.cli.values import OLD_NAMES, check_values, reworded
from pokesim.errors import PokesimError, UsageError, did_you_mean

INTERRUPTED = 130  # the exit code that a shell expects after Ctrl-C

_ANYWHERE = ("--debug", "--quiet", "--verbose")

_SYNONYMS = {
    "search": "query",
    "find": "query",
    "build": "build-index",
    "index": "build-index",
    "update": "build-index",
    "dedupe": "duplicates",
    "delete": "remove",
    "verify": "check",
    "repair": "check",
    "benchmark": "evaluate",
    "train": "tune",
}
"""Words that users of other tools may try for a command."""


_ALONE = {"--words": "list"}
"""The value of an option that is all that a command is given, without one."""


class Command(TyperCommand):
    """A command whose errors are one message, and whose old names are not shown."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Accept an option of `_ALONE` without a value."""
        if len(args) == 1 and args[0] in _ALONE:
            args = [*args, _ALONE[args[0]]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _errors_shown(ctx):
            check_values(ctx)
            return super().invoke(ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Leave hidden arguments out of the usage line."""
        shown = [param for param in self.get_params(ctx) if not getattr(param, "hidden", False)]
        pieces = [piece for param in shown for piece in param.get_usage_pieces(ctx)]
        return [self.options_metavar or "", *pieces]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Leave old names out of the help."""
        names = {param: param.opts for param in self.params}
        try:
            for param, opts in names.items():
                param.opts = [name for name in opts if name not in OLD_NAMES]
            super().format_options(ctx, formatter)
        finally:
            for param, opts in names.items():
                param.opts = opts

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Leave old names out of what a shell offers."""
        found = super().shell_complete(ctx, incomplete)
        return [one for one in found if one.value not in OLD_NAMES]


class Group(TyperGroup):
    """Commands whose errors are one message on standard error and an exit code."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the arguments before the command."""
        with _errors_shown(None):
            return super().make_context(*args, **kwargs)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Accept --debug, --quiet and --verbose anywhere, also after the command's name."""
        ours = [arg for arg in args if arg in _ANYWHERE]
        args = [*ours, *(arg for arg in args if arg not in _ANYWHERE)]
        if not args and not ctx.resilient_parsing:
            explain(ctx.get_help())
            raise typer.Exit(UsageError.exit_code)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command, or say which one may be meant."""
        name = args[0]
        if name not in self.commands and not ctx.resilient_parsing:
            known = _SYNONYMS.get(name)
            hint = f" Did you mean {known}?" if known in self.commands else ""
            hint = hint or did_you_mean(name, self.commands)
            raise UsageError(f"No such command '{name}'.{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with _errors_shown(ctx):
            return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Leave out --show-completion, which --install-completion makes unnecessary."""
        for param in self.params:
            if "--show-completion" in param.opts:
                param.hidden = True  # type: ignore[attr-defined]
        super().format_options(ctx, formatter)


@contextlib.contextmanager
def _errors_shown(ctx: Any | None) -> Iterator[None]:
    """Turn an error into one message and an exit code; usage errors come with the usage line."""
    try:
        yield
    except PokesimError as error:
        _fail(ctx, str(error), error.exit_code)
    except KeyboardInterrupt as interrupt:
        message = str(interrupt) or "Interrupted; an existing index is unchanged."
        _fail(ctx, message, INTERRUPTED)
    except (BrokenPipeError, typer.Exit, typer.Abort):
        raise  # typer ends quietly
    except OSError as error:
        _fail(ctx, _os_sentence(error), PokesimError.exit_code)
    except MemoryError:
        _fail(ctx, "There is not enough memory for this.", PokesimError.exit_code)
    except Exception as error:
        if hasattr(error, "format_message"):  # one of typer's
            _fail(getattr(error, "ctx", None) or ctx, reworded(error), UsageError.exit_code)
        kind = type(error).__name__
        _fail(ctx, f"Unexpected {kind}: {error} (--debug shows where).", PokesimError.exit_code)


def _os_sentence(error: OSError) -> str:
    """Return what the operating system refuses; a command that knows more has said it itself."""
    where = os.fsdecode(error.filename) if error.filename else "A file cannot be read or written"
    return f"{where}: {error.strerror or error}."


def _fail(ctx: Any | None, message: str, code: int) -> NoReturn:
    if ctx and ctx.find_root().params.get("debug"):
        explain(traceback.format_exc())
    if ctx and code == UsageError.exit_code:
        explain(ctx.get_usage())
    complain(message)
    raise typer.Exit(code)


def add_command(group: typer.Typer, name: str, command: Callable[..., None]) -> None:
    """Make a function a command; its docstring is the help, with the examples line by line."""
    text = (inspect.getdoc(command) or "").replace("Examples:\n", "\b\nExamples:\n")
    group.command(name, cls=Command, help=text)(command)
