"""Compare embedders on pictures that have a right answer, in one Markdown table.

    python -m pokesim.training.evaluate --data DIR --embedder compact --embedder efficientnet_lite0
    python -m pokesim.training.evaluate --data DIR --vectors FILE.npz

The vectors are those of an index that `pokesim.build_index` makes, or those of another program, in
a file with ``names`` (paths relative to the data folder) and ``vectors`` (n, d), which are compared
as they are. A row of the table is a measure, a column an embedder; distances are Euclidean.

- Photographs, in %: how often the nearest other picture is of the same class / how many of the ten
  nearest are. Of Caltech-101 a second row takes every second class, those that the metric of the
  embedder `general` is not fitted on.
- PACS, in %: how often the nearest picture in another domain (photograph, painting, cartoon,
  sketch) is of the same class.
- Pokémon, in %: R@1 / R@5 of a split's species among all species, by style, and the styles' mean.
- Portraits of people: how many different Pokémon come first, as the exponential of the entropy of
  the first places; and in how many % the first stays among the first five when the portrait is
  changed.

Data folder: ``photos/<collection>/<class>/*``, ``styles/pacs/<domain>/<class>/*``, and ``pokemon``
as `pokesim.training.compact.data` describes it. What it lacks has no row.
"""

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

import pokesim
from pokesim.errors import PokesimError
from pokesim.images import has_picture_ending
from pokesim.training.compact.data import INDEX_STYLE, QUERY_STYLES, Picture, pokemon
from pokesim.training.portraits import CHANGES

Array: TypeAlias = npt.NDArray[Any]

IMAGENETTE_PER_CLASS = 120
NEAREST = 10  # pictures that the precision counts
BLOCK = 512  # queries at a time, which bounds the memory of the distances


@dataclass(frozen=True)
class Vectors:
    """An embedder's vectors of named pictures.

    Attributes:
        title: the name of the embedder.
        rows: name of a picture → row of its vector.
        x: the vectors, float32 (n, d).
    """

    title: str
    rows: Mapping[str, int]
    x: Array

    def of(self, names: Sequence[str]) -> Array:
        """Return the vectors of pictures, float32 (n, d)."""
        return self.x[[self.rows[name] for name in names]]


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Attributes:
        title: its name.
        names: the pictures it needs.
        figures: its figures, of one embedder.
    """

    title: str
    names: Sequence[str]
    figures: Callable[[Vectors], Sequence[float]]


def nearest(xq: Array, xb: Array, k: int, same: tuple[Array, Array] | None = None) -> Array:
    """Return the rows of the k nearest vectors, nearest first, int64 (nq, k).

    Args:
        xq: queries (nq, d).
        xb: vectors (nb, d).
        k: number of neighbours.
        same: group numbers of the queries (nq,) and of the vectors (nb,); a query ignores the
            vectors of its own group.
    """
    base = xb.astype(np.float64)
    found = []
    for start in range(0, len(xq), BLOCK):
        some = slice(start, start + BLOCK)
        D = (base**2).sum(1) - 2 * xq[some].astype(np.float64) @ base.T  # up to |xq|²
        if same:
            D[same[0][some, None] == same[1][None]] = np.inf
        found.append(np.argsort(D, 1, kind="stable")[:, :k])
    return np.concatenate(found)


def photographs(title: str, names: Sequence[str]) -> Measure:
    """Measure the class of the nearest picture, and the precision among the ten nearest."""
    labels = np.array([PurePosixPath(name).parent.name for name in names])

    def figures(vectors: Vectors) -> Sequence[float]:
        x, itself = vectors.of(names), np.arange(len(names))
        k = min(NEAREST, len(names) - 1)
        right = labels[nearest(x, x, k, (itself, itself))] == labels[:, None]
        return percent(right[:, 0]), percent(right)

    return Measure(title, names, figures)


def across_domains(names: Sequence[str]) -> Measure:
    """Measure the class of the nearest picture in another domain."""
    labels = np.array([PurePosixPath(name).parts[-2] for name in names])
    domains = np.array([PurePosixPath(name).parts[-3] for name in names])

    def figures(vectors: Vectors) -> Sequence[float]:
        x = vectors.of(names)
        first = nearest(x, x, 1, (domains, domains))[:, 0]
        return (percent(labels[first] == labels),)

    return Measure("PACS, another domain", names, figures)


def recalls(root: Path, index: Sequence[Picture], queries: Sequence[Picture]) -> list[Measure]:
    """Measure R@1 and R@5 of each style's pictures among those of the index, and their mean."""
    measures = []
    for style in QUERY_STYLES:
        if some := [picture for picture in queries if picture.style == style]:
            measures.append(recall(style, root, index, some))
    return [*measures, mean(f"mean of {len(measures)} styles", measures)] if measures else []


def recall(title: str, root: Path, index: Sequence[Picture], queries: Sequence[Picture]) -> Measure:
    """Measure R@1 and R@5 of pictures among those of the index."""
    names = [named(root, picture.path) for picture in queries]
    among = [named(root, picture.path) for picture in index]
    labels = np.array([picture.label for picture in index])

    def figures(vectors: Vectors) -> Sequence[float]:
        found = labels[nearest(vectors.of(names), vectors.of(among), 5)]
        right = found == np.array([picture.label for picture in queries])[:, None]
        return percent(right[:, 0]), percent(right.any(1))

    return Measure(title, [*names, *among], figures)


def portraits(names: Sequence[str], among: Sequence[str]) -> list[Measure]:
    """Measure how different the first answers to portraits are, and how steady."""

    def first(vectors: Vectors) -> Array:
        return nearest(vectors.of(names), vectors.of(among), 1)

    def different(vectors: Vectors) -> Sequence[float]:
        shares = np.unique(first(vectors), return_counts=True)[1] / len(names)
        return (float(np.exp(-(shares * np.log(shares)).sum())),)

    def kept(change: str) -> Measure:
        changed = [f"{name}#{change}" for name in names]

        def figures(vectors: Vectors) -> Sequence[float]:
            five = nearest(vectors.of(changed), vectors.of(among), 5)
            return (percent((five == first(vectors)).any(1)),)

        return Measure(f"portraits kept, {change}", [*names, *changed, *among], figures)

    changes = [kept(change) for change in CHANGES]
    return [
        Measure(f"different answers to {len(names)} portraits", [*names, *among], different),
        *changes,
        mean("portraits kept, mean", changes),
    ]


def mean(title: str, measures: Sequence[Measure]) -> Measure:
    """Take the mean of measures, with equal weight for each."""

    def figures(vectors: Vectors) -> Sequence[float]:
        return tuple(np.mean([measure.figures(vectors) for measure in measures], axis=0))

    return Measure(title, [name for measure in measures for name in measure.names], figures)


def percent(right: Array) -> float:
    """Return the share of what is right, in percent."""
    return 100 * float(right.mean())


def measures(root: Path, split: str) -> list[Measure]:
    """Return the measures for which the data folder has pictures.

    Raises:
        PokesimError: it has none.
    """
    caltech = listed(root, "photos/caltech101/*/*")
    classes = sorted({PurePosixPath(name).parent.name for name in caltech})
    unfitted = [name for name in caltech if PurePosixPath(name).parent.name in classes[1::2]]
    found = [
        photographs("imagenette", thinned(listed(root, "photos/imagenette/*/*"))),
        photographs("caltech-101", caltech),
        photographs(f"caltech-101, {len(classes) // 2} classes", unfitted),
        photographs("flowers", listed(root, "photos/flowers/*/*")),
        photographs("natural", listed(root, "photos/natural/*/*")),
        across_domains(listed(root, "styles/pacs/*/*/*")),
    ]
    if (root / "pokemon" / "species.csv").exists():
        index = [picture for picture in pokemon(root, None) if picture.style == INDEX_STYLE]
        known = {picture.label for picture in index}
        found += recalls(root, index, [one for one in pokemon(root, split) if one.label in known])
        faces = listed(root, "photos/fakefaces/*/*")
        found += portraits(faces, [named(root, picture.path) for picture in index]) if faces else []
    found = [measure for measure in found if measure.names]
    if not found:
        raise PokesimError(f"{root} has none of the pictures that are measured.")
    return found


def named(root: Path, path: Path) -> str:
    """Return the name of a picture: its path relative to the data folder."""
    return path.relative_to(root).as_posix()


def listed(root: Path, pattern: str) -> list[str]:
    """Return the names of pictures, sorted."""
    return sorted(named(root, path) for path in root.glob(pattern) if has_picture_ending(path.name))


def thinned(names: Sequence[str]) -> list[str]:
    """Return at most IMAGENETTE_PER_CLASS of each class, evenly spaced."""
    classes: dict[str, list[str]] = {}
    for name in names:
        classes.setdefault(PurePosixPath(name).parent.name, []).append(name)
    kept = []
    for members in classes.values():
        count = min(IMAGENETTE_PER_CLASS, len(members))
        kept += [members[at * len(members) // count] for at in range(count)]
    return kept


def write_pictures(root: Path, names: Sequence[str], folder: Path) -> None:
    """Link pictures of the data folder into another folder, and write changed portraits there."""
    for name in names:
        path = folder / name
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        original, _, change = name.partition("#")
        if change:
            with Image.open(root / original) as picture:
                CHANGES[change](picture.convert("RGB")).save(path, "PNG")
        else:
            path.symlink_to((root / name).resolve())


def embedded(embedder: str, work: Path) -> Vectors:
    """Return the vectors of the index that an embedder makes of ``work/pictures``."""
    folder = work / "indexes" / embedder
    pokesim.build_index(work / "pictures", folder, embedder=embedder)
    with pokesim.open_index(folder) as index:
        rows = {item.path: item.id for item in index.items}
        return Vectors(embedder, rows, np.concatenate(list(index.blocks())))


def loaded(file: Path) -> Vectors:
    """Read vectors that another program made.

    Raises:
        PokesimError: the file is not an .npz of names (n,) and vectors (n, d).
    """
    try:
        with np.load(file, allow_pickle=False) as saved:
            names, x = saved["names"], saved["vectors"]
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise PokesimError(f"{file} is not an .npz file of names and vectors ({error}).") from error
    if x.ndim != 2 or names.shape != x.shape[:1]:
        raise PokesimError(f"{file} needs one vector for each name, not {x.shape}, {names.shape}.")
    return Vectors(file.stem, {str(name): row for row, name in enumerate(names)}, x)


def table(found: Sequence[Measure], embedders: Sequence[Vectors]) -> str:
    """Return a Markdown table; a measure of pictures without vectors is a dash."""
    rows = [
        ["", *(vectors.title for vectors in embedders)],
        ["---"] * (1 + len(embedders)),
        ["dimension", *(str(vectors.x.shape[1]) for vectors in embedders)],
        *([measure.title, *(cell(measure, vectors) for vectors in embedders)] for measure in found),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cell(measure: Measure, vectors: Vectors) -> str:
    """Return the text of a cell of the table."""
    if not vectors.rows.keys() >= set(measure.names):
        return "–"
    return " / ".join(f"{figure:.1f}" for figure in measure.figures(vectors))


def compare(
    root: Path, split: str, embedders: Sequence[str], files: Sequence[Path], work: Path
) -> str:
    """Return the table; keep the pictures and the indexes in ``work``.

    Raises:
        PokesimError: an embedder, a file or the data folder cannot be used.
    """
    read = [loaded(file) for file in files]
    found = measures(root, split)
    names = sorted({name for measure in found for name in measure.names})
    if embedders:
        print(f"{len(names)} pictures in {work / 'pictures'}", file=sys.stderr)
        write_pictures(root, names, work / "pictures")
    columns = [*(embedded(embedder, work) for embedder in embedders), *read]
    for vectors in columns:
        if lacking := [name for name in names if name not in vectors.rows]:
            some = f"{len(lacking)} pictures, such as {lacking[0]}"
            print(f"{vectors.title} has no vectors of {some}.", file=sys.stderr)
    return table(found, columns)


def main() -> int:
    """Parse the command line, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description="Compare embedders on labelled pictures.")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--split", default="dev", help="species to query with (default: dev)")
    parser.add_argument("--embedder", action="append", default=[], help="may be repeated")
    parser.add_argument(
        "--vectors", action="append", default=[], type=Path, help="an .npz file; may be repeated"
    )
    parser.add_argument("--work", type=Path, help="folder that keeps the pictures and indexes")
    given = parser.parse_args()
    if not given.embedder and not given.vectors:
        parser.error("nothing to compare: give --embedder or --vectors")
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        try:
            print(compare(given.data, given.split, given.embedder, given.vectors, work))
        except PokesimError as error:
            print(f"evaluate: {error}", file=sys.stderr)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
