"""`pokesim push` and `pokesim pull`: copy an index to and from a Milvus server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli import completion
from pokesim.cli.output import progress, say
from pokesim.errors import UsageError

_Folder = Annotated[
    str,
    typer.Argument(metavar="INDEX", help="The index's folder.", autocompletion=completion.indexes),
]

_Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="milvus://HOST:PORT/COLLECTION.")]


def _folder(index: str) -> Path:
    if "://" in index:
        raise UsageError(f"The index to copy from or to is a folder here, not the address {index}.")
    return Path(index)


def push(index: _Folder, address: _Address) -> None:
    """Copy an index from a folder to a Milvus server.

    Nothing is embedded again. Queries see the new index once it has been copied completely.

    Examples:
        pokesim push indexes/mine milvus://localhost:19530/mine
    """
    from pokesim.index.milvus.store import push_index

    with progress("vectors") as on_progress:
        changed = push_index(_folder(index), address, progress=on_progress)
    say(f"Copied {index} to {address}." if changed else f"{address} is up to date with {index}.")


def pull(address: _Address, index: _Folder) -> None:
    """Copy an index from a Milvus server to a folder.

    An index already in the folder keeps answering until the copy is complete.

    Examples:
        pokesim pull milvus://localhost:19530/mine indexes/mine
    """
    from pokesim.index.milvus.store import pull_index

    with progress("vectors") as on_progress:
        pull_index(address, _folder(index), progress=on_progress)
    say(f"Copied {address} to {index}.")
