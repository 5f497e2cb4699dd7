"""A picture of an opened index, for Python programs and notebooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from pokesim.images import image_of

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
