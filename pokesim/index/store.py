"""The interface of a store, which keeps an index in a folder or on a Milvus server.

Searching and building use only these protocols. A search reads the index where the store keeps it.
A build writes a folder, `Store.folder`, and the store then publishes the result as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pokesim.index.item import Item
from pokesim.index.manifest import Manifest, MetadataRecord
from pokesim.index.vectors.knn import VectorView
from pokesim.metric import Projection

if TYPE_CHECKING:
    from pokesim.index.metadata.filter import Condition
    from pokesim.index.metadata.table import Table, Value


class Items(Protocol):
    """The items of a snapshot, by id; safe to use from several threads."""

    def __len__(self) -> int: ...

    def __getitem__(self, item_id: int, /) -> Item:
        """Return an item. Raises KeyError if there is none with this id."""

    def __iter__(self) -> Iterator[Item]:
        """Yield all items in the order of their ids."""

    def find(self, sha256: str) -> int | None:
        """Return the lowest id of the pictures with this SHA-256, or None."""

    def ids_of_bytes(self, sha256: str) -> list[int]:
        """Return the ids of the pictures with this SHA-256."""

    def id_of_path(self, path: str) -> int | None:
        """Return the id of the picture with this path, as `path_in` returns it, or None."""

    @property
    def in_folders(self) -> bool:
        """Whether the pictures are in more than one folder."""

    @property
    def repeated_labels(self) -> frozenset[str]:
        """The labels that several of the first `pokesim.index.item.COMPARED` pictures have."""


class Metadata(Protocol):
    """The table that describes the pictures of a snapshot.

    Attributes:
        record: the table's entry in the manifest.
    """

    record: MetadataRecord

    def row(self, item_id: int) -> dict[str, Value]:
        """Return a picture's row, by column; all cells are None if it has no row."""

    def alternatives(self, column: str, value: str) -> Sequence[Value] | None:
        """Return None if a column has a value, else the values that it has, up to 10,000.

        A value longer than `pokesim.errors.MAX_SUGGESTED` is cut.
        """

    def values(self, column: str, limit: int) -> list[Value]:
        """Return up to ``limit`` distinct values of a column, sorted."""

    def unmatched(self) -> Iterator[str]:
        """Yield the keys of the rows that match no picture."""

    def undescribed(self) -> Iterator[str]:
        """Yield the paths of the pictures that have no row."""

    def table(self) -> Table:
        """Return the whole table."""

    def fits(self, count: int) -> bool:
        """Say whether it belongs to a snapshot of ``count`` pictures."""


class Reader(Protocol):
    """A snapshot that is open for searching; safe to use from several threads until it is closed.

    Attributes:
        projection: the learned metric of a tuned index.
    """

    projection: Projection | None

    @property
    def items(self) -> Items:
        """The items, one for each vector."""

    @property
    def metadata(self) -> Metadata | None:
        """The table that describes the pictures, if the index has one."""

    def view(self, condition: Condition | None) -> VectorView:
        """Return the vectors of the pictures that meet a condition; None means all."""

    def vectors(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of ids (n,). Raises UsageError for an unknown id."""

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield all vectors in the order of their ids, float32 (≤ 8192, d) at a time."""

    def close(self) -> None:
        """Release its resources; it cannot be used afterwards."""


class Snapshot(Protocol):
    """One immutable state of an index."""

    @property
    def name(self) -> str:
        """Its name, unique in its store."""

    @property
    def location(self) -> str:
        """Where it is, for messages."""

    @property
    def manifest(self) -> Manifest:
        """Its manifest, verified."""

    def open(self) -> Reader:
        """Open it for searching.

        Raises:
            IndexFolderError: it is damaged.
            OSError, sqlite3.Error: it has been removed, or cannot be read.
        """

    def locked(self) -> AbstractContextManager[object]:
        """Keep it from being removed while the block runs, if the store can. Raises OSError."""

    def verify(self) -> Iterator[str]:
        """Compare every byte with what was written; yield a line for each match.

        Raises:
            CorruptIndexError: something differs; the message says how to recover.
        """


class Store(Protocol):
    """A place that keeps an index."""

    @property
    def location(self) -> str:
        """Its folder or address."""

    def snapshot(self) -> Snapshot:
        """Return the current snapshot.

        Raises:
            IndexNotFoundError: there is no index.
            IndexFolderError: it is damaged, or in a newer format, or unreachable.
        """

    def resolve_search(self, requested: str, dimension: int) -> str:
        """Return the search that this store uses when the user requests one.

        Raises:
            UsageError: the store does not offer it.
        """

    def folder(self, *, write: bool) -> AbstractContextManager[Path]:
        """Give the index as a folder that `build_index` can write; empty if there is no index.

        Args:
            write: when the block ends, publish the folder's current snapshot in the store.

        Raises:
            IndexFolderError: the store cannot be read or written; the index there is unchanged.
        """
