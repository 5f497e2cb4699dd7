"""Where an index is kept: in a folder, or on a Milvus server.

What asks an index, and what builds one, knows a store only by what is written here. It is read
where it is, and written by way of a folder: a build works in `Store.folder`, and what it publishes
there is then published in the store, whole and at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

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

    def __getitem__(self, item_id: int, /) -> Item: ...

    def __iter__(self) -> Iterator[Item]:
        """Yield all, in the order of their ids."""

    def find(self, sha256: str) -> int | None:
        """Return the first id of a picture with these bytes, or None."""

    def of_bytes(self, sha256: str) -> list[int]:
        """Return the ids of the pictures with these bytes."""

    def of_path(self, path: str) -> int | None:
        """Return the id of the picture with this path, as `path_in` gives it, or None."""

    @property
    def in_folders(self) -> bool:
        """Whether the pictures lie in more than one folder."""


class Metadata(Protocol):
    """What a table tells of the pictures of a snapshot.

    Attributes:
        record: what the manifest says of it.
    """

    record: MetadataRecord

    def of(self, item_id: int) -> dict[str, Value]:
        """Return what the table tells of a picture, by column; None in each if nothing."""

    def known(self, column: str, value: str) -> Sequence[Value] | None:
        """Return None if a column has a value, else all the values it has."""

    def values(self, column: str, most: int) -> list[Value]:
        """Return up to ``most`` of the values that a column has, sorted."""

    def unmatched(self) -> Iterator[str]:
        """Yield the keys of the rows that no picture has."""

    def undescribed(self) -> Iterator[str]:
        """Yield the paths of the pictures that have no row."""

    def table(self) -> Table:
        """Return the table as it was read."""

    def fit(self, count: int) -> bool:
        """Say whether this is of so many pictures."""


class Reader(Protocol):
    """A snapshot opened to be searched.

    Attributes:
        projection: the learned metric of a tuned index.
    """

    projection: Projection | None

    @property
    def items(self) -> Items:
        """What each vector is a picture of."""

    @property
    def metadata(self) -> Metadata | None:
        """What a table tells of the pictures, if the index has one."""

    def view(self, asked: Condition | None) -> VectorView:
        """Return the vectors of the pictures that are as asked; None: of all."""

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of some ids (n,)."""

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield all vectors in the order of their ids, float32 (≤ 8192, d) at a time."""

    def close(self) -> None:
        """Let go of what it holds; it answers no more."""


class Snapshot(Protocol):
    """A snapshot that counted when it was looked for."""

    @property
    def name(self) -> str:
        """What tells it from every other of its store."""

    @property
    def location(self) -> str:
        """Where it is, for people."""

    @property
    def manifest(self) -> Manifest:
        """What it is, verified."""

    def open(self) -> Reader:
        """Open it to be searched.

        Raises:
            IndexFolderError: it is damaged.
            OSError, sqlite3.Error: it was cleared away, or cannot be read.
        """

    def locked(self) -> AbstractContextManager[object]:
        """Keep it from being cleared away meanwhile, where that is possible. Raises OSError."""

    def verify(self) -> Iterator[str]:
        """Compare every byte with what was written, yielding a line for each thing found right.

        Raises:
            DamagedIndexError: something is another; the sentence says how to go on.
        """


class Store(Protocol):
    """Where an index is kept."""

    def snapshot(self) -> Snapshot:
        """Return the snapshot that counts.

        Raises:
            NoIndexError: there is none.
            IndexFolderError: it is damaged, or of a newer format, or out of reach.
        """

    def resolve_search(self, asked: str, dimension: int) -> str:
        """Return how an index here is to be searched where a user has asked for that.

        Raises:
            UsageError: it cannot be.
        """

    def folder(self, *, write: bool) -> AbstractContextManager[Path]:
        """Give the index as a folder: what `build_index` writes, or nothing if there is none.

        Args:
            write: at the end, what counts in the folder is to count in the store.

        Raises:
            IndexFolderError: the store cannot be read or written; it is as it was then.
        """
