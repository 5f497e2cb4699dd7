"""`pokesim watch`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

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
from pokesim.cli.output import note, progress
from pokesim.embedders.catalog import AUTO
from pokesim.index import DEFAULT_INDEX


def watch(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder of pictures.")],
    index: IndexOption = DEFAULT_INDEX,
    embedder: EmbedderOption = AUTO,
    metadata: MetadataOption = None,
    key: KeyOption = None,
    runtime: BuildRuntimeOption = "auto",
    precision: BuildPrecisionOption = "float32",
    max_pixels: MaxPixelsOption = None,
    file_seconds: FileSecondsOption = None,
) -> None:
    """Keep an index up to date as pictures come and go.

    Builds or updates the index, then waits for changes until Ctrl-C or SIGTERM. An update begins
    when the folder has been quiet for a second. If the index is being written, the disk is full or
    the folder is gone, it waits and tries again.

    On a network drive, where changes go unnoticed, set WATCHFILES_FORCE_POLLING=1.

    Examples:
        pokesim watch ~/Pictures --index indexes/mine --embedder compact
        pokesim watch images --metadata pokemon.csv --key Name
        pokesim watch scans --max-pixels 400000000 --file-seconds 10
        pokesim watch images --runtime openvino --precision bfloat16
    """
    import signal

    from pokesim.build.watch import watch_folder
    from pokesim.images import FILE_SECONDS, MAX_PIXELS
    from pokesim.show.reports import build_notes, build_text, update_lines

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    reports = watch_folder(
        images,
        index,
        progress=partial(progress, "files"),
        embedder=embedder,
        metadata=metadata,
        key=key,
        runtime=runtime,
        precision=precision,
        max_pixels=max_pixels or MAX_PIXELS,
        file_seconds=FILE_SECONDS if file_seconds is None else file_seconds,
    )
    before = None
    try:
        for report in reports:
            if before:
                lines = update_lines(report, before)
            else:
                watching = f"Watching {images} (press Ctrl-C to stop)."
                lines = [*build_notes(report), build_text(report), watching]
            for line in lines:
                note(line)
            before = report
    except KeyboardInterrupt as interrupt:
        if str(interrupt):  # an update is incomplete
            raise
    note("Stopped.")
