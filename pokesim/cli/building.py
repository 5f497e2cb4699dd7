"""Commands that make an index and change what is in it."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pokesim.cli import completion
from pokesim.cli.base import IndexOption, PrecisionOption, RuntimeOption, note, progress
from pokesim.embedders.catalog import Precision, Runtime
from pokesim.errors import NoIndexError, UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import counted, plain

if TYPE_CHECKING:
    from pokesim.index.work import BuildReport
    from pokesim.scale.dask_embed import DaskWorkers


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
    from pokesim.embedders.litert import BATCH_SIZE
    from pokesim.images import FILE_SECONDS, MAX_PIXELS
    from pokesim.index import build

    if metadata and no_metadata:
        raise UsageError("Give --metadata, or --no-metadata.")
    folder = images or _default_images(index)
    with _opened(workers) as crew, progress(partial(_files_by, crew)) as tell:
        report = build.build_index(
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
    _report(report)


def _opened(workers: str | None) -> contextlib.AbstractContextManager[DaskWorkers | None]:
    if workers is None:
        return contextlib.nullcontext()
    from pokesim.scale.workers import open_workers

    return open_workers(workers)


def _files_by(crew: DaskWorkers | None) -> str:
    if crew is None:
        return "files"
    return f"files by {counted(crew.count, 'worker')}"


def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Pictures.")],
    index: IndexOption = DEFAULT_INDEX,
) -> None:
    """Add single pictures to an index.

    The others are not looked at.

    Examples:
        pokesim add new.jpg --index indexes/mine
    """
    from pokesim.index.edit import add_pictures

    _report(add_pictures(files, index))


def remove(
    names: Annotated[
        list[str], typer.Argument(metavar="LABEL|PATH", help="Labels or paths of pictures.")
    ],
    index: IndexOption = DEFAULT_INDEX,
) -> None:
    """Take pictures out of an index; their files stay.

    Building the index again takes up what is still in its folder.

    Examples:
        pokesim remove brumbel --index indexes/mine
    """
    from pokesim.index.edit import remove_pictures

    report = remove_pictures(names, index)
    print(f"Removed {counted(report.dropped, 'picture')}; {index} has {report.indexed:,}.")


def _report(report: BuildReport) -> None:
    """Say what a build did."""
    from pokesim.show.text import metadata_text

    for skipped in report.skipped:
        note(plain(f"skipped {skipped.path}: {skipped.reason}"))
    if metadata := report.metadata:
        note(plain(metadata_text(metadata, report.indexed)))
    if not report.changed:
        print(f"Nothing to do: {report.index} has these {report.indexed:,} pictures already.")
        return
    print(
        f"Indexed {counted(report.indexed, 'picture')}, skipped {len(report.skipped):,}, with "
        f"{report.embedder} in {report.seconds:.1f} s: {report.embedded:,} embedded "
        f"({report.embedded / report.seconds:,.0f} a second), "
        f"{report.indexed - report.embedded:,} as before, {report.dropped:,} dropped. "
        f"The index is {report.index}."
    )


def _default_images(index: str) -> Path:
    from pokesim.index.store import store_of

    if Path("images").is_dir():
        return Path("images")
    with contextlib.suppress(NoIndexError):
        return Path(store_of(index).snapshot().manifest.images)
    from pokesim.samples import builtin_samples

    note("There is no images/ here; indexing the built-in sample pictures.")
    return builtin_samples().images
