"""A picture folder → an index, made or brought up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from pokesim.build.batches import EmbedBatches, Workers, embed_locally
from pokesim.build.options import BuildOptions, BuildReport
from pokesim.build.pipeline import incompatible, no_pictures, run_build
from pokesim.build.plan import plan_update
from pokesim.embedders.catalog import (
    AUTO,
    PREFERRED,
    Compute,
    Precision,
    Runtime,
    spec_of,
)
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.embedders.model_cache import Model, find_model
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import open_embedder
from pokesim.errors import (
    CorruptIndexError,
    IndexFolderError,
    IndexNotFoundError,
    ModelError,
    UsageError,
)
from pokesim.files import sha256_of
from pokesim.images import FILE_SECONDS, MAX_PIXELS, READING, find_files
from pokesim.index import DEFAULT_INDEX, open_store
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.manifest import AUTO_SEARCH, FLAT, EmbedderRecord, Skipped
from pokesim.index.metadata.table import Table, read_table
from pokesim.progress import Progress


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
    runtime: str = Runtime.LITERT,
    precision: str = Precision.FLOAT32,
    rebuild: bool = False,
    batch_size: int = BATCH_SIZE,
    strict: bool = False,
    max_pixels: int = MAX_PIXELS,
    file_seconds: float = FILE_SECONDS,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Embed every picture below a folder and publish the vectors as an exact L2 index.

    Of an index that is there, only files that are new or changed are embedded; what is gone is
    dropped. It answers until the new one is complete, and stays if anything goes wrong. A build
    that was interrupted goes on where it was. Memory is bounded by the batch, not by the folder.

    Args:
        images: the picture folder; searched recursively, hidden files passed over.
        index: the index's folder, or its address: ``milvus://HOST:PORT/COLLECTION``.
        embedder: a name from `pokesim embedders`; "auto" keeps the index's own.
        weights: a local weights file for a Keras embedder.
        normalize: scale vectors to length 1, so that brightness of features does not count; None
            keeps what the index has, and is True for a new one.
        search: "flat" or "panorama", which are exact, a FAISS factory string, such as
            "IVF1024,Flat", for approximate search, or "auto", which keeps what the index has, and
            for a new one chooses between the exact ones by size.
        metadata: a table (CSV, TSV, JSON Lines) that describes the pictures, by their labels, file
            names or paths. None keeps the index's own, and reads it again where its file has
            changed; False drops it.
        key: its column that names the pictures; None takes the one that names the most.
        runtime: "litert", "openvino" (an extra), or "keras" for a GPU.
        precision: "float32", or "bfloat16" with OpenVINO where the processor has it.
        rebuild: embed everything again, and replace an index that was made otherwise.
        batch_size: pictures embedded at a time.
        strict: fail if any picture cannot be read.
        max_pixels: cap on a picture's width × height.
        file_seconds: how long reading one file may take before it is skipped.
        workers: what `pokesim.open_workers` gives embeds, in place of this process.
        progress: called as files are done.

    Raises:
        PokesimError: there is nothing to index, the embedder cannot be had or is not the index's
            own, a picture cannot be read (with ``strict``), or the index cannot be written.
        KeyboardInterrupt: with a sentence that says how to go on.
    """
    root = Path(images)
    passed_over: list[Skipped] = []
    files = _files_of(root, passed_over)
    if batch_size < 1:
        raise UsageError(f"The batch size must be at least 1, not {batch_size}.")
    if key is not None and not metadata:
        raise UsageError(f"The key {key} is a column of a table; name the table (--metadata).")
    table = read_table(Path(metadata)) if isinstance(metadata, str | Path) else metadata
    compute = Compute.named(runtime, precision)
    store = open_store(index)
    with store.folder(write=True) as home:
        before = None if rebuild else made_by(home)
        model = _model_for(embedder, Path(weights) if weights else None, before, str(index))
        if normalize is None:
            normalize = before.normalized if before else True
        dimension = spec_of(model.name).dimension
        if workers:
            embed: EmbedBatches = workers.embedder(model, compute)
        else:
            embed = partial(embed_locally, partial(open_embedder, model, compute))
        work = BuildOptions(
            str(index),
            home,
            root,
            record_of(model, normalize),
            dimension,
            embed,
            store.resolve_search(search, dimension),
            table,
            key,
            compute,
            batch_size=batch_size,
            strict=strict,
            max_pixels=max_pixels,
            file_seconds=file_seconds,
            rebuild=rebuild,
            tell=progress or (lambda done, total: None),
        )
        return run_build(work, lambda old: plan_update(old, root, files, passed_over))


def embed_folder(
    root: Path,
    home: Path,
    model: Model,
    *,
    files: Sequence[str],
    normalize: bool,
    search: str = FLAT,
    table: Table | None = None,
    key: str | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Bring an index of some files of a folder up to date, whatever made it before.

    Raises:
        PokesimError: as `build_index`.
    """
    record = record_of(model, normalize)
    before = made_by(home)
    work = BuildOptions(
        str(home),
        home,
        root,
        record,
        spec_of(model.name).dimension,
        partial(embed_locally, partial(open_embedder, model)),
        search,
        table,
        key,
        rebuild=before not in (None, record),
        tell=progress or (lambda done, total: None),
    )
    return run_build(work, lambda old: plan_update(old, root, files))


def record_of(model: Model, normalize: bool) -> EmbedderRecord:
    """Return what a manifest says of the embedder that made its vectors."""
    side = spec_of(model.name).side
    return EmbedderRecord(
        model.name, model.weights_sha256, model.export_version, side, READING, normalize
    )


def made_by(home: Path) -> EmbedderRecord | None:
    """Return what made the index that is there; None if there is none, or it cannot be read.

    Raises:
        OtherIndexError: it is of a newer format.
    """
    try:
        return IndexFolder(home).current().manifest.embedder
    except (IndexNotFoundError, CorruptIndexError):
        return None


def _model_for(
    embedder: str, weights: Path | None, before: EmbedderRecord | None, index: str
) -> Model:
    """Return the model that was asked for; another than the index's own is not even made."""
    if before is None:
        return prepare_model(embedder, weights)
    name = PREFERRED if embedder == AUTO else spec_of(embedder).name
    if weights is None and (embedder == AUTO or name == before.name):
        try:
            return find_model(before)
        except ModelError as error:
            raise ModelError(f"{error} Or start afresh with --rebuild.") from error
    asked = replace(before, name=name)
    if weights:
        asked = replace(asked, weights_sha256=_digest(weights))
    if asked != before:
        raise incompatible(index, before, asked)
    return prepare_model(name, weights)


def _digest(weights: Path) -> str:
    try:
        return sha256_of(weights)
    except OSError as error:
        raise ModelError(
            f"The weights file {weights} cannot be read ({error.strerror})."
        ) from error


def _files_of(root: Path, passed_over: list[Skipped]) -> list[str]:
    if not root.exists():
        raise IndexFolderError(f"There is no folder {root} to index.")
    if not root.is_dir():
        raise IndexFolderError(f"{root} is a file; give the folder of pictures.")
    files = find_files(root, lambda path, reason: passed_over.append(Skipped(path, reason)))
    if not files:
        raise no_pictures(root, passed_over)
    return files
