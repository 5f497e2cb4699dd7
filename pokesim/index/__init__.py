"""An index: pictures, their vectors and metadata, in a folder or on a Milvus server.

`open_store` returns the store that a folder or an address names. The protocols in `store` define
what every store offers; `folder` and `milvus` implement them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pokesim.arguments import file_path

if TYPE_CHECKING:
    from pokesim.index.store import Store

DEFAULT_INDEX = "indexes/default"
"""The index that commands use by default."""


def open_store(index: str | Path) -> Store:
    """Return the store of an index, given its folder or its address.

    Raises:
        UsageError: it is no path, or looks like an address, but is not a valid one; or no folder
            can be called so.
        IndexFolderError: the folder cannot be reached.
    """
    file_path("The index", index)
    if "://" in str(index):
        from pokesim.index.milvus.address import Address
        from pokesim.index.milvus.store import MilvusStore

        return MilvusStore(Address.of(str(index)))
    from pokesim.index.folder.store import FolderStore

    return FolderStore(index)
