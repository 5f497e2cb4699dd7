"""The commands: `pokesim --help` lists them, and each is imported only when it is used."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand
from typer.main import get_command

from pokesim import __version__
from pokesim.cli.config import defaults_of
from pokesim.cli.group import Group, add_command
from pokesim.cli.output import say, set_up


class Listed(NamedTuple):
    """A command as --help lists it.

    Attributes:
        function: its module in this package, and the function in it, or the group of commands.
        about: the first sentence of its help.
    """

    function: str
    about: str


SECTIONS: dict[str, dict[str, Listed]] = {  # in the order of --help
    "Everyday": {
        "build-index": Listed(
            "build_index.build_index",
            "Index a folder of pictures, or bring its index up to date.",
        ),
        "query": Listed(
            "query.command.query", "Find the pictures most like a photo, nearest first."
        ),
        "serve": Listed("serve.serve", "Serve a page to drop photos on, and a REST interface."),
        "watch": Listed("watch.watch", "Keep an index up to date as pictures come and go."),
        "mcp": Listed("mcp.mcp", "Serve an assistant: tools that search, over MCP."),
        "add": Listed("edit.add", "Add single pictures to an index."),
        "remove": Listed("edit.remove", "Remove pictures from an index, not from the disk."),
        "duplicates": Listed("duplicates.duplicates", "Find pictures that are the same picture."),
        "map": Listed("map.map_pictures", "Draw a map of an index, similar pictures together."),
        "fetch-dataset": Listed(
            "datasets.fetch_dataset", "Fetch a data set of pictures into a folder."
        ),
        "sample-data": Listed(
            "datasets.sample_data", "Write the sample pictures, and photos of some of them."
        ),
    },
    "Measure and tune": {
        "evaluate": Listed(
            "evaluate.evaluate", "Measure how often the right picture is among the first k."
        ),
        "tune": Listed("tune.tune", "Learn from labelled pictures which differences matter."),
        "embedders": Listed(
            "embedders.embedders", "List the networks that turn pictures into vectors."
        ),
    },
    "Maintain": {
        "info": Listed("info.info", "Describe an index: pictures, embedder, size, skipped files."),
        "check": Listed("check.check", "Verify an index: every byte, every vector, its embedder."),
        "doctor": Listed(
            "doctor.doctor", "Show what is ready on this machine, and what is missing."
        ),
        "cache": Listed("cache.cache", "Maintain the cache of models and of copies of indexes."),
    },
    "Scale": {
        "plan": Listed("plan.plan", "Estimate the memory, disk space and time of an index."),
        "push": Listed("milvus.push", "Copy an index from a folder to a Milvus server."),
        "pull": Listed("milvus.pull", "Copy an index from a Milvus server to a folder."),
    },
}


class _Commands(UserDict[str, Any]):
    """The commands by name; each is imported when it is first looked up."""

    def __init__(self, listed: Mapping[str, Listed]) -> None:
        super().__init__(listed)

    def __getitem__(self, name: str) -> Any:
        found = self.data[name]
        if isinstance(found, Listed):
            found = self.data[name] = _imported(name, found)
        return found


def _imported(name: str, listed: Listed) -> Any:
    module, _, function = listed.function.rpartition(".")
    command = getattr(import_module(f"pokesim.cli.{module}"), function)
    if isinstance(command, typer.Typer):
        return get_command(command)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    add_command(alone, name, command)
    return get_command(alone)


class _Main(Group):
    """All commands, in sections."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        every = {name: one for section in SECTIONS.values() for name, one in section.items()}
        self.commands = _Commands(every)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands by section, with their names in one column."""
        width = max(map(len, self.commands))
        for section, commands in SECTIONS.items():
            rows = [
                (name.ljust(width), _shortened(one.about, formatter.width - width - 6))
                for name, one in commands.items()
            ]
            with formatter.section(section):
                formatter.write_dl(rows)


def _shortened(about: str, width: int) -> str:
    return TyperCommand(None, help=about).get_short_help_str(width)


app = typer.Typer(
    cls=_Main,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show an error's traceback.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print more detail.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Search a folder of pictures with a photo: exact nearest neighbours, offline."""
    set_up(quiet=quiet, verbose=verbose, debug=debug)
    if version:
        say(f"pokesim {__version__}")
        raise typer.Exit
    ctx.default_map = defaults_of(ctx.command.commands)  # type: ignore[attr-defined]
