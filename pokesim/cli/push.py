"""Commands that move an index between a folder and a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli import completion
from pokesim.cli.app import progress

_Folder = Annotated[
    Path,
    typer.Argument(metavar="INDEX", help="The index's folder.", autocompletion=completion.indexes),
]

_Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="milvus://HOST:PORT/COLLECTION.")]


def push(index: _Folder, address: _Address) -> None:
    """Copy an index from a folder to a Milvus server.

    Nothing is embedded again; it counts there once all of it has come.

    Examples:
        pokesim push indexes/mine milvus://localhost:19530/mine
    """
    from pokesim.index.milvus.store import push_index

    with progress("vectors") as tell:
        changed = push_index(index, address, progress=tell)
    print(f"{address} is {index} now." if changed else f"{address} is {index} already.")


def pull(address: _Address, index: _Folder) -> None:
    """Copy an index from a Milvus server into a folder.

    What the folder's index was stays until all has come.

    Examples:
        pokesim pull milvus://localhost:19530/mine indexes/mine
    """
    from pokesim.index.milvus.store import pull_index

    with progress("vectors") as tell:
        pull_index(address, index, progress=tell)
    print(f"{index} is {address} now.")
