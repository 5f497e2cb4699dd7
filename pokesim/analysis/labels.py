"""Labels of pictures: the file's stem or the folder's name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from pokesim.errors import PokesimError


class Labels(StrEnum):
    """Where the right label of a picture comes from.

    AUTO takes the file's stem if the index has a picture with that label, else the folder's name.
    """

    AUTO = "auto"
    STEM = "stem"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture file with its label; ``style`` is the parent folder, less the label's own."""

    path: Path
    label: str
    style: str


def labelled_files(folder: Path, how: Labels, known: Iterable[str]) -> list[Labelled]:
    """List the pictures of a folder with their labels.

    With AUTO, a picture whose stem and folder are both unknown is labelled by its stem.

    Args:
        folder: searched with all its subfolders.
        how: where the labels come from.
        known: the labels in the index.

    Raises:
        PokesimError: the folder does not exist, or has no picture in it.
    """
    from pokesim.images import find_files, has_picture_ending

    if not folder.is_dir():
        raise PokesimError(f"There is no folder {folder}.")
    known = set(known)
    files = [path for path in find_files(folder) if has_picture_ending(path)]
    if not files:
        raise PokesimError(f"There is no picture in {folder}.")
    return [_labelled(folder, path, how, known) for path in files]


def _labelled(root: Path, path: str, how: Labels, known: set[str]) -> Labelled:
    file = PurePosixPath(path)
    stem, parent = file.stem, file.parent.name or root.name
    by_folder = how is Labels.FOLDER or (
        how is Labels.AUTO and stem not in known and parent in known
    )
    above = file.parent.parent if by_folder else file.parent
    return Labelled(
        root / path, parent if by_folder else stem, "" if above == PurePosixPath() else str(above)
    )
