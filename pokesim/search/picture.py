"""The pictures of an opened index as a sequence, for Python programs and notebooks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from pokesim.images import image_of
from pokesim.index.item import Item
from pokesim.index.store import Items, Metadata

if TYPE_CHECKING:
    from pokesim.index.metadata.table import Value


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of an index.

    Attributes:
        id: its number in this index; the next build may change it.
        label: its name; see `QueryOptions`.
        path: its file.
        metadata: its row of the index's table, by column; None in every column if it has no row.
    """

    id: int
    label: str
    path: Path
    metadata: dict[str, Value]
    _vectors: Callable[[ArrayLike], NDArray[np.float32]] = field(repr=False, compare=False)

    @property
    def vector(self) -> NDArray[np.float32]:
        """Its vector, float32 (d,). Raises UsageError if the index is closed."""
        vector: NDArray[np.float32] = self._vectors([self.id])[0]
        return vector

    def image(self) -> Image.Image:
        """Return the picture, RGB and upright, in its own size. Raises PictureError."""
        return image_of(self.path)

    def to_dict(self) -> dict[str, Any]:
        """Return id, label, path and the columns of the metadata, for a data frame."""
        return {"id": self.id, "label": self.label, "path": str(self.path), **self.metadata}

    def _repr_html_(self) -> str:
        from pokesim.gallery import gallery  # only notebooks need it

        return gallery(f"Picture {self.id:,}", [(self.path, self.label)])


class Pictures(ABC):
    """The part of an `pokesim.search.index.Index` that is a sequence of pictures."""

    @property
    @abstractmethod
    def items(self) -> Items:
        """The pictures, by id."""

    @property
    @abstractmethod
    def metadata(self) -> Metadata | None:
        """The table that describes the pictures, if the index has one."""

    @abstractmethod
    def label_of(self, item: Item) -> str:
        """Return the label of a picture."""

    @abstractmethod
    def path_of(self, item: Item) -> Path:
        """Return the path of a picture."""

    @abstractmethod
    def vectors(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return the stored vectors, float32 (n, d), of ids (n,)."""

    @abstractmethod
    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures in the order of their ids."""
        return map(self._picture, self.items)

    @overload
    def __getitem__(self, at: int) -> Picture: ...
    @overload
    def __getitem__(self, at: slice) -> list[Picture]: ...
    def __getitem__(self, at: int | slice) -> Picture | list[Picture]:
        """Return the picture with an id, or a list of a slice of them; −1 is the last.

        Raises:
            IndexError: there is no such picture.
        """
        ids = range(len(self))[at]
        if isinstance(ids, range):
            return [self._picture(self.items[item_id]) for item_id in ids]
        return self._picture(self.items[ids])

    def _picture(self, item: Item) -> Picture:
        metadata = self.metadata
        row = metadata.row(item.id) if metadata else {}
        return Picture(item.id, self.label_of(item), self.path_of(item), row, self.vectors)

    @property
    def paths(self) -> list[Path]:
        """The paths of the pictures, by id."""
        return [self.path_of(item) for item in self.items]

    def to_records(self) -> list[dict[str, Any]]:
        """Return a dictionary for each picture, which `pandas.DataFrame` and Polars take."""
        return [picture.to_dict() for picture in self]

    def _repr_html_(self) -> str:
        from pokesim.gallery import MOST, gallery  # only notebooks need it

        more = f", the first {MOST}" if len(self) > MOST else ""
        return gallery(repr(self) + more, ((picture.path, picture.label) for picture in self))
