"""Compare the embedders at hand on labelled pictures, and recommend one.

Each picture of a sample is looked for among the others: right is one from the same folder. The
recommended embedder is the fastest of those that the exact McNemar test (McNemar 1947) does not
find to be worse than the best, at 5 %.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokesim.analysis.evaluate import mcnemar
from pokesim.analysis.ranking import first_right_ranks
from pokesim.arguments import file_path
from pokesim.build.build import record_of
from pokesim.embedders.catalog import DEFAULT, LITERT
from pokesim.embedders.inventory import Availability, inventory
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import compute_for, open_embedder
from pokesim.errors import IndexFolderError, PictureError
from pokesim.files import sha256_of
from pokesim.images import Frame, Pixels, find_files, has_picture_ending, pixels_of
from pokesim.metric import normalized
from pokesim.progress import Progress
from pokesim.threads import read_ahead

_SAMPLE = 1000
"""Most pictures to compare on: enough to tell 90 % from 93 %."""

_SIGNIFICANT = 0.05
"""An embedder is worse than the best if the p-value is below this."""


@dataclass(frozen=True, slots=True)
class Compared:
    """How an embedder did.

    Attributes:
        embedder: its name.
        recall: share of the pictures whose nearest other one is from the same folder (R@1).
        p: p-value of the test that it differs from the best; 1 for the best itself.
        seconds: time to embed a picture, without reading it.
        bytes: size of a vector.
    """

    embedder: str
    recall: float
    p: float
    seconds: float
    bytes: int

    @property
    def is_worse(self) -> bool:
        """Whether the embedder is worse than the best, beyond chance."""
        return self.p < _SIGNIFICANT


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of `compare_embedders`.

    Attributes:
        pictures: number of pictures that were compared.
        folders: number of folders, or labels.
        rows: the embedders, the best first.
        recommended: the fastest that is not worse than the best.
    """

    pictures: int
    folders: int
    rows: tuple[Compared, ...]
    recommended: str


def compare_embedders(
    folder: str | Path,
    embedders: Sequence[str] | None = None,
    *,
    progress: Progress | None = None,
) -> Comparison:
    """Measure embedders on the pictures of a folder, whose subfolders say what they show.

    At most 1,000 pictures, spread over the folder, are embedded by each.

    Args:
        folder: the pictures; those of one subfolder are of one kind.
        embedders: names or paths; None takes the default and all that are ready here.
        progress: called after each embedder, with the number of those done and of all.

    Raises:
        PokesimError: fewer than two subfolders have two pictures, or an embedder cannot be used.
    """
    root = file_path("The folder", folder)
    paths, labels = _sample(root)
    names = [*embedders] if embedders else _ready()
    first: dict[str, NDArray[np.bool_]] = {}
    figures: dict[str, tuple[float, int]] = {}
    for done, name in enumerate(names):
        if progress:
            progress(done, len(names))
        vectors, seconds = _embedded(name, [root / path for path in paths])
        first[name] = _is_first_right(vectors, labels, [root / path for path in paths])
        figures[name] = seconds, vectors[0].nbytes
    if progress:
        progress(len(names), len(names))
    best = max(names, key=lambda name: first[name].mean())
    rows = [
        Compared(name, float(first[name].mean()), _p(first[name], first[best]), *figures[name])
        for name in names
    ]
    good = [row for row in rows if not row.is_worse]
    rows.sort(key=lambda row: -row.recall)
    fastest = min(good, key=lambda row: row.seconds)
    return Comparison(len(paths), len(set(labels)), tuple(rows), fastest.embedder)


def _ready() -> list[str]:
    return [
        row.spec.name
        for row in inventory()
        if row.availability is Availability.READY or row.spec.name == DEFAULT
    ]


def _sample(root: Path) -> tuple[list[str], list[str]]:
    """Return pictures that have others of their kind, and their labels."""
    if not root.is_dir():
        raise IndexFolderError(f"There is no folder {root}.")
    found = [path for path in find_files(root) if has_picture_ending(path)]
    found = found[:: max(1, -(-len(found) // _SAMPLE))]
    good = [path for path in found if _is_readable(root / path)]
    count = Counter(str(Path(path).parent) for path in good)
    paths = [path for path in good if count[str(Path(path).parent)] > 1]
    labels = [str(Path(path).parent) for path in paths]
    if len(set(labels)) < 2:
        raise IndexFolderError(
            f"To compare embedders, {root} needs a subfolder for each kind of picture, at least "
            "two of them with two pictures."
        )
    return paths, labels


def _is_readable(path: Path) -> bool:
    try:
        pixels_of(path, 8)
    except PictureError:
        return False
    return True


def _embedded(name: str, paths: Sequence[Path]) -> tuple[NDArray[np.float32], float]:
    """Return the vectors of pictures, float32 (n, d), and the seconds that one takes."""
    model = prepare_model(name)
    embedder = open_embedder(model, compute_for(model, LITERT))
    frame: Frame = record_of(model, normalize=True).frame
    read = partial(pixels_of, frame=frame)
    pictures: list[Pixels] = list(read_ahead(read, paths, 2 * BATCH_SIZE))
    embedder.embed(np.stack(pictures[:BATCH_SIZE]))  # opens what a batch needs
    start = time.perf_counter()
    starts = range(0, len(pictures), BATCH_SIZE)
    rows = [embedder.embed(np.stack(pictures[at : at + BATCH_SIZE])) for at in starts]
    seconds = (time.perf_counter() - start) / len(pictures)
    return normalized(np.concatenate(rows)), seconds


def _is_first_right(
    vectors: NDArray[np.float32], labels: Sequence[str], paths: Sequence[Path]
) -> NDArray[np.bool_]:
    """Return whether each picture's nearest one, but copies of itself, has its label, bool (n,)."""
    _, y = np.unique(labels, return_inverse=True)
    _, contents = np.unique([sha256_of(path) for path in paths], return_inverse=True)
    ranks, _, _ = first_right_ranks(vectors, y, lambda: [vectors], y[:, None], (contents, contents))
    right: NDArray[np.bool_] = ranks == 1
    return right


def _p(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return mcnemar(int(np.sum(one & ~other)), int(np.sum(other & ~one)))
