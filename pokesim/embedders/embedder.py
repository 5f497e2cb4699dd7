"""A model, which is a file and its origin, and what every embedder, which runs one, can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pokesim.embedders.catalog import EmbedderSpec, spec_of, spec_of_network
from pokesim.embedders.network import Network, NetworkFile

if TYPE_CHECKING:  # the cache is listed without numpy
    import numpy as np
    from numpy.typing import NDArray

EXPORT_VERSION = 1
"""Raised when `keras_export` writes a different graph for the same weights."""

_PIXELS_AT_ONCE = 1 << 17


def at_once(side: int) -> int:
    """Return how many pictures of this side a network should compute at once.

    What it computes of few stays in the processor's cache: of two of 224 pixels at once,
    EfficientNet-Lite0 takes a fifth less time than of 32. Small pictures are quicker by the eight.
    """
    return max(1, _PIXELS_AT_ONCE // side**2)


@dataclass(frozen=True, slots=True)
class Model:
    """A model file on this machine, and its origin.

    Attributes:
        name: name of the embedder, in the catalogue.
        weights_sha256: hash of the weights it was made from; equal hashes give equal vectors. For
            a pair, the hash of its parts' weights and of its head.
        export_version: `EXPORT_VERSION` when it was made.
        bytes, sha256: size and hash of the model file; `bytes` of a pair includes its parts.
        published: whether it was made from the weights that Keras publishes, not from a user's.
        path: the model file; that of the head, for a pair.
        weights: the weights file it was made from, if that is still on this machine.
        parts: the models of a pair's parts.
        network: what is known of a network from a file; None for those of the catalogue.
        beside: further files in the folder of ``path`` that the model needs, by name.
    """

    name: str
    weights_sha256: str
    export_version: int
    bytes: int
    sha256: str
    published: bool
    path: Path
    weights: Path | None = None
    parts: tuple[Model, ...] = ()
    network: Network | None = None
    beside: Mapping[str, NetworkFile] = field(default_factory=dict)

    @property
    def files(self) -> dict[Path, str]:
        """The SHA-256 of its file and of those beside it."""
        others = {self.path.with_name(name): one.sha256 for name, one in self.beside.items()}
        return {self.path: self.sha256, **others}

    @property
    def networks(self) -> tuple[Model, ...]:
        """The models of networks: the parts of a pair, or the model itself."""
        return self.parts or (self,)


class ModelKey(Protocol):
    """The identity of a model: a `Model` itself, or its record in a manifest."""

    @property
    def name(self) -> str:
        """Name of the embedder, in the catalogue."""

    @property
    def weights_sha256(self) -> str:
        """Hash of the weights that the model was made from."""

    @property
    def export_version(self) -> int:
        """`EXPORT_VERSION` when it was made."""

    @property
    def network(self) -> Network | None:
        """What is known of a network from a file; None for those of the catalogue."""


def spec_for(key: ModelKey) -> EmbedderSpec:
    """Return what the catalogue says of a model, or would say of a network from a file."""
    return spec_of_network(key.name, key.network) if key.network else spec_of(key.name)


class Embedder(Protocol):
    """Runs a model: RGB pixels in, vectors out. There is one class for each runtime.

    It is safe to use from several threads.
    """

    @property
    def side(self) -> int:
        """Width and height of the input, in pixels."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, dimension), of uint8 (n, side, side, 3), RGB."""
