"""The pictures to train on: list them, read them, and pack them into one file.

Expected layout of the data folder:

- ``pokemon/species.csv`` (dex, species, kaggle_name, split), ``pokemon/<style>/<species>.*``,
  ``pokemon/web/<species>/NN.jpg``, ``pokemon/kaggle/<species>.*`` (the index pictures);
- ``styles/emoji/<hand>/<code>.*`` (the same signs in three hands) and
  ``styles/pacs/<domain>/<class>/*``;
- ``photos/caltech101/<class>/*``, ``photos/imagenette/<class>/*``, ``photos/fakefaces/person/*``.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

Array: TypeAlias = npt.NDArray[Any]
"""An array. The docstring of each function gives its shape and type."""

INDEX_STYLE = "kaggle"
QUERY_STYLES = (
    "plush", "home", "artwork", "dreamworld", "gen5_bw", "gen3_frlg", "gen1_redblue", "icon_gen8",
    "pmd_portrait", "web",
)  # fmt: skip
UNSEEN_STYLE = "pmd_portrait"  # in no training, to measure how well an unseen style works


class Kind(StrEnum):
    """What a label of a picture names."""

    SPECIES = "species"
    """A Pokémon, in several styles."""

    EMOJI = "emoji"
    """A sign, drawn by three hands."""

    SCENE = "scene"
    """A class of objects, in photographs or across PACS' domains."""

    PORTRAIT = "portrait"
    """One portrait, which is a class of its own."""


@dataclass(frozen=True)
class Picture:
    """A picture file, the name and kind of its subject, and its style (or collection)."""

    path: Path
    label: str
    style: str
    kind: Kind = Kind.SPECIES


def pokemon(root: Path, split: str | None) -> list[Picture]:
    """Return the pictures of a split's species (None: all species), in every style, sorted."""
    with (root / "pokemon" / "species.csv").open(newline="") as file:
        names = [row["species"] for row in csv.DictReader(file) if split in (None, row["split"])]
    pictures = []
    for name in names:
        for style in (INDEX_STYLE, *QUERY_STYLES):
            folder = root / "pokemon" / style
            paths = (folder / name).glob("*") if style == "web" else folder.glob(f"{name}.*")
            pictures += [Picture(path, name, style) for path in sorted(paths)]
    return pictures


def creatures(root: Path) -> list[Picture]:
    """Return the pictures of Pokémon to train on: those of train species, without UNSEEN_STYLE."""
    return [picture for picture in pokemon(root, "train") if picture.style != UNSEEN_STYLE]


def emoji(root: Path) -> list[Picture]:
    """Return the signs in each hand; a sign is labelled by its code."""
    paths = sorted((root / "styles" / "emoji").glob("*/*"))
    return [Picture(path, path.stem, path.parent.name, Kind.EMOJI) for path in paths]


def pacs(root: Path) -> list[Picture]:
    """Return the pictures of PACS, labelled by class; the style is the domain.

    Li et al. 2017, "Deeper, Broader and Artier Domain Generalization".
    """
    paths = sorted((root / "styles" / "pacs").glob("*/*/*"))
    return [
        Picture(path, f"pacs {path.parent.name}", path.parent.parent.name, Kind.SCENE)
        for path in paths
    ]


def photos(root: Path, collection: str) -> list[Picture]:
    """Return the photographs of a collection, labelled by class."""
    paths = sorted((root / "photos" / collection).glob("*/*"))
    return [
        Picture(path, f"{collection} {path.parent.name}", collection, Kind.SCENE) for path in paths
    ]


def fitted_caltech(root: Path) -> list[Picture]:
    """Return the photographs of every second class of caltech101; the others measure generality."""
    pictures = photos(root, "caltech101")
    fitted = set(sorted({picture.label for picture in pictures})[::2])
    return [picture for picture in pictures if picture.label in fitted]


def portraits(root: Path) -> list[Picture]:
    """Return the portraits of people who do not exist; each is a class of its own."""
    paths = sorted((root / "photos" / "fakefaces").glob("*/*"))
    return [Picture(path, f"portrait {path.stem}", "fakefaces", Kind.PORTRAIT) for path in paths]


def thinned(pictures: Sequence[Picture], most: int) -> list[Picture]:
    """Return at most ``most`` pictures of each label in each style, evenly spaced."""
    groups: dict[tuple[str, str], list[Picture]] = {}
    for picture in pictures:
        groups.setdefault((picture.label, picture.style), []).append(picture)
    kept = []
    for group in groups.values():
        chosen = np.linspace(0, len(group) - 1, min(most, len(group))).round().astype(int)
        kept += [group[at] for at in chosen]
    return kept


def read_cutout(path: Path, size: int) -> tuple[Image.Image, float, bool, Array]:
    """Read the visible box of a picture, squashed to a square.

    Returns:
        the square, RGBA; width / height of the visible box; whether the picture is opaque (it has
        its own background); centre x, centre y, width and height of the box (4,), as fractions of
        the whole picture.
    """
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGBA")
    opaque = picture.getchannel("A").getextrema()[0] == 255
    box = picture.getchannel("A").point(lambda a: 255 if a > 8 else 0).getbbox()
    left, top, right, bottom = box or (0, 0, *picture.size)
    cutout = picture.crop((left, top, right, bottom))
    ends = np.array([left + right, top + bottom, 2 * (right - left), 2 * (bottom - top)])
    frame = ends / (2 * np.array([*picture.size, *picture.size]))
    aspect = cutout.width / cutout.height
    # Resize with premultiplied colour: a hidden colour must not bleed into the edges.
    square = cutout.convert("RGBa").resize((size, size), Image.Resampling.BILINEAR).convert("RGBA")
    return square, aspect, opaque, frame.astype(np.float32)


def premultiplied(square: Image.Image) -> Array:
    """Return RGBA pixels (size, size, 4) uint8 with the colour premultiplied by alpha.

    A bilinear warp of such pixels leaves no fringe.
    """
    rgba = np.asarray(square.convert("RGBA"), np.float32)
    rgba = np.concatenate([rgba[..., :3] * (rgba[..., 3:] / 255), rgba[..., 3:]], -1)
    return rgba.round().astype(np.uint8)
