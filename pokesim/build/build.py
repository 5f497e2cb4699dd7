"""Build an index of a picture folder, or update it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from pokesim.arguments import file_path, finite_number, text, truth, whole_number
from pokesim.build.batches import EmbedBatches, Workers, embed_locally, opening
from pokesim.build.compute import RequestedCompute, fastest_embedder, lasting_precision
from pokesim.build.options import BuildOptions, BuildReport
from pokesim.build.pipeline import no_pictures, run_build
from pokesim.build.plan import plan_update
from pokesim.build.previous import incompatible
from pokesim.embedders.catalog import AUTO, LITERT, Precision, spec_of
from pokesim.embedders.embedder import Model, spec_for
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.embedders.model_cache import find_model
from pokesim.embedders.prepare import check_takes_weights, network_of, prepare_model
from pokesim.embedders.runtimes import compute_for
from pokesim.errors import (
    CorruptIndexError,
    IndexFolderError,
    IndexNotFoundError,
    ModelError,
    UsageError,
)
from pokesim.files import sha256_of
from pokesim.images import FILE_SECONDS, MAX_PIXELS, find_files
from pokesim.index import DEFAULT_INDEX, open_store
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.manifest import AUTO_SEARCH, FLAT, EmbedderRecord, Manifest, Skipped
from pokesim.index.metadata.table import Table, read_table
from pokesim.progress import Progress

log = logging.getLogger(__name__)

MAX_BATCH_SIZE = 4096
"""More pictures at a time would only take more memory, 600 MB for each thousand."""


def build_index(
    images: str | Path,
    index: str | Path = DEFAULT_INDEX,
    *,
    embedder: str = AUTO,
    weights: str | Path | None = None,
    normalize: bool | None = None,
    search: str = AUTO_SEARCH,
    metadata: str | Path | Literal[False] | None = None,
    key: str | None = None,
    runtime: str = AUTO,
    precision: str = Precision.FLOAT32,
    rebuild: bool = False,
    batch_size: int = BATCH_SIZE,
    strict: bool = False,
    max_pixels: int = MAX_PIXELS,
    file_seconds: float = FILE_SECONDS,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Embed every picture below a folder, and write the vectors as an exact L2 index.

    If the index exists, only new and changed files are embedded, and pictures whose files are gone
    are dropped. Queries use the existing index until the new one is complete; if the build fails,
    the existing one is unchanged. An interrupted build resumes where it stopped. Memory use depends
    on the batch size, not on the size of the folder.

    Args:
        images: the picture folder, searched recursively; hidden files are ignored.
        index: the index's folder, or its address: ``milvus://HOST:PORT/COLLECTION``.
        embedder: a name that `pokesim embedders` lists, or the path of a network: an ONNX, LiteRT,
            OpenVINO or Keras file, or a folder as hubs publish them. "auto" keeps the embedder of
            the index, and means "general" for a new one.
        weights: a local weights file for a Keras embedder.
        normalize: scale vectors to length 1, so that only their directions are compared. None keeps
            the setting of the index, and means True for a new one.
        search: "flat" or "pca" (both exact), or a FAISS factory string, such as
            "IVF1024,Flat", for approximate search. "auto" keeps the search of the index; for a new
            one it chooses an exact search by size.
        metadata: a table (CSV, TSV, JSON Lines) that describes the pictures, by label, file name or
            path. None keeps the table of the index, and reads it again if its file has changed;
            False drops it.
        key: the table's column with the picture names; None takes the column that names the most.
        runtime: "litert", "openvino" (an extra), or "keras" for a GPU; a network from a file brings
            its own in place of "litert". "auto" takes the faster one of LiteRT and OpenVINO in a
            build that is long enough to time both, else LiteRT.
        precision: "float32", or "bfloat16" with OpenVINO on processors that support it. "auto"
            keeps that of the index; for a new one it takes bfloat16 if that is available and, for
            1,000 of the pictures, keeps at least 99 % of the nearest ones.
        rebuild: embed everything again, and replace an index that was made with other options.
        batch_size: number of pictures embedded at a time.
        strict: fail if any picture cannot be read.
        max_pixels: cap on a picture's width × height.
        file_seconds: time limit for reading one file, which is skipped after it.
        workers: embed on these workers, from `pokesim.open_workers`, instead of in this process.
        progress: called after each batch.

    Raises:
        PokesimError: there is nothing to index, the embedder is not available or not the one that
            made the index, a picture cannot be read (with ``strict``), or the index cannot be
            written.
        KeyboardInterrupt: with a message that says how to resume.
    """
    root = file_path("The picture folder", images)
    text("embedder", embedder)
    text("search", search)
    rebuild, strict = truth("rebuild", rebuild), truth("strict", strict)
    normalize = None if normalize is None else truth("normalize", normalize)
    weights = None if weights is None else file_path("The weights file", weights)
    key = None if key is None else text("key", key)
    if metadata is not None and metadata is not False:
        metadata = file_path("The table", metadata)
    batch_size = whole_number("The batch size", batch_size, most=MAX_BATCH_SIZE)
    max_pixels = whole_number("max_pixels", max_pixels)
    file_seconds = finite_number("file_seconds", file_seconds)
    files, skipped = _find_pictures(root)
    if key is not None and not metadata:
        raise UsageError(f"The key {key} is a column of a table; give the table too (--metadata).")
    table = read_table(metadata) if isinstance(metadata, Path) else metadata
    requested = RequestedCompute.named(runtime, precision)
    store = open_store(index)
    with store.folder(write=True) as path:
        folder = IndexFolder(path)
        manifest = None if rebuild else _existing(folder)
        existing = manifest.embedder if manifest else None
        model = _model_for(embedder, weights, existing, str(index))
        if normalize is None:
            normalize = existing.normalized if existing else True
        dimension = spec_for(model).dimension
        record = record_of(model, normalize)
        if existing and existing.is_read_as(record.side):
            # Plain margins were once kept; until it is rebuilt, they are in all of an index.
            record = replace(record, reading=existing.reading)
        compute = requested.resolved(
            lambda: (
                Precision(manifest.precision)
                if manifest
                else lasting_precision(model, record, root, files, max_pixels)
            )
        )
        if model.network:  # its format decides
            compute = compute_for(model, compute or LITERT)
        embed: EmbedBatches
        if workers:
            embed = workers.embedder(model, compute or LITERT)
        elif compute:
            embed = partial(embed_locally, opening(model, compute))
        else:
            embed = partial(embed_locally, partial(fastest_embedder, model))
        options = BuildOptions(
            index=str(index),
            folder=folder,
            root=root,
            record=record,
            dimension=dimension,
            embed=embed,
            search=store.resolve_search(search, dimension),
            metadata=table,
            key=key,
            compute=compute or LITERT,
            batch_size=batch_size,
            strict=strict,
            max_pixels=max_pixels,
            file_seconds=file_seconds,
            rebuild=rebuild,
            on_progress=progress or _ignore_progress,
        )
        report = run_build(options, lambda previous: plan_update(previous, root, files, skipped))
    if report.images_before:
        log.info("The index covered %s; it now covers %s.", report.images_before, root.resolve())
    return report


def embed_folder(
    root: Path,
    path: Path,
    model: Model,
    *,
    files: Sequence[str],
    normalize: bool,
    search: str = FLAT,
    table: Table | None = None,
    key: str | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Build or update the index in the folder ``path`` from some files of a picture folder.

    An index that another embedder made is replaced. The files are sorted and relative to ``root``;
    the options are those of `build_index`.

    Raises:
        PokesimError: as `build_index`.
    """
    record = record_of(model, normalize)
    compute = compute_for(model, LITERT)
    folder = IndexFolder(path)
    options = BuildOptions(
        index=str(path),
        folder=folder,
        root=root,
        record=record,
        dimension=spec_for(model).dimension,
        embed=partial(embed_locally, opening(model, compute)),
        compute=compute,
        search=search,
        metadata=table,
        key=key,
        rebuild=made_by(folder) not in (None, record),
        on_progress=progress or _ignore_progress,
    )
    return run_build(options, lambda previous: plan_update(previous, root, files))


def record_of(model: Model, normalize: bool) -> EmbedderRecord:
    """Return the manifest's record of an embedder."""
    frame = spec_for(model).frame
    return EmbedderRecord(
        model.name,
        model.weights_sha256,
        model.export_version,
        frame.side,
        frame.reading,
        normalize,
        model.network,
    )


def made_by(folder: IndexFolder) -> EmbedderRecord | None:
    """Return the embedder that made an index; None if there is no index, or none that is intact.

    Raises:
        IncompatibleIndexError: its format is newer than this pokesim.
    """
    manifest = _existing(folder)
    return manifest.embedder if manifest else None


def _existing(folder: IndexFolder) -> Manifest | None:
    try:
        return folder.current().manifest
    except IndexNotFoundError:
        return None
    except CorruptIndexError:  # a build continues the newest intact snapshot
        older = next(folder.intact_snapshots(), None)
        return older.manifest if older else None


def _model_for(
    embedder: str, weights: Path | None, existing: EmbedderRecord | None, index: str
) -> Model:
    """Return the requested model.

    Raises:
        IncompatibleIndexError: another embedder made the index; its model is not even prepared.
    """
    if existing is None:
        return prepare_model(embedder, weights)
    if embedder not in (AUTO, existing.name) and (given := network_of(embedder)):
        requested = record_of(given, existing.normalized)
        if not existing.is_by_same_network(requested):
            raise incompatible(index, existing, requested)
        embedder = existing.name
    name = existing.name if embedder in (AUTO, existing.name) else spec_of(embedder).name
    if weights is None and name == existing.name:
        try:
            return find_model(existing)
        except ModelError as error:
            raise ModelError(f"{error} Or replace the index with --rebuild.") from error
    requested = existing if name == existing.name else replace(existing, name=name, network=None)
    if weights:
        check_takes_weights(spec_for(existing) if name == existing.name else spec_of(name))
        requested = replace(requested, weights_sha256=_sha256_of_weights(weights))
    if requested != existing:
        raise incompatible(index, existing, requested)
    return prepare_model(name, weights)


def _sha256_of_weights(weights: Path) -> str:
    try:
        return sha256_of(weights)
    except OSError as error:
        raise ModelError(
            f"The weights file {weights} cannot be read ({error.strerror})."
        ) from error


def _find_pictures(root: Path) -> tuple[list[str], list[Skipped]]:
    """Return the files of a picture folder, and those that cannot be pictures."""
    if not root.exists():
        raise IndexFolderError(f"There is no folder {root} to index.")
    if not root.is_dir():
        raise IndexFolderError(f"{root} is a file; give the folder of pictures.")
    skipped: list[Skipped] = []
    files = find_files(root, lambda path, reason: skipped.append(Skipped(path, reason)))
    if not files:
        raise no_pictures(root, skipped)
    return files, skipped


def _ignore_progress(done: int, total: int) -> None:
    pass
