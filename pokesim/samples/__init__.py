"""The built-in sample set: pictures of creatures to index, and photos to search with."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pokesim.arguments import file_path

__all__ = ["CREATURES", "PHOTOGRAPHED", "Samples", "builtin_samples", "write_samples"]


@dataclass(frozen=True)
class Samples:
    """Two folders of samples: cut-out creatures `<name>.webp` and photos `<name>.jpg`."""

    images: Path
    photos: Path


_BUILTIN = Samples(Path(__file__).with_name("pictures"), Path(__file__).with_name("photos"))

CREATURES: tuple[str, ...] = tuple(sorted(path.stem for path in _BUILTIN.images.glob("*.webp")))
"""The names of the creatures, in alphabetical order."""

PHOTOGRAPHED: tuple[str, ...] = tuple(sorted(path.stem for path in _BUILTIN.photos.glob("*.jpg")))
"""The names of the creatures that have a photo, in alphabetical order."""


def builtin_samples() -> Samples:
    """Return the sample folders inside the package. Do not write to them."""
    return _BUILTIN


def write_samples(directory: str | Path) -> Samples:
    """Copy the creatures to `directory`/images and the photos to `directory`/photos.

    Creates missing folders and overwrites existing samples. Raises OSError if a file cannot be
    written.
    """
    folder = file_path("The folder", directory)
    samples = Samples(images=folder / "images", photos=folder / "photos")
    for source, target in ((_BUILTIN.images, samples.images), (_BUILTIN.photos, samples.photos)):
        target.mkdir(parents=True, exist_ok=True)
        for path in source.iterdir():
            shutil.copyfile(path, target / path.name)
    return samples
