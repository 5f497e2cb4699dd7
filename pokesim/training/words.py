"""Measure how well photographs are found by words, in one Markdown table.

    python -m pokesim.training.words --data DIR --embedder general

All photographs of Caltech-101, imagenette, the natural images and the flowers are in one index. A
row is a word, and its figures are how many of the ten pictures nearest to it are of the folders
that it names, in %: by the nearest of the word's classes, as pokesim does, and by the mean of their
vectors. The rows are of every second photograph. The rule was chosen by the others, with words that
have no row of their own; the last row is the mean of these there.

Data folder: ``photos/<collection>/<class>/*``. Pictures of ``BACKGROUND_Google``, of which nothing
is known, are left out.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.words.vectors import word_vectors
from pokesim.errors import PokesimError
from pokesim.training.evaluate import Array, Vectors, embedded, listed, percent, write_pictures
from pokesim.training.lda import unit

COLLECTIONS = ("caltech101", "flowers", "imagenette", "natural")
UNKNOWN = "BACKGROUND_Google"
NEAREST = 10

REPORTED = {
    "cassette player": ["cassette_player"],
    "chain saw": ["chain_saw"],
    "English springer": ["english_springer"],
    "garbage truck": ["garbage_truck"],
    "parachute": ["parachute"],
    "dog": ["english_springer", "dalmatian"],
    "elephant": ["elephant"],
    "guitar": ["electric_guitar"],
    "cat": ["cat", "wild_cat"],
    "chair": ["chair", "windsor_chair"],
    "car": ["car", "car_side"],
    "airplane": ["airplane", "airplanes"],
    "flower": ["daisy", "dandelion", "rose", "sunflower", "tulip", "lotus", "water_lilly"],
}
"""Words with a row of their own, and the folders with what they name."""

_MAMMALS = [
    "Leopards",
    "beaver",
    "cat",
    "cougar_body",
    "cougar_face",
    "dalmatian",
    "dolphin",
    "elephant",
    "english_springer",
    "gerenuk",
    "hedgehog",
    "kangaroo",
    "llama",
    "okapi",
    "panda",
    "platypus",
    "rhino",
    "wild_cat",
]

_OTHER_ANIMALS = [
    "ant",
    "bass",
    "butterfly",
    "crab",
    "crayfish",
    "crocodile",
    "crocodile_head",
    "dragonfly",
    "emu",
    "flamingo",
    "flamingo_head",
    "hawksbill",
    "ibis",
    "lobster",
    "mayfly",
    "nautilus",
    "octopus",
    "pigeon",
    "rooster",
    "scorpion",
    "sea_horse",
    "starfish",
    "tick",
]

_VEHICLES = [
    "Motorbikes",
    "airplane",
    "airplanes",
    "car",
    "car_side",
    "ferry",
    "garbage_truck",
    "helicopter",
    "ketch",
    "motorbike",
    "schooner",
]

CHOSEN_BY = {
    "animal": [*_MAMMALS, *_OTHER_ANIMALS],
    "big cat": ["wild_cat", "Leopards", "cougar_body", "cougar_face"],
    "bird": ["emu", "flamingo", "flamingo_head", "ibis", "pigeon", "rooster"],
    "boat": ["ferry", "ketch", "schooner"],
    "butterfly": ["butterfly"],
    "camera": ["camera"],
    "crab": ["crab"],
    "crocodile": ["crocodile", "crocodile_head"],
    "dinosaur": ["brontosaurus", "stegosaurus"],
    "electronics": ["cassette_player", "cellphone", "laptop", "camera"],
    "fish": ["bass", "sea_horse"],
    "fruit": ["fruit", "strawberry"],
    "furniture": ["chair", "windsor_chair"],
    "gun": ["revolver"],
    "insect": ["ant", "butterfly", "dragonfly", "mayfly"],
    "instrument": ["accordion", "electric_guitar", "euphonium", "grand_piano", "mandolin"],
    "kangaroo": ["kangaroo"],
    "lamp": ["lamp"],
    "lobster": ["lobster"],
    "mammal": _MAMMALS,
    "motorbike": ["Motorbikes", "motorbike"],
    "phone": ["cellphone"],
    "piano": ["grand_piano"],
    "reptile": ["crocodile", "crocodile_head", "hawksbill"],
    "sailboat": ["ketch", "schooner"],
    "shellfish": ["crab", "crayfish", "lobster"],
    "tool": ["scissors", "stapler", "wrench", "chain_saw"],
    "truck": ["garbage_truck"],
    "turtle": ["hawksbill"],
    "vehicle": _VEHICLES,
}
"""Words that the rule for broad words was chosen by."""


def table(root: Path, embedders: Sequence[str], work: Path) -> str:
    """Return the table; keep the pictures and the indexes in ``work``.

    Raises:
        PokesimError: an embedder or the data folder cannot be used.
    """
    names = [
        name
        for one in COLLECTIONS
        for name in listed(root, f"photos/{one}/*/*")
        if PurePosixPath(name).parent.name != UNKNOWN
    ]
    folders = {PurePosixPath(name).parent.name for name in names}
    reported, others = (
        {word: of for word, of in words.items() if folders & set(of)}
        for words in (REPORTED, CHOSEN_BY)
    )
    if not reported:
        raise PokesimError(f"{root} has none of the pictures that are measured.")
    write_pictures(root, names, work / "pictures")
    rows: dict[str, list[str]] = {"": [], "---": []}
    for embedder in embedders:
        vectors = embedded(embedder, work)
        rows[""].append(embedder)
        rows["---"].append("---")
        kept = figures(vectors, names[1::2], reported)
        kept["mean"] = np.mean([*kept.values()], axis=0)
        if others:
            choice = figures(vectors, names[::2], others)
            kept[f"the choice: {len(others)} other words"] = np.mean([*choice.values()], axis=0)
        for title, (nearest, mean) in kept.items():
            rows.setdefault(title, []).append(f"{nearest:.1f} / {mean:.1f}")
    return "\n".join(f"| {' | '.join([title, *cells])} |" for title, cells in rows.items())


def figures(
    vectors: Vectors, names: Sequence[str], words: Mapping[str, Sequence[str]]
) -> dict[str, Array]:
    """Return the precision of each word among the ten nearest, in %, by both rules: (2,)."""
    key = prepare_model(vectors.title)
    x, folders = vectors.of(names), np.array([PurePosixPath(name).parent.name for name in names])
    found = {}
    for word, right in words.items():
        classes = word_vectors(key, word)
        by_nearest, by_mean = (x @ classes.T).max(1), x @ unit(classes.mean(0))
        found[word] = np.array(
            [
                percent(np.isin(folders[np.argsort(-cosines, kind="stable")[:NEAREST]], right))
                for cosines in (by_nearest, by_mean)
            ]
        )
    return found


def main() -> int:
    """Parse the command line, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description="Measure how well photographs are found by words.")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--embedder", action="append", required=True, help="may be repeated")
    parser.add_argument("--work", type=Path, help="folder that keeps the pictures and indexes")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        try:
            print(table(given.data, given.embedder, given.work or Path(temporary)))
        except PokesimError as error:
            print(f"words: {error}", file=sys.stderr)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
