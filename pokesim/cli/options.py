"""Options that several commands share."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from pokesim.analysis.labels import Labels
from pokesim.cli import completion
from pokesim.embedders.catalog import Precision, Runtime
from pokesim.errors import PokesimError, UsageError
from pokesim.show.text import TableFormat

PAGE_ENDINGS = (".html", ".htm")

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg")

RuntimeOption = Annotated[Runtime, typer.Option(help="What runs the network; keras uses a GPU.")]

PrecisionOption = Annotated[Precision, typer.Option(help="Precision (OpenVINO only).")]

BuildRuntimeOption = Annotated[
    Literal["auto", "litert", "openvino", "keras"],
    typer.Option(help="What runs the network; auto takes the fastest on the processor."),
]

BuildPrecisionOption = Annotated[
    Literal["float32", "bfloat16", "auto"],
    typer.Option(
        help="bfloat16 (OpenVINO only) takes half the time; auto takes it if answers stay the same."
    ),
]

IndexOption = Annotated[
    str,
    typer.Option(
        "--index",
        "-i",
        help="The index's folder, or milvus://HOST:PORT/COLLECTION.",
        envvar="POKESIM_INDEX",
        autocompletion=completion.indexes,
    ),
]

EmbedderOption = Annotated[
    str,
    typer.Option(
        help="A name that `pokesim embedders` lists, or a network's file or folder.",
        autocompletion=completion.embedders,
        show_default="the index's own, general for a new one",
    ),
]

MetadataOption = Annotated[
    Path | None,
    typer.Option(
        help="Table (CSV, TSV, JSON Lines) that describes the pictures. Later builds read it "
        "again by themselves if it is in the picture folder or beside it."
    ),
]

KeyOption = Annotated[
    str | None,
    typer.Option(help="Column with the picture names. Default: the one that names the most."),
]

MaxPixelsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Maximum width × height of a picture.", show_default="89 million"),
]

FileSecondsOption = Annotated[
    float | None,
    typer.Option(min=0, help="Maximum time to read a file.", show_default="60"),
]

WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FILTER",
        help="Only pictures whose metadata match, such as Type1=grass; if repeated, all must hold.",
        autocompletion=completion.filters,
    ),
]

FormatOption = Annotated[TableFormat, typer.Option("--format", help="Format of the output.")]

TruthOption = Annotated[
    Labels,
    typer.Option(
        "--truth",
        "--labels",
        help="Where a photo's right label comes from; auto: the stem if the index has another "
        "picture called so, else the folder.",
    ),
]


def all_of(filters: list[str] | None) -> str | None:
    """Return the filter that holds if all the given ones do; None if there are none."""
    if not filters:
        return None
    return filters[0] if len(filters) == 1 else " and ".join(f"({one})" for one in filters)


def check_picture(path: Path) -> None:
    """Check before the work that a picture can be written as --save asks.

    Raises:
        UsageError: the file has the ending of another format.
        PokesimError: it cannot be written.
    """
    if path.suffix.lower() not in PICTURE_ENDINGS:
        raise UsageError(f"--save writes PNG or JPEG; name a file *.png or *.jpg, not {path}.")
    check_writable(path)


def check_page(path: Path) -> None:
    """Check before the work that a page can be written as --html asks; raises as above."""
    if path.suffix.lower() not in PAGE_ENDINGS:
        raise UsageError(f"--html writes HTML; name a file *.html, not {path}.")
    check_writable(path)


def check_folder(path: Path) -> None:
    """Check before the work that files can be put in a folder, which may be new."""
    if path.is_dir():
        check_writable(path / "file")
    elif path.exists() or path.is_symlink():
        raise PokesimError(f"{path} is not a folder; name one, or a new name.")


def check_writable(path: Path) -> None:
    """Raise PokesimError if a file cannot be written, as far as can be known before."""
    folder = Path(os.path.realpath(path)).parent
    problem = None
    if path.is_dir():
        problem = "it is a folder"
    elif not folder.is_dir():
        problem = f"there is no folder {folder}"
    elif not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        problem = os.strerror(errno.EACCES)
    if problem:
        raise PokesimError(f"{path} cannot be written ({problem}).")
