"""`pokesim fetch-dataset` and `pokesim sample-data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli.output import note, progress, say
from pokesim.errors import PokesimError
from pokesim.show.text import counted


def fetch_dataset(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="kaggle:OWNER/NAME, or the URL of a zip or tar archive. Default: 809 Pokémon.",
        ),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="A new folder. Default: images/."),
    ] = None,
    max_gb: Annotated[
        float | None,
        typer.Option(min=0, help="Maximum size of its files, in GB.", show_default="20"),
    ] = None,
) -> None:
    """Fetch a data set of pictures into a folder.

    From Kaggle (needs `pip install 'pokesim[kaggle]'`) or from any web server. An interrupted
    download continues, and the folder is created completely or not at all.

    Examples:
        pokesim fetch-dataset kaggle:vishalsubbiah/pokemon-images-and-types
        pokesim fetch-dataset https://example.org/pictures.zip pets --max-gb 50
    """
    import shlex

    from pokesim import datasets

    with progress("kB") as on_progress:
        found = datasets.fetch_dataset(
            source or datasets.DEFAULT_SOURCE,
            directory or datasets.DEFAULT_FOLDER,
            max_bytes=datasets.MAX_BYTES if max_gb is None else int(max_gb * 1e9),
            progress=lambda done, total: on_progress(done // 1000, total // 1000),
        )
    if found.is_new:
        size = f"{counted(found.files, 'file')} ({found.bytes / 1e6:,.1f} MB)"
        say(f"Fetched {size} of {found.source} into {found.folder}.")
    else:
        say(f"Nothing to do: {found.folder} holds {found.source} already.")
    command = ["pokesim", "build-index", str(found.folder)]
    if len(found.tables) == 1:
        command += ["--metadata", str(found.tables[0])]
    note(f"Next: {shlex.join(command)}")


def sample_data(
    directory: Annotated[Path, typer.Argument(help="Folder to write images/ and photos/ in.")],
) -> None:
    """Write the sample pictures, and photos of some of them.

    Examples:
        pokesim sample-data . && pokesim build-index && pokesim query photos/*.jpg
    """
    from pokesim.samples import write_samples

    try:
        samples = write_samples(directory)
    except OSError as error:
        message = f"{directory} cannot be written ({error.strerror or error})."
        raise PokesimError(message) from error
    say(f"Wrote creatures to {samples.images} and photos of some of them to {samples.photos}.")
