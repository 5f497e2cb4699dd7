"""Values that a shell completes: indexes, embedders, columns of the metadata and their values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import typer

from pokesim.embedders.catalog import CATALOG
from pokesim.errors import PokesimError
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import plain

_MOST = 200


def _offered(names: Iterable[str], incomplete: str) -> list[str]:
    """Return the names that begin as typed and do not control a terminal."""
    return [name for name in names if name.startswith(incomplete) and plain(name) == name]


def indexes(incomplete: str) -> list[str]:
    """Return the indexes in the typed folder, or in ``indexes``."""
    folder = Path(incomplete if incomplete.endswith("/") else Path(incomplete).parent)
    folders = [folder, Path(DEFAULT_INDEX).parent] if "/" not in incomplete else [folder]
    found = {str(path.parent) for one in folders for path in one.glob("*/CURRENT")}
    return sorted(_offered(found, incomplete))


def embedders(incomplete: str) -> list[str]:
    """Return the embedders' names."""
    return _offered(CATALOG, incomplete)


def words(incomplete: str) -> list[str]:
    """Return the words that can be searched with, begun as typed; hyphens need no quotes."""
    from pokesim.embedders.words.vocabulary import words as known

    names = (name.casefold().replace(" ", "-") for name in known())
    begun = (name for name in names if name.startswith(incomplete.casefold()))
    return sorted({incomplete + name[len(incomplete) :] for name in begun})


def labels(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what can label the matches of the chosen index."""
    known = ("auto", "stem", "folder", "path", *_columns(ctx))
    return _offered(known, incomplete)


def filters(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the columns of the chosen index, or the values of the typed column."""
    if "=" not in incomplete:
        return _offered((f"{name}=" for name in _columns(ctx)), incomplete)
    column = incomplete.split("=", 1)[0]
    return _offered((f"{column}={value}" for value in _values(ctx, column)), incomplete)


def _columns(ctx: typer.Context) -> Iterator[str]:
    from pokesim.index import open_store

    with contextlib.suppress(PokesimError):
        metadata = open_store(_index(ctx)).snapshot().manifest.metadata
        yield from metadata.columns if metadata else ()


def _values(ctx: typer.Context, column: str) -> Iterator[str]:
    from pokesim.search.index import open_index

    with contextlib.suppress(PokesimError), open_index(_index(ctx)) as opened:
        if opened.metadata and column in opened.metadata.record.columns:
            yield from map(str, opened.metadata.values(column, _MOST))


def _index(ctx: typer.Context) -> str:
    return str(ctx.params.get("index") or DEFAULT_INDEX)
