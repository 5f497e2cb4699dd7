"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.analysis.labels import Labels
from pokesim.cli import completion
from pokesim.embedders.catalog import Precision, Runtime
from pokesim.errors import UsageError
from pokesim.show.text import TableFormat

PAGE_ENDINGS = (".html", ".htm")

RuntimeOption = Annotated[Runtime, typer.Option(help="What runs the network; keras uses a GPU.")]

PrecisionOption = Annotated[Precision, typer.Option(help="Precision (OpenVINO only).")]

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

WhereOption = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="FILTER",
        help="Only pictures whose metadata match, such as Type1=grass.",
        autocompletion=completion.filters,
    ),
]

FormatOption = Annotated[TableFormat, typer.Option("--format", help="Format of the output.")]

TruthOption = Annotated[
    Labels,
    typer.Option(
        "--truth",
        "--labels",
        help="Where a photo's right label comes from; auto: the stem if the index has it.",
    ),
]


def check_picture_ending(path: Path) -> None:
    """Raise UsageError if a file to draw to has the ending of another format."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"--save writes PNG or JPEG; name a file *.png or *.jpg, not {path}.")
