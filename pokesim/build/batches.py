"""Files → what they are, and a vector of each picture that needs one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pokesim.build.loader import FileLoader, LoadedFile
from pokesim.embedders.catalog import Compute
from pokesim.embedders.model_cache import Model
from pokesim.embedders.runtimes import Embedder
from pokesim.threads import read_ahead

File = TypeVar("File")

_BLOCK = 8192
"""Files that a batch has at most, where few of them are to be embedded."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that were looked into.

    Attributes:
        reads: what came of each, in the order of the files.
        vectors: float32 (n, d), as the network gives them, of the n pictures whose vector was not
            known.
    """

    reads: list[LoadedFile]
    vectors: NDArray[np.float32]


class EmbedBatches(Protocol):
    """Looks into files, in whichever process: `embed_here`, or the workers of `pokesim.scale`."""

    def __call__(
        self, reader: FileLoader, paths: Sequence[str], batch_size: int, /
    ) -> Generator[Batch, None, None]:
        """Yield what came of the files, in their order, some at a time."""


class Workers(Protocol):
    """Processes that embed in place of this one, perhaps on other machines."""

    def embedder(self, model: Model, compute: Compute) -> EmbedBatches:
        """Return what has them embed with a model."""


def embed_locally(
    load: Callable[[], Embedder], reader: FileLoader, paths: Iterable[str], batch_size: int
) -> Generator[Batch, None, None]:
    """Read files ahead in threads, and embed a batch at a time in this one.

    Args:
        load: loads the network.
        reader: reads a file.
        paths: the files.
        batch_size: pictures embedded at a time.
    """
    network = load()
    with contextlib.closing(
        read_ahead(reader, paths, 2 * batch_size, seconds=reader.seconds, late=reader.late)
    ) as reads:
        for some in batches(reads, batch_size, lambda read: read.pixels is not None):
            pixels = [read.pixels for read in some if read.pixels is not None]
            none = np.empty((0, network.dimension), np.float32)
            yield Batch(some, network.embed(np.stack(pixels)) if pixels else none)


def batches(
    files: Iterable[File], size: int, needs_vector: Callable[[File], bool]
) -> Iterator[list[File]]:
    """Divide files into batches of ``size`` pictures to embed, others among them.

    A build that goes on after an interruption so makes the batches that it would have made.
    """
    batch: list[File] = []
    pictures = 0
    for file in files:
        batch.append(file)
        pictures += needs_vector(file)
        if pictures == size or len(batch) == _BLOCK:
            yield batch
            batch, pictures = [], 0
    if batch:
        yield batch
