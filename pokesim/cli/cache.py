"""`pokesim cache`."""

from __future__ import annotations

from typing import Annotated

import typer

from pokesim.errors import PokesimError, UsageError, did_you_mean

cache = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@cache.callback()
def cache_root() -> None:
    """Look after the cache: models, samples, copies of indexes."""


def cache_clear(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[models|samples|copies]", help="Default: all.")
    ] = None,
) -> None:
    """Remove exported models, drawn samples and copies of indexes on servers.

    What is needed is made again; on a server, an interrupted build begins anew.

    Examples:
        pokesim cache clear samples
    """
    from pokesim.cache import CONTENTS, cache_dir, clear, size_of

    for name in names or CONTENTS:
        if name not in CONTENTS:
            known = ", ".join(CONTENTS)
            raise UsageError(f"The cache has {known}, not {name}.{did_you_mean(name, CONTENTS)}")
    for name in names or CONTENTS:
        size = size_of(name)
        try:
            clear(name)
        except OSError as error:
            raise PokesimError(
                f"{cache_dir() / name} cannot be removed ({error.strerror})."
            ) from error
        print(f"Removed {size / 1e6:.1f} MB of {name} from {cache_dir()}.")
