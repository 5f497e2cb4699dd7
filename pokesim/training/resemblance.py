"""Measure how often "looks most like" is right, in one Markdown table.

    python -m pokesim.training.resemblance --data DIR --embedder compact
    python -m pokesim.training.resemblance --data DIR --vectors FILE.npz

A collection is asked for pictures that it holds a right answer for, and for strangers, for which it
holds none. The rows say in % how many of the right best matches "look most like" the query by the
rule of `pokesim.search.resemblance`, and how many best matches of each kind of stranger do. The
precision is the share of "looks most like" that goes to a right best match; in a second row, with
as many strangers as other queries, and equally many of each kind.

- Pokémon: the `dev` species in other styles. Strangers: photographs, portraits, and the same
  pictures when their species are left out, where a relative may well resemble them.
- emoji: Google's and Twitter's among the Fluent ones. Strangers: photographs and portraits.
- imagenette: photographs among others of their classes. Strangers: the pictures of a class that is
  left out, each class in turn.

Data and vectors are as `pokesim.training.evaluate` describes them, and
``styles/emoji/{fluent,google,twitter}/*``.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pokesim.errors import PokesimError
from pokesim.search.resemblance import reach, sample_ids
from pokesim.training.compact.data import INDEX_STYLE, pokemon
from pokesim.training.evaluate import Vectors, embedded, listed, loaded, named, write_pictures

Array: TypeAlias = npt.NDArray[Any]

PHOTOS = ("caltech101", "flowers", "imagenette", "natural")
PER_COLLECTION = 400  # photographs that are strangers, at most
PER_CLASS = 100  # queries of a class of imagenette, at most


@dataclass(frozen=True)
class Case:
    """Queries of a collection.

    Attributes:
        collection: its name; a row of the table is the mean of the cases with its title.
        names, labels: its pictures.
        strangers: what the strangers are; "" if the collection has right answers.
        queries, wanted: the queries, and their labels if they are no strangers.
    """

    collection: str
    names: Sequence[str]
    labels: Sequence[str]
    strangers: str
    queries: Sequence[str]
    wanted: Sequence[str] = ()

    @property
    def title(self) -> str:
        """The title of its row."""
        return f"{self.collection}: {self.strangers or 'right answers'}"


@dataclass(frozen=True)
class Outcome:
    """What the rule says of the best matches of a case, as shares of 1.

    Attributes:
        right: share of the queries whose best match is right; 0 for strangers.
        said: share of the right ones (of strangers: of all) that "look most like".
        wrongly_said: share of all queries whose best match is wrong and "looks most like".
    """

    right: float
    said: float
    wrongly_said: float


def outcome(case: Case, vectors: Vectors) -> Outcome:
    """Apply the rule to the queries of a case."""
    xb, xq = vectors.of(case.names), vectors.of(case.queries)
    sample = xb[sample_ids(len(xb))]
    resembles, right = np.zeros(len(xq), bool), np.zeros(len(xq), bool)
    for at, query in enumerate(xq):
        distances = np.linalg.norm(xb - query, axis=1)
        best = int(distances.argmin())
        resembles[at] = distances[best] <= reach(query, sample)
        right[at] = not case.strangers and case.labels[best] == case.wanted[at]
    counted = resembles if case.strangers else resembles[right]
    return Outcome(
        float(right.mean()),
        float(counted.mean()) if len(counted) else 0.0,
        float((resembles & ~right).mean()),
    )


def cases(root: Path) -> list[Case]:
    """Return the cases that the data folder has pictures for.

    Raises:
        PokesimError: it has none.
    """
    photos = [
        name
        for one in PHOTOS
        for name in thinned(listed(root, f"photos/{one}/*/*"), PER_COLLECTION)
    ]
    people = listed(root, "photos/fakefaces/*/*")
    found = [
        *pokemon_cases(root, photos, people),
        *emoji_cases(root, photos, people),
        *imagenette_cases(root),
    ]
    found = [case for case in found if case.names and case.queries]
    if not found:
        raise PokesimError(f"{root} has none of the pictures that are measured.")
    return found


def pokemon_cases(root: Path, photos: Sequence[str], people: Sequence[str]) -> list[Case]:
    """Return the cases of the Pokémon."""
    if not (root / "pokemon" / "species.csv").exists():
        return []
    index = [one for one in pokemon(root, None) if one.style == INDEX_STYLE]
    dev = [one for one in pokemon(root, "dev") if one.style != INDEX_STYLE]
    ours = {one.label for one in dev}
    names, labels = [named(root, one.path) for one in index], [one.label for one in index]
    queries = [named(root, one.path) for one in dev]
    others = [at for at, label in enumerate(labels) if label not in ours]
    fewer = [names[at] for at in others], [labels[at] for at in others]
    return [
        Case("Pokémon", names, labels, "", queries, [one.label for one in dev]),
        Case("Pokémon", names, labels, "photographs", photos),
        Case("Pokémon", names, labels, "portraits", people),
        Case("Pokémon", *fewer, "species left out", queries),
    ]


def emoji_cases(root: Path, photos: Sequence[str], people: Sequence[str]) -> list[Case]:
    """Return the cases of the emoji."""
    names = listed(root, "styles/emoji/fluent/*")
    labels = [PurePosixPath(name).stem for name in names]
    queries = [
        name for hand in ("google", "twitter") for name in listed(root, f"styles/emoji/{hand}/*")
    ]
    return [
        Case("emoji", names, labels, "", queries, [PurePosixPath(name).stem for name in queries]),
        Case("emoji", names, labels, "photographs", photos),
        Case("emoji", names, labels, "portraits", people),
    ]


def imagenette_cases(root: Path) -> list[Case]:
    """Return the cases of imagenette, two for each class that is left out."""
    classes = {one: PurePosixPath(one).parent.name for one in listed(root, "photos/imagenette/*/*")}
    queries = [
        name
        for one in sorted(set(classes.values()))
        for name in thinned([name for name in classes if classes[name] == one], PER_CLASS)
    ]
    found = []
    for left_out in sorted(set(classes.values())):
        kept = [name for name in classes if classes[name] != left_out and name not in queries]
        labels = [classes[name] for name in kept]
        own = [name for name in queries if classes[name] != left_out]
        away = [name for name in queries if classes[name] == left_out]
        found += [
            Case("imagenette", kept, labels, "", own, [classes[name] for name in own]),
            Case("imagenette", kept, labels, "class left out", away),
        ]
    return found


def thinned(names: Sequence[str], most: int) -> list[str]:
    """Return at most ``most`` names, evenly spaced."""
    count = min(most, len(names))
    return [names[at * len(names) // count] for at in range(count)]


def table(found: Sequence[Case], embedders: Sequence[Vectors]) -> str:
    """Return the Markdown table."""
    rows: dict[str, list[str]] = {"": [], "---": []}
    for vectors in embedders:
        rows[""].append(vectors.title)
        rows["---"].append("---")
        for title, figure in figures(found, vectors).items():
            rows.setdefault(title, []).append(f"{100 * figure:.1f}")
    return "\n".join(f"| {' | '.join([title, *cells])} |" for title, cells in rows.items())


def figures(found: Sequence[Case], vectors: Vectors) -> dict[str, float]:
    """Return the figures of an embedder, as shares of 1, by the titles of their rows."""
    rows: dict[str, float] = {}
    for collection in dict.fromkeys(case.collection for case in found):
        groups: dict[str, list[Outcome]] = {}
        for case in found:
            if case.collection == collection:
                groups.setdefault(case.title, []).append(outcome(case, vectors))
        said = {title: mean(one.said for one in some) for title, some in groups.items()}
        own, *strangers = groups
        right = mean(one.right * one.said for one in groups[own])
        wrong = mean(one.wrongly_said for one in groups[own])
        away = mean(said[title] for title in strangers)
        rows |= said
        rows[f"{collection}: precision"] = right / (right + wrong) if right else 0.0
        rows[f"{collection}: with strangers"] = right / (right + wrong + away) if right else 0.0
    return rows


def mean(figures: Iterable[float]) -> float:
    """Return the mean of figures."""
    return float(np.mean(list(figures)))


def compare(root: Path, embedders: Sequence[str], files: Sequence[Path], work: Path) -> str:
    """Return the table; keep the pictures and the indexes in ``work``.

    Raises:
        PokesimError: an embedder, a file or the data folder cannot be used.
    """
    read = [loaded(file) for file in files]
    found = cases(root)
    names = sorted({name for case in found for name in (*case.names, *case.queries)})
    for vectors in read:
        if lacking := [name for name in names if name not in vectors.rows]:
            raise PokesimError(f"{vectors.title} has no vector of {lacking[0]}.")
    if embedders:
        write_pictures(root, names, work / "pictures")
    return table(found, [*(embedded(embedder, work) for embedder in embedders), *read])


def main() -> int:
    """Parse the command line, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description='Measure how often "looks most like" is right.')
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--embedder", action="append", default=[], help="may be repeated")
    parser.add_argument(
        "--vectors", action="append", default=[], type=Path, help="an .npz file; may be repeated"
    )
    given = parser.parse_args()
    if not given.embedder and not given.vectors:
        parser.error("nothing to measure: give --embedder or --vectors")
    with tempfile.TemporaryDirectory() as work:
        try:
            print(compare(given.data, given.embedder, given.vectors, Path(work)))
        except PokesimError as error:
            print(f"resemblance: {error}", file=sys.stderr)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
