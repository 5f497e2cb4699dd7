"""Commands that look after indexes, models and sample pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pokesim.cli import completion
from pokesim.cli.base import IndexOption, note, progress
from pokesim.errors import PokesimError, UsageError, did_you_mean
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import counted, plain

if TYPE_CHECKING:
    from pokesim.index.store import Described


def embedders(
    prepare: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Make this one's model ready now.",
            autocompletion=completion.embedders,
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="With --prepare: a local weights file (.h5).")
    ] = None,
) -> None:
    """List the networks that turn pictures into vectors.

    Examples:
        pokesim embedders --prepare mobilenet_v2 --weights mobilenet_v2.weights.h5
    """
    from pokesim.embedders import models
    from pokesim.show.text import embedder_table

    if weights and not prepare:
        raise UsageError("--weights goes with --prepare NAME.")
    if prepare:
        model = models.prepare(prepare, weights)
        print(f"{model.embedder} is ready: {model.path}")
    else:
        print(embedder_table(models.inventory()))


def info(
    index: IndexOption = DEFAULT_INDEX,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Show what its table holds, and what has no match.")
    ] = False,
) -> None:
    """Say what an index is, when it was built, what was skipped.

    Examples:
        pokesim info --index indexes/mine
    """
    from pokesim.index.store import store_of
    from pokesim.show.text import metadata_table, snapshot_text

    if metadata:
        print(metadata_table(_metadata_of(index)))
        return
    print(snapshot_text(index, store_of(index).snapshot()))


def _metadata_of(index: str) -> Described:
    from pokesim.index.search import open_index

    found = open_index(index).metadata
    if found is None:
        raise PokesimError(
            f"{index} has no metadata; `pokesim build-index --metadata` gives it some."
        )
    return found


def doctor(index: IndexOption = DEFAULT_INDEX) -> None:
    """Tell what is ready on this machine, and what to do if not.

    Versions, processor, cache, which embedders are ready, and the index.

    Examples:
        pokesim doctor --index indexes/mine
    """
    from pokesim.doctor import examine
    from pokesim.show.text import findings_table

    print(findings_table(examine(index)))


cache = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@cache.callback()
def cache_root() -> None:
    """Look after the cache: models, samples, copies of indexes."""


def cache_clear(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[models|samples|copies]", help="Default: all.")
    ] = None,
) -> None:
    """Remove exported models, drawn samples and copies of indexes on servers.

    What is needed is made again; on a server, an interrupted build begins anew.

    Examples:
        pokesim cache clear samples
    """
    from pokesim.cache import CONTENTS, cache_dir, clear, size_of

    for name in names or CONTENTS:
        if name not in CONTENTS:
            known = ", ".join(CONTENTS)
            raise UsageError(f"The cache has {known}, not {name}.{did_you_mean(name, CONTENTS)}")
    for name in names or CONTENTS:
        size = size_of(name)
        try:
            clear(name)
        except OSError as error:
            raise PokesimError(
                f"{cache_dir() / name} cannot be removed ({error.strerror})."
            ) from error
        print(f"Removed {size / 1e6:.1f} MB of {name} from {cache_dir()}.")


def check(
    index: IndexOption = DEFAULT_INDEX,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make a damaged index whole first.")
    ] = False,
) -> None:
    """Verify an index: every byte, its vectors, its embedder.

    Repairing builds the search structure again, returns to an older snapshot that is sound, or
    embeds the pictures again.

    Examples:
        pokesim check --index indexes/mine
    """
    from pokesim.index.check import check_index
    from pokesim.index.repair import repair_index

    if repair:
        for line in repair_index(index):
            print(line)
    for line in check_index(index):
        print(line)
    print(f"{index} is sound.")


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
