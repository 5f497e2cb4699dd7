"""Load files and embed their pictures, a batch at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pokesim.build.loader import FileLoader, LoadedFile
from pokesim.embedders.catalog import Compute
from pokesim.embedders.embedder import Embedder, Model
from pokesim.embedders.runtimes import open_embedder
from pokesim.images import Pixels
from pokesim.threads import read_ahead

File = TypeVar("File")

_MOST_FILES = 8192
"""Maximum number of files in a batch, reached when few of them must be embedded."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that were loaded.

    Attributes:
        reads: the loaded files, in the order of their paths.
        vectors: float32 (n, d), as the embedder returned them, of the n files that have pixels.
        compute: what computed the vectors; None if there are none, or if workers computed them.
    """

    reads: list[LoadedFile]
    vectors: NDArray[np.float32]
    compute: Compute | None = None


class EmbedBatches(Protocol):
    """Loads and embeds files, in this process (`embed_locally`) or on workers."""

    def __call__(
        self, loader: FileLoader, paths: Sequence[str], batch_size: int, /
    ) -> Generator[Batch, None, None]:
        """Yield batches of loaded files, in the order of the paths."""


class Workers(Protocol):
    """Processes that embed in place of this one, possibly on other machines."""

    def embedder(self, model: Model, compute: Compute) -> EmbedBatches:
        """Return a function that embeds with a model on the workers."""


class OpenEmbedder(Protocol):
    """Loads the embedder of a build."""

    def __call__(self, pixels: NDArray[np.uint8], pictures: int, /) -> tuple[Embedder, Compute]:
        """Return the embedder, and what it computes in.

        Args:
            pixels: uint8 (n, side, side, 3), the first batch.
            pictures: number of pictures to embed, about.
        """


def opening(model: Model, compute: Compute) -> OpenEmbedder:
    """Return a function that loads a model into a given runtime."""
    return lambda _pixels, _pictures: (open_embedder(model, compute), compute)


def embed_locally(
    load: OpenEmbedder, loader: FileLoader, paths: Sequence[str], batch_size: int
) -> Generator[Batch, None, None]:
    """Read files ahead in threads, and embed them a batch at a time.

    While a batch is embedded, the next one begins: at the end of a batch, some cores would have
    nothing to do.

    Args:
        load: loads the embedder, once the first batch is read.
        loader: reads a file.
        paths: the files.
        batch_size: number of pictures embedded at a time.
    """
    loaded: list[tuple[Embedder, Compute]] = []

    def stacked(reads: Iterable[LoadedFile]) -> Iterator[tuple[list[LoadedFile], Pixels | None]]:
        for batch in batches(reads, batch_size, lambda read: read.pixels is not None):
            pictures = [read.pixels for read in batch if read.pixels is not None]
            pixels = np.stack(pictures) if pictures else None
            if pixels is not None and not loaded:
                loaded.append(load(pixels, len(paths)))
            yield batch, pixels

    def embedded(batch: tuple[list[LoadedFile], Pixels | None]) -> Batch:
        files, pixels = batch
        if pixels is None:
            return Batch(files, np.empty((0, 0), np.float32))
        embedder, compute = loaded[0]
        return Batch(files, embedder.embed(pixels), compute)

    late, seconds = loader.late, loader.hangs_after
    with contextlib.closing(
        read_ahead(loader, paths, 2 * batch_size, seconds=seconds, late=late)
    ) as reads:
        yield from read_ahead(embedded, stacked(reads), 2)


def batches(
    files: Iterable[File], size: int, needs_vector: Callable[[File], bool]
) -> Iterator[list[File]]:
    """Group files into batches that each have ``size`` pictures to embed.

    Counting only these, a resumed build makes the same batches as one that was not interrupted.
    """
    batch: list[File] = []
    pictures = 0
    for file in files:
        batch.append(file)
        pictures += needs_vector(file)
        if pictures == size or len(batch) == _MOST_FILES:
            yield batch
            batch, pictures = [], 0
    if batch:
        yield batch
