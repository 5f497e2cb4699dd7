"""A picture folder → a published snapshot: decode in parallel, embed in batches, write as one."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np

from pokesim.cache import sha256_of
from pokesim.embedders import models
from pokesim.embedders.catalog import AUTO, Precision, Runtime, runtime_named
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.embedders.models import Model
from pokesim.embedders.runtimes import Network, open_network
from pokesim.errors import IndexFolderError, NotAPictureError, PictureError, UsageError
from pokesim.images import (
    MAX_PIXELS,
    READING,
    Pixels,
    find_files,
    has_picture_ending,
    pixels_of,
    read_ahead,
)
from pokesim.index import DEFAULT_INDEX, structure
from pokesim.index.items import Item
from pokesim.index.snapshot import (
    EmbedderRecord,
    Manifest,
    Skipped,
    SnapshotWriter,
    new_snapshot,
    open_snapshot,
    publish,
    tuned,
)
from pokesim.index.structure import SearchRecord
from pokesim.metric import normalized

Result = TypeVar("Result")

log = logging.getLogger(__name__)

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
    search: str = structure.AUTO,
    runtime: str = Runtime.LITERT,
    precision: str = Precision.FLOAT32,
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
        search: "flat" or "panorama", which are exact, "auto", which chooses between them by size,
            or a FAISS factory string, such as "IVF1024,Flat", for approximate search.
        runtime: "litert", "openvino" (an extra), or "keras" for a GPU.
        precision: "float32", or "bfloat16" with OpenVINO where the processor has it.
        batch_size: pictures embedded at a time.
        strict: fail if any picture cannot be read.
        max_pixels: cap on a picture's width × height.
        progress: called as files are done.

    Raises:
        PokesimError: there is nothing to index, the embedder cannot be had, a picture cannot be
            read (with ``strict``), or the index cannot be written.
    """
    root = Path(images)
    files = _files_of(root)
    if batch_size < 1:
        raise UsageError(f"The batch size must be at least 1, not {batch_size}.")
    runs = runtime_named(runtime, precision)
    model = models.prepare(embedder, Path(weights) if weights else None)
    return embed_folder(
        root,
        Path(index),
        model,
        files=files,
        normalize=normalize,
        search=search,
        runs=runs,
        batch_size=batch_size,
        strict=strict,
        max_pixels=max_pixels,
        progress=progress,
    )


def embed_folder(
    root: Path,
    home: Path,
    model: Model,
    *,
    files: Sequence[str],
    normalize: bool,
    search: str = structure.FLAT,
    runs: tuple[Runtime, Precision] = (Runtime.LITERT, Precision.FLOAT32),
    batch_size: int = BATCH_SIZE,
    strict: bool = False,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> BuildReport:
    """Do what `build_index` says with a model that is at hand and the files of ``root``."""
    tell = progress or (lambda done, total: None)
    network = open_network(model, *runs)
    structure.check_asked(search, network.dimension)
    record = record_of(model, network.side, normalize)
    start = time.monotonic()
    tell(0, len(files))
    with (
        new_snapshot(home) as folder,
        contextlib.closing(SnapshotWriter(folder, network.dimension)) as writer,
    ):
        skipped: list[Skipped] = []
        done = 0
        read = _reader(root, network.side, max_pixels)
        for batch in _batches(read_ahead(read, files, 2 * batch_size), batch_size):
            skipped += [one.skipped for one in batch if one.skipped]
            if strict and skipped:
                raise PictureError(str(root / skipped[0].path), skipped[0].reason)
            _embed_into(writer, network, batch, normalize)
            done += len(batch)
            tell(done, len(files))
        if not writer.count:
            raise _nothing_in(root, skipped)
        writer.finish()
        manifest = Manifest(
            str(root.resolve()),
            record,
            network.dimension,
            writer.count,
            tuple(skipped),
            search=SearchRecord(search),
            runtime=runs[0],
            precision=runs[1],
        )
        publish(folder, home, _tuned_as_before(home, folder, manifest))
    seconds = time.monotonic() - start
    return BuildReport(home, model.embedder, manifest.count, tuple(skipped), seconds)


def record_of(model: Model, side: int, normalize: bool) -> EmbedderRecord:
    """Return what a manifest says of the embedder that made its vectors."""
    return EmbedderRecord(
        model.embedder, model.weights_sha256, model.export_version, side, READING, normalize
    )


def _tuned_as_before(home: Path, folder: Path, manifest: Manifest) -> Manifest:
    """Project the new vectors by the index's learned metric, if it has one for this embedder."""
    try:
        before = open_snapshot(home)
    except IndexFolderError:
        return manifest
    tuning, projection = before.manifest.tuning, before.projection()
    if tuning is None or projection is None:
        return manifest
    if before.manifest.embedder != manifest.embedder:
        log.info("The embedder is another, so the metric learned for the old one is dropped.")
        return manifest
    return tuned(folder, manifest, projection, tuning)


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
    writer: SnapshotWriter, network: Network, batch: list[_Read], normalize: bool
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


def _batches(results: Iterable[Result], size: int) -> Iterator[list[Result]]:
    results = iter(results)
    while batch := list(islice(results, size)):
        yield batch
