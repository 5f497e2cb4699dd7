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
from pokesim.embedders.embedder import Embedder
from pokesim.embedders.model_cache import Model
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
    """

    reads: list[LoadedFile]
    vectors: NDArray[np.float32]


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


def embed_locally(
    load: Callable[[], Embedder], loader: FileLoader, paths: Iterable[str], batch_size: int
) -> Generator[Batch, None, None]:
    """Read files ahead in threads, and embed a batch at a time in this thread.

    Args:
        load: loads the embedder.
        loader: reads a file.
        paths: the files.
        batch_size: number of pictures embedded at a time.
    """
    embedder = load()
    with contextlib.closing(
        read_ahead(loader, paths, 2 * batch_size, seconds=loader.hangs_after, late=loader.late)
    ) as reads:
        for batch in batches(reads, batch_size, lambda read: read.pixels is not None):
            pixels = [read.pixels for read in batch if read.pixels is not None]
            none = np.empty((0, embedder.dimension), np.float32)
            yield Batch(batch, embedder.embed(np.stack(pixels)) if pixels else none)


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
