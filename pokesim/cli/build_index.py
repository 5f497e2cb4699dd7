"""Commands that make an index and change what is in it."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pokesim.cli import completion
from pokesim.cli.app import note, progress
from pokesim.cli.options import IndexOption, PrecisionOption, RuntimeOption, report_build
from pokesim.embedders.catalog import Precision, Runtime
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
            help="Folder of pictures. Default: images/, else the index's own, else samples.",
        ),
    ] = None,
    index: IndexOption = DEFAULT_INDEX,
    embedder: Annotated[
        str,
        typer.Option(
            help="A name that `pokesim embedders` lists, or auto.",
            autocompletion=completion.embedders,
        ),
    ] = "auto",
    weights: Annotated[
        Path | None, typer.Option(help="Weights file (.h5) for a Keras embedder.")
    ] = None,
    normalize: Annotated[
        bool | None,
        typer.Option(
            "--normalize/--no-normalize",
            help="Scale vectors to length 1, or keep their lengths. Default: as the index has it.",
            show_default="normalize",
        ),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Embed everything again, whatever was there.")
    ] = False,
    search: Annotated[
        str, typer.Option(help="flat or panorama (exact), auto, or a FAISS factory string.")
    ] = "auto",
    metadata: Annotated[
        Path | None,
        typer.Option(help="Table (CSV, TSV, JSON Lines) that describes the pictures."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Its column that names them. Default: the one that names the most."),
    ] = None,
    no_metadata: Annotated[
        bool, typer.Option("--no-metadata", help="Drop the table that the index has.")
    ] = False,
    runtime: RuntimeOption = Runtime.LITERT,
    precision: PrecisionOption = Precision.FLOAT32,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures embedded at a time.", show_default="32"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail if any picture cannot be read.")
    ] = False,
    max_pixels: Annotated[
        int | None,
        typer.Option(min=1, help="Cap on width × height.", show_default="89 million"),
    ] = None,
    file_seconds: Annotated[
        float | None,
        typer.Option(min=0, help="Time that reading one file may take.", show_default="60"),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="N|ADDRESS", help="Embed in N processes, or by those of a dask scheduler."
        ),
    ] = None,
) -> None:
    """Index a folder of pictures, or bring its index up to date.

    Each picture becomes a vector, and the search among them is exact. What an index has already
    is not embedded again, and an interrupted build goes on.

    A table's rows go to the pictures that they name by label, file name or path.

    Examples:
        pokesim build-index ~/Pictures --index indexes/mine --file-seconds 10
        pokesim build-index scans --max-pixels 400000000 --batch-size 64
        pokesim build-index images --no-metadata --rebuild --no-normalize
        pokesim build-index images --metadata pokemon.csv --key Name
    """
    from pokesim.build.build import build_index
    from pokesim.embedders.litert import BATCH_SIZE
    from pokesim.images import FILE_SECONDS, MAX_PIXELS

    if metadata and no_metadata:
        raise UsageError("Give --metadata, or --no-metadata.")
    folder = images or _default_images(index)
    with _opened(workers) as crew, progress(partial(_files_by, crew)) as tell:
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
            workers=crew,
            progress=tell,
        )
    report_build(report)


def _opened(workers: str | None) -> contextlib.AbstractContextManager[DaskWorkers | None]:
    if workers is None:
        return contextlib.nullcontext()
    from pokesim.distributed.cluster import open_workers

    return open_workers(workers)


def _files_by(crew: DaskWorkers | None) -> str:
    if crew is None:
        return "files"
    return f"files by {counted(crew.count, 'worker')}"


def _default_images(index: str) -> Path:
    from pokesim.index import open_store

    if Path("images").is_dir():
        return Path("images")
    with contextlib.suppress(IndexNotFoundError):
        return Path(open_store(index).snapshot().manifest.images)
    from pokesim.samples import builtin_samples

    note("There is no images/ here; indexing the built-in sample pictures.")
    return builtin_samples().images
