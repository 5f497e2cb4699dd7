"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pokesim.analysis.labels import Labels
from pokesim.cli import completion
from pokesim.cli.app import note
from pokesim.embedders.catalog import Precision, Runtime
from pokesim.errors import UsageError
from pokesim.show.text import counted, plain

if TYPE_CHECKING:
    from pokesim.build.options import BuildReport

PAGE_ENDINGS = (".html", ".htm")

RuntimeOption = Annotated[Runtime, typer.Option(help="What runs the network; keras: on a GPU.")]

PrecisionOption = Annotated[Precision, typer.Option(help="Of OpenVINO's arithmetic.")]

IndexOption = Annotated[
    str,
    typer.Option(
        "--index",
        help="The index's folder, or milvus://HOST:PORT/COLLECTION.",
        envvar="POKESIM_INDEX",
        autocompletion=completion.indexes,
    ),
]


def check_ending(option: str, path: Path) -> None:
    """Refuse a picture file whose ending names another format. Raises UsageError."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"{option} writes PNG or JPEG; name a file *.png or *.jpg, not {path}.")


def report_build(report: BuildReport) -> None:
    """Say what a build did."""
    from pokesim.show.reports import metadata_text

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


LabelsOption = Annotated[
    Labels, typer.Option(help="What names the label; auto: the stem if the index knows it.")
]
