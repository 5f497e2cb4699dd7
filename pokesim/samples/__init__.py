"""The built-in sample set: drawn creatures to index and "photos" of them to search with.

Everything is drawn by this package, and comes out the same every time.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pokesim.cache import cache_dir
from pokesim.errors import PokesimError
from pokesim.samples.creatures import draw_creature
from pokesim.samples.photos import draw_photo, photographed
from pokesim.samples.roster import roster

__all__ = ["CREATURES", "PHOTOGRAPHED", "Samples", "draw_creature", "draw_photo", "write_samples"]

CREATURES: tuple[str, ...] = tuple(roster())
"""The names of the creatures, in alphabetical order."""

PHOTOGRAPHED: tuple[str, ...] = photographed()
"""The names of those creatures of which there are photos, in alphabetical order."""


@dataclass(frozen=True)
class Samples:
    """Where samples were written: folders of `<name>.png` and of `<name>.jpg`."""

    images: Path
    photos: Path


def builtin_samples() -> Samples:
    """Return the samples in the user's cache, drawn there the first time.

    Raises:
        PokesimError: the cache cannot be written.
    """
    home = cache_dir() / "samples"
    if not home.is_dir():
        part = home.with_name(f".samples.{os.getpid()}")
        try:
            write_samples(part)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            told = f"The cache {home.parent} cannot be written ({error.strerror or error})."
            raise PokesimError(told) from error
        try:
            part.rename(home)
        except OSError:  # another process was first
            shutil.rmtree(part)
    return Samples(images=home / "images", photos=home / "photos")


def write_samples(directory: str | Path) -> Samples:
    """Write all creatures to `directory`/images and the photos to `directory`/photos.

    Folders are created as needed and earlier samples are overwritten, with the same bytes.
    Raises OSError where they cannot be written.
    """
    samples = Samples(images=Path(directory, "images"), photos=Path(directory, "photos"))
    samples.images.mkdir(parents=True, exist_ok=True)
    samples.photos.mkdir(parents=True, exist_ok=True)
    for name in CREATURES:
        draw_creature(name).save(samples.images / f"{name}.png")
    for name in PHOTOGRAPHED:
        draw_photo(name).save(samples.photos / f"{name}.jpg", quality=85)
    return samples
