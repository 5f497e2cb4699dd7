"""`pokesim fetch-dataset` and `pokesim sample-data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli.app import note, progress
from pokesim.errors import PokesimError
from pokesim.show.text import counted, plain


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
        typer.Argument(metavar="DIR", help="A folder not there yet. Default: images/."),
    ] = None,
    max_gb: Annotated[
        float | None,
        typer.Option(min=0, help="Cap on the gigabytes it unpacks to.", show_default="20"),
    ] = None,
) -> None:
    """Fetch a data set of pictures into a folder.

    From Kaggle, by kagglehub (pip install 'pokesim[kaggle]'), or from any web server. A download
    that broke off goes on, and a folder is there whole or not at all.

    Examples:
        pokesim fetch-dataset kaggle:vishalsubbiah/pokemon-images-and-types
        pokesim fetch-dataset https://example.org/pictures.zip pets --max-gb 50
    """
    import shlex

    from pokesim import datasets

    with progress("kB") as tell:
        found = datasets.fetch_dataset(
            source or datasets.DEFAULT_SOURCE,
            directory or datasets.DEFAULT_FOLDER,
            max_bytes=datasets.MAX_BYTES if max_gb is None else int(max_gb * 1e9),
            progress=lambda done, total: tell(done // 1000, total // 1000),
        )
    if found.is_new:
        size = f"{counted(found.files, 'file')} ({found.bytes / 1e6:,.1f} MB)"
        print(plain(f"Fetched {size} of {found.source} into {found.folder}."))
    else:
        print(plain(f"Nothing to do: {found.folder} holds {found.source} already."))
    command = ["pokesim", "build-index", str(found.folder)]
    if len(found.tables) == 1:
        command += ["--metadata", str(found.tables[0])]
    note(plain(f"Next: {shlex.join(command)}"))


def sample_data(
    directory: Annotated[Path, typer.Argument(help="Where images/ and photos/ are written.")],
) -> None:
    """Draw the sample pictures, and photos of some of them.

    Examples:
        pokesim sample-data . && pokesim build-index && pokesim query photos/*.jpg
    """
    from pokesim.samples import write_samples

    try:
        samples = write_samples(directory)
    except OSError as error:
        told = f"{directory} cannot be written ({error.strerror or error})."
        raise PokesimError(told) from error
    print(f"Drew creatures in {samples.images} and photos of some of them in {samples.photos}.")
