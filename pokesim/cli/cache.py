"""`pokesim cache`."""

from __future__ import annotations

from typing import Annotated

import typer

from pokesim.cache import CONTENTS, cache_dir, clear, size_of
from pokesim.cli.group import Group, add_command
from pokesim.cli.output import say
from pokesim.errors import PokesimError, UsageError, did_you_mean

cache = typer.Typer(name="cache", cls=Group, rich_markup_mode=None, add_completion=False)


@cache.callback()
def cache_root() -> None:
    """Maintain the cache of models and of copies of indexes."""


def cache_clear(
    names: Annotated[
        list[str] | None, typer.Argument(metavar=f"[{'|'.join(CONTENTS)}]", help="Default: all.")
    ] = None,
) -> None:
    """Remove exported models and copies of indexes on servers.

    They are made again when they are needed; an interrupted build of an index on a server starts
    from the beginning.

    Examples:
        pokesim cache clear models
    """
    *others, last = CONTENTS
    known = f"{', '.join(others)} or {last}"
    for name in names or CONTENTS:
        if name not in CONTENTS:
            hint = did_you_mean(name, CONTENTS)
            raise UsageError(f"Unknown cache part '{name}'; choose {known}.{hint}")
    for name in names or CONTENTS:
        size = size_of(name)
        try:
            clear(name)
        except OSError as error:
            raise PokesimError(
                f"{cache_dir() / name} cannot be removed ({error.strerror})."
            ) from error
        say(f"Removed {size / 1e6:.1f} MB of {name} from {cache_dir()}.")


add_command(cache, "clear", cache_clear)
