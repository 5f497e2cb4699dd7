"""Labels of pictures: the file's stem or the folder's name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from pokesim.errors import PokesimError
from pokesim.files import sha256_of
from pokesim.index.item import Item, folder_of, is_meaningless


class Labels(StrEnum):
    """Where the right label of a picture comes from.

    AUTO takes the file's stem if the index has another picture with that label, else the folder's
    name if the index has pictures in a folder, or with a label, of that name, else the stem. A stem
    that says nothing, such as IMG_0042, comes after the name of a folder of the index.
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


class KnownLabels:
    """What the pictures of an index show: each has its own label, and the name of its folder.

    Attributes:
        folders: the names of the folders.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._hashes: dict[str, set[str]] = {}
        self.folders: set[str] = set()
        for item in items:
            folder = folder_of(item)
            self.folders.add(folder)
            for name in {item.label, folder}:
                few = self._hashes.setdefault(name, set())
                if len(few) < 2:  # one of two differs from any picture
                    few.add(item.sha256)
        self._hashes.pop("", None)  # the picture folder itself
        self.folders.discard("")

    def __contains__(self, label: object) -> bool:
        return label in self._hashes

    def has_other(self, file: Path, label: str) -> bool:
        """Return True if a picture with this label has other bytes than a file; may read it."""
        few = self._hashes.get(label, set())
        try:
            return len(few) > 1 or bool(few and few != {sha256_of(file)})
        except OSError:  # it will be skipped
            return False


def labelled_files(folder: Path, how: Labels, known: KnownLabels) -> list[Labelled]:
    """List the pictures of a folder with their labels.

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
    files = [PurePosixPath(path) for path in find_files(folder) if has_picture_ending(path)]
    if not files:
        raise PokesimError(f"There is no picture in {folder}.")
    return [_labelled(folder, file, how, known) for file in files]


def _labelled(root: Path, file: PurePosixPath, how: Labels, known: KnownLabels) -> Labelled:
    stem, parent = file.stem, file.parent.name or root.name
    by_folder = how is Labels.FOLDER
    if how is Labels.AUTO and parent in known.folders:
        by_folder = is_meaningless(stem) or not known.has_other(root / file, stem)
    elif how is Labels.AUTO:
        by_folder = stem not in known and parent in known
    above = file.parent.parent if by_folder else file.parent
    return Labelled(
        root / file, parent if by_folder else stem, "" if above == PurePosixPath() else str(above)
    )
