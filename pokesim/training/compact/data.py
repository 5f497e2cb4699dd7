"""Pictures for training and evaluation: list them, read them and keep them in memory.

Expected layout of the data folder: ``pokemon/species.csv`` (dex, species, kaggle_name, split),
``pokemon/<style>/<species>.*``, ``pokemon/web/<species>/NN.jpg``,
``pokemon/kaggle/<species>.*`` (the index pictures), ``photos/caltech101/<class>/*.jpg`` and
``photos/fakefaces/person/*``.
"""

import csv
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from pokesim.images import pixels_of

Array: TypeAlias = npt.NDArray[Any]
"""An array. The docstring of each function gives its shape and type."""

INDEX_STYLE = "kaggle"
QUERY_STYLES = (
    "plush", "home", "artwork", "dreamworld", "gen5_bw", "gen3_frlg", "gen1_redblue", "icon_gen8",
    "pmd_portrait", "web",
)  # fmt: skip
# Of each caltech101 class, by sorted name; held-out photographs measure generality.
PHOTOS_TRAINED_PER_CLASS = 6
BACKGROUND_CLASS = "BACKGROUND_Google"
EVALUATED_PER_CLASS = 20
VIEW = 224  # side of the views of photographs; the teacher's input size


@dataclass(frozen=True)
class Picture:
    """A picture file, the name of its subject, and its style (or photo collection)."""

    path: Path
    label: str
    style: str


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


def photos(root: Path, held_out: bool) -> list[Picture]:
    """Return the photographs to train on, or the held-out ones of caltech101."""
    pictures = []
    for folder in sorted((root / "photos" / "caltech101").iterdir()):
        paths = sorted(folder.iterdir())
        end = len(paths) - EVALUATED_PER_CLASS
        end = end if folder.name == BACKGROUND_CLASS else PHOTOS_TRAINED_PER_CLASS
        chosen = paths[end : end + EVALUATED_PER_CLASS] if held_out else paths[:end]
        pictures += [Picture(path, folder.name, "caltech101") for path in chosen]
    if not held_out:
        faces = sorted((root / "photos" / "fakefaces" / "person").iterdir())
        pictures += [Picture(path, "person", "fakefaces") for path in faces]
    return pictures


def read_cutout(path: Path, size: int) -> tuple[Array, float, bool, Array]:
    """Read the visible box of a picture, squashed to a square, with premultiplied colour.

    Returns:
        pixels (size, size, 4) uint8, RGB premultiplied by alpha, so that bilinear warps leave no
        fringe; width / height of the visible box; whether the picture is opaque (it has its own
        background); centre x, centre y, width and height of the box (4,), as fractions of the
        whole picture.
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
    rgba = np.asarray(cutout, np.float32)
    rgba = np.concatenate([rgba[..., :3] * (rgba[..., 3:] / 255), rgba[..., 3:]], -1)
    channels = [
        Image.fromarray(np.ascontiguousarray(rgba[..., c])).resize(
            (size, size), Image.Resampling.BILINEAR
        )
        for c in range(4)
    ]
    pixels = np.stack([np.asarray(channel) for channel in channels], -1)
    return pixels.round().clip(0, 255).astype(np.uint8), aspect, opaque, frame.astype(np.float32)


def cached(
    file: Path, pictures: Sequence[Picture], make: Callable[[], dict[str, Array]]
) -> dict[str, Array]:
    """Return the arrays cached in a file; call ``make`` and save them if the pictures changed."""
    key = np.array(zlib.crc32("\n".join(str(p.path) for p in pictures).encode()))
    if file.exists():
        with np.load(file) as saved:
            if saved["key"] == key:
                return {name: saved[name] for name in saved.files if name != "key"}
    arrays = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part.npz")
    kept: dict[str, Any] = {**arrays, "key": key}
    np.savez(partial, **kept)
    partial.replace(file)
    return arrays


def cutouts(pictures: Sequence[Picture], size: int) -> dict[str, Array]:
    """Read all pictures with `read_cutout`.

    Returns:
        pixels (n, size, size, 4), aspect (n,), opaque (n,), frame (n, 4).
    """
    read = (read_cutout(picture.path, size) for picture in pictures)
    pixels, aspect, opaque, frame = zip(*read, strict=True)
    return {
        "pixels": np.stack(pixels),
        "aspect": np.array(aspect, np.float32),
        "opaque": np.array(opaque),
        "frame": np.stack(frame),
    }


def scene_views(
    pictures: Sequence[Picture], count: int, seed: int
) -> Iterator[tuple[Image.Image, bool]]:
    """Yield ``count`` views of each photograph, for the teacher to embed.

    Every other view is a crop; the others combine crops of two photographs (Yun et al. 2019,
    "CutMix"). A few photographs can teach much when the teacher embeds the very crops and mixtures
    that the student sees (Beyer et al. 2021, "Knowledge distillation: A good teacher is patient
    and consistent").

    Yields:
        The square view, and whether it shows more than half of its photograph and nothing else.
    """
    rng = np.random.default_rng(seed)
    scenes = [Image.fromarray(pixels_of(picture.path, VIEW)) for picture in pictures]

    def crop(scene: Image.Image, share: float) -> Image.Image:
        stretch = np.exp(rng.normal(0, 0.15))
        width = min(1.0, np.sqrt(share) * stretch) * VIEW
        height = min(1.0, np.sqrt(share) / stretch) * VIEW
        left, top = rng.uniform(0, VIEW - width), rng.uniform(0, VIEW - height)
        box = (left, top, left + width, top + height)
        view = scene.resize((VIEW, VIEW), Image.Resampling.BILINEAR, box)
        return ImageOps.mirror(view) if rng.random() < 0.5 else view

    for scene in scenes:
        for number in range(count):
            share = float(rng.uniform(0.25, 1))
            view = crop(scene, share)
            if number % 2:
                other = crop(scenes[rng.integers(len(scenes))], float(rng.uniform(0.25, 1)))
                edge = int(rng.uniform(0.3, 0.7) * VIEW)
                half = (edge, VIEW) if number % 4 == 1 else (VIEW, edge)
                view.paste(other.resize(half, Image.Resampling.BILINEAR), (0, 0))
            yield view, share > 0.5 and not number % 2


def queries(pictures: Sequence[Picture], size: int) -> Array:
    """Read pictures as the index and its queries do: (n, size, size, 3) uint8."""
    return np.stack([pixels_of(picture.path, size) for picture in pictures])
