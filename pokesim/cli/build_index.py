"""`pokesim build-index`."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pokesim.cli.options import (
    BuildPrecisionOption,
    BuildRuntimeOption,
    EmbedderOption,
    FileSecondsOption,
    IndexOption,
    KeyOption,
    MaxPixelsOption,
    MetadataOption,
)
from pokesim.cli.output import note, progress, say
from pokesim.embedders.catalog import AUTO
from pokesim.errors import IndexNotFoundError, UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import counted

if TYPE_CHECKING:
    from pokesim.distributed.embedder import DaskWorkers


def build_index(
    images: Annotated[
        Path | None,
        typer.Argument(
            metavar="IMAGES",
            help="Folder of pictures. Default: images/, the index's own, or the samples.",
        ),
    ] = None,
    index: IndexOption = DEFAULT_INDEX,
    embedder: EmbedderOption = AUTO,
    weights: Annotated[
        Path | None, typer.Option(help="Weights file (.h5) for a Keras embedder.")
    ] = None,
    normalize: Annotated[
        bool | None,
        typer.Option(
            "--normalize/--no-normalize",
            help="Scale vectors to length 1, or keep their lengths.",
            show_default="the index's own, normalize for a new one",
        ),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Replace the index: embed everything again.")
    ] = False,
    search: Annotated[
        str,
        typer.Option(
            metavar="flat|pca|auto|FACTORY",
            help="flat and pca are exact, auto chooses by size; a FAISS factory string such "
            "as IVF1024,Flat is approximate.",
        ),
    ] = "auto",
    metadata: MetadataOption = None,
    key: KeyOption = None,
    no_metadata: Annotated[
        bool, typer.Option("--no-metadata", help="Remove the index's table.")
    ] = False,
    runtime: BuildRuntimeOption = "auto",
    precision: BuildPrecisionOption = "float32",
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures to embed at a time.", show_default="32"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail if any picture cannot be read.")
    ] = False,
    max_pixels: MaxPixelsOption = None,
    file_seconds: FileSecondsOption = None,
    workers: Annotated[
        str | None,
        typer.Option(metavar="N|ADDRESS", help="Embed in N processes, or on a dask cluster."),
    ] = None,
) -> None:
    """Index a folder of pictures, or bring its index up to date.

    Each picture becomes a vector, and the search among them is exact. Only new and changed
    pictures are embedded, and an interrupted build continues where it stopped.

    A row of the table describes the picture that it names by label, file name or path.

    Examples:
        pokesim build-index ~/Pictures --index indexes/mine --file-seconds 10
        pokesim build-index scans --max-pixels 400000000 --batch-size 64
        pokesim build-index images --no-metadata --rebuild --no-normalize
        pokesim build-index images --metadata pokemon.csv --key Name
        pokesim build-index images --embedder resnet50 --weights resnet50.h5
        pokesim build-index images --runtime openvino --precision bfloat16
        pokesim build-index images --search pca --strict
    """
    from pokesim.build.build import build_index
    from pokesim.embedders.litert import BATCH_SIZE
    from pokesim.images import FILE_SECONDS, MAX_PIXELS
    from pokesim.show.reports import build_notes, build_text

    if metadata and no_metadata:
        raise UsageError("Give either --metadata or --no-metadata.")
    folder = images or _default_images(index)
    with _opened(workers) as cluster, progress(partial(_unit, cluster)) as on_progress:
        report = build_index(
            folder,
            index,
            embedder=embedder,
            weights=weights,
            search=search,
            metadata=False if no_metadata else metadata,
            key=key,
            runtime=runtime,
            precision=precision,
            normalize=normalize,
            rebuild=rebuild,
            batch_size=batch_size or BATCH_SIZE,
            strict=strict,
            max_pixels=max_pixels or MAX_PIXELS,
            file_seconds=FILE_SECONDS if file_seconds is None else file_seconds,
            workers=cluster,
            progress=on_progress,
        )
    for line in build_notes(report):
        note(line)
    say(build_text(report))


def _opened(workers: str | None) -> contextlib.AbstractContextManager[DaskWorkers | None]:
    if workers is None:
        return contextlib.nullcontext()
    from pokesim.distributed.cluster import open_workers

    return open_workers(workers)


def _unit(cluster: DaskWorkers | None) -> str:
    if cluster is None:
        return "files"
    return f"files by {counted(cluster.count, 'worker')}"


def _default_images(index: str) -> Path:
    from pokesim.index import open_store

    if Path("images").is_dir():
        return Path("images")
    with contextlib.suppress(IndexNotFoundError):
        return Path(open_store(index).snapshot().manifest.images)
    from pokesim.samples import builtin_samples

    note("There is no folder images/ here; indexing the built-in sample pictures.")
    return builtin_samples().images
