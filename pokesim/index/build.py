"""A picture folder → a published snapshot: decode in parallel, embed in batches, write as one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np

from pokesim.cache import sha256_of
from pokesim.embedders import models
from pokesim.embedders.catalog import AUTO
from pokesim.embedders.litert import BATCH_SIZE, LiteRTEmbedder, usable_cores
from pokesim.errors import IndexFolderError, NotAPictureError, PictureError, UsageError
from pokesim.images import MAX_PIXELS, READING, Pixels, find_files, has_picture_ending, pixels_of
from pokesim.index import DEFAULT_INDEX
from pokesim.index.items import Item
from pokesim.index.snapshot import (
    EmbedderRecord,
    Skipped,
    SnapshotWriter,
    writing,
)
from pokesim.index.vectors import normalized

Source = TypeVar("Source")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with (files done, files in all): at the start, then after each batch."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    Attributes:
        index: where the index is.
        embedder: the embedder's name.
        indexed: number of pictures in the index.
        skipped: files that claim to be pictures but could not be read.
        seconds: from the first file to the published snapshot, a first export not counted.
    """

    index: Path
    embedder: str
    indexed: int
    skipped: tuple[Skipped, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Read:
    """One file on its way: a picture, a skipped one, or (both None) something else."""

    item: Item | None = None
    pixels: Pixels | None = None
    skipped: Skipped | None = None


def build_index(
    images: str | Path,
    index: str | Path = DEFAULT_INDEX,
    *,
    embedder: str = AUTO,
    weights: str | Path | None = None,
    normalize: bool = True,
    batch_size: int = BATCH_SIZE,
    strict: bool = False,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> BuildReport:
    """Embed every picture below a folder and publish the vectors as an exact L2 index.

    The index that was there before answers until the new one is complete, and stays if anything
    goes wrong. Memory is bounded by the batch, not by the folder.

    Args:
        images: the picture folder; searched recursively, hidden files passed over.
        index: the index's folder.
        embedder: a name from `pokesim embedders`, or "auto".
        weights: a local weights file for a Keras embedder.
        normalize: scale vectors to length 1, so that brightness of features does not count.
        batch_size: pictures embedded at a time.
        strict: fail if any picture cannot be read.
        max_pixels: cap on a picture's width × height.
        progress: called as files are done.

    Raises:
        PokesimError: there is nothing to index, the embedder cannot be had, a picture cannot be
            read (with ``strict``), or the index cannot be written.
    """
    root, home = Path(images), Path(index)
    if batch_size < 1:
        raise UsageError(f"The batch size must be at least 1, not {batch_size}.")
    files = _files_of(root)
    model = models.prepare(embedder, Path(weights) if weights else None)
    network = LiteRTEmbedder(model.path)
    record = EmbedderRecord(
        model.embedder,
        model.weights_sha256,
        model.export_version,
        network.side,
        READING,
        normalize,
    )
    start = time.monotonic()
    tell = progress or (lambda done, total: None)
    tell(0, len(files))
    with writing(home, network.dimension) as writer:
        skipped: list[Skipped] = []
        done = 0
        read = _reader(root, network.side, max_pixels)
        for batch in _batches(_read_ahead(read, files, 2 * batch_size), batch_size):
            skipped += [one.skipped for one in batch if one.skipped]
            if strict and skipped:
                raise PictureError(str(root / skipped[0].path), skipped[0].reason)
            _embed_into(writer, network, batch, normalize)
            done += len(batch)
            tell(done, len(files))
        if not writer.count:
            raise _nothing_in(root, skipped)
        writer.publish(home, root.resolve(), record, skipped)
        indexed = writer.count
    return BuildReport(home, model.embedder, indexed, tuple(skipped), time.monotonic() - start)


def _files_of(root: Path) -> list[str]:
    if not root.exists():
        raise IndexFolderError(f"There is no folder {root} to index.")
    if not root.is_dir():
        raise IndexFolderError(f"{root} is a file; give the folder of pictures.")
    files = find_files(root)
    if not files:
        raise _nothing_in(root, ())
    return files


def _nothing_in(root: Path, skipped: Iterable[Skipped]) -> IndexFolderError:
    first = next(iter(skipped), None)
    why = f"; the first that failed is {first.path}: {first.reason}" if first else ""
    return IndexFolderError(f"There is no picture to index in {root}{why}.")


def _reader(root: Path, side: int, max_pixels: int) -> Callable[[str], _Read]:
    """Return a function that reads one file of ``root``; safe to call from several threads."""

    def read(path: str) -> _Read:
        full = root / path
        try:
            stat = full.stat()
            pixels = pixels_of(full, side, max_pixels)
            digest = sha256_of(full)
        except NotAPictureError as error:
            if not has_picture_ending(path):
                return _Read()
            reason = error.reason if stat.st_size else "empty file"
            return _Read(skipped=Skipped(path, reason))
        except PictureError as error:
            return _Read(skipped=Skipped(path, error.reason))
        except OSError as error:  # gone, or changed hands, since the folder was listed
            return _Read(skipped=Skipped(path, error.strerror or str(error)))
        label = PurePosixPath(path).stem
        return _Read(Item(0, path, label, stat.st_size, stat.st_mtime_ns, digest), pixels)

    return read


def _embed_into(
    writer: SnapshotWriter, network: LiteRTEmbedder, batch: list[_Read], normalize: bool
) -> None:
    """Embed the pictures of a batch and append them, with ids in their order."""
    pixels = [one.pixels for one in batch if one.pixels is not None]
    if not pixels:
        return
    vectors = network.embed(np.stack(pixels))
    items = [one.item for one in batch if one.item is not None]
    writer.add(
        normalized(vectors) if normalize else vectors,
        [replace(item, id=writer.count + row) for row, item in enumerate(items)],
    )


def _read_ahead(
    work: Callable[[Source], Result], inputs: Iterable[Source], ahead: int
) -> Iterator[Result]:
    """Yield ``work(input)`` in order, computed in threads, at most ``ahead`` results waiting."""
    pool = ThreadPoolExecutor(usable_cores(), "pokesim-read")
    waiting: deque[Future[Result]] = deque()
    try:
        for one in inputs:
            waiting.append(pool.submit(work, one))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _batches(results: Iterable[Result], size: int) -> Iterator[list[Result]]:
    results = iter(results)
    while batch := list(islice(results, size)):
        yield batch
