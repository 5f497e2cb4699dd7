"""Shared by the benchmarks: pictures, weights, processes, medians, tables."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pokesim.embedders.catalog import KerasSource, spec_of
from pokesim.show.text import columns

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.py"

_SEEDED = """
import sys, keras
keras.utils.set_random_seed(7)
getattr(keras.applications, sys.argv[1])(
    weights=None, include_top=False, pooling="avg", input_shape=(224, 224, 3)
).save_weights(sys.argv[2])
"""


@dataclass(frozen=True)
class Setting:
    """The input of every benchmark.

    Attributes:
        folder: a folder for files, removed afterwards.
        images: a folder of small pictures.
        photos: query photos.
        embedder, weights: the network, and its weights file if it is a Keras network.
    """

    folder: Path
    images: Path
    photos: list[Path]
    embedder: str
    weights: Path | None

    @property
    def options(self) -> dict[str, object]:
        """The embedder arguments of `pokesim.build_index`."""
        return {"embedder": self.embedder, "weights": self.weights}

    @property
    def baseline(self) -> list[str | Path]:
        """The command line of `baseline.py` up to WAY."""
        source = self.source
        return [BASELINE, source.module, source.class_name, self.weights]

    @property
    def source(self) -> KerasSource:
        """The module and class of the network in Keras."""
        source = spec_of(self.embedder).keras
        assert source is not None
        return source


def seeded_weights(embedder: str, path: Path) -> None:
    """Write a random initialisation; the speed does not depend on the weights."""
    source = spec_of(embedder).keras
    assert source is not None
    python("-c", _SEEDED, source.class_name, path)


def python(*arguments: str | Path) -> str:
    """Run Python in a separate process, without its warnings, and return its output."""
    command = [sys.executable, *map(os.fspath, arguments)]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | quiet,
    )
    return done.stdout.decode()


def seconds_of(call: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the median result of each way; they alternate, so that load affects all alike."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    return {name: statistics.median(values) for name, values in found.items()}


def small_copies(images: Path, folder: Path, side: int = 120) -> Path:
    """Write each picture of a folder resized to ``side`` pixels, and flipped, and turned."""
    folder.mkdir()
    for path in sorted(images.iterdir()):
        with Image.open(path) as picture:
            small = picture.resize((side, side))
        small.save(folder / f"{path.stem}.png")
        small.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / f"{path.stem}-flipped.png")
        small.transpose(Image.Transpose.ROTATE_180).save(folder / f"{path.stem}-turned.png")
    return folder


def repeated(images: Path, folder: Path, count: int) -> Path:
    """Copy pictures into a folder, and link the copies until there are ``count``."""
    folder.mkdir()
    pictures = sorted(path for path in images.rglob("*") if path.is_file())[:count]
    for number in range(count):
        source = pictures[number % len(pictures)]
        path = folder / f"{number:05}{source.suffix}"
        if number < len(pictures):
            shutil.copyfile(source, path)
        else:
            os.link(folder / f"{number % len(pictures):05}{source.suffix}", path)
    return folder


def show(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first row is its heading."""
    table = columns(rows, right=range(1, len(rows[0])))
    print(f"\n{title}\n{table}", flush=True)
