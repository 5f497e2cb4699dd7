"""Train a network with a part for text on emoji and their names, and print how well it finds them.

    python -m pokesim.training.emoji_words --data DIR --out FOLDER

The part for pictures is `general` with a linear map; that for text is trained from nothing. Names
are those of Unicode's CLDR. One hand's drawings are left out of the training (``--held-out``), and
so are all names of every tenth sign. The table says how often a name finds its sign in the hand
that was left out, first or among the five nearest: for signs whose names were trained with, by
drawings of the other hands, and for those whose names were never seen.

`general` knows emoji: its metric and `compact` were trained to tell signs apart across all hands,
without names. ``--embedder efficientnet_lite0`` measures with a network that never saw any.
``--out`` writes a folder that ``pokesim build-index --embedder FOLDER`` takes.

Data folder: ``styles/emoji/{fluent,google,twitter}/<code>.webp``. Needs ``pokesim[training]``.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pokesim.embedders.catalog import CATALOG, DEFAULT
from pokesim.embedders.model_cache import head_file
from pokesim.embedders.prepare import prepare_model
from pokesim.errors import PokesimError
from pokesim.training.emoji_words.export import write_folder
from pokesim.training.emoji_words.network import Weights, trained
from pokesim.training.emoji_words.signs import HANDS, Sign, signs, split
from pokesim.training.evaluate import Vectors, embedded, listed, percent, write_pictures
from pokesim.training.lda import unit


def figures(
    weights: Weights, vectors: Vectors, hand: str, every: Sequence[Sign], some: Sequence[Sign]
) -> tuple[float, float]:
    """Return how often a name finds its sign first, and among five, in %.

    Args:
        weights: the trained network.
        vectors: those of the pictures.
        hand: whose drawings are searched.
        every: the signs that are searched.
        some: those of them that are searched for.
    """
    xb = weights.of_pictures(unit(vectors.of([sign.pictures[hand] for sign in every])))
    right = np.array([every.index(sign) for sign in some])
    cosines = weights.of_texts([sign.name for sign in some]) @ xb.T
    before = (cosines > cosines[np.arange(len(right)), right][:, None]).sum(1)
    return percent(before < 1), percent(before < 5)


def run(root: Path, work: Path, embedder: str, hands: Sequence[str], out: Path | None) -> str:
    """Train for each hand that is left out; return a Markdown table of the figures.

    Raises:
        PokesimError: the data folder cannot be used.
    """
    names = [name for hand in HANDS for name in listed(root, f"styles/emoji/{hand}/*")]
    every = signs(names)
    if not every:
        raise PokesimError(f"{root} has no emoji that all of {', '.join(HANDS)} drew.")
    write_pictures(root, names, work / "pictures")
    vectors = embedded(embedder, work)
    seen, unseen = split(every)
    lines = [
        f"| hand left out | {len(seen):,} names seen: R@1 / R@5 | {len(unseen)} never: R@1 / R@5 |",
        "| --- | --- | --- |",
    ]
    for hand in hands:
        others = [one for one in HANDS if one != hand]
        rows = [vectors.of([sign.pictures[one] for sign in seen]) for one in others]
        weights = trained(seen, unit(np.stack(rows, axis=1)))
        cells = [
            " / ".join(f"{figure:.1f}" for figure in figures(weights, vectors, hand, every, some))
            for some in (seen, unseen)
        ]
        lines.append(f"| {hand} | {cells[0]} | {cells[1]} |")
    if out:
        pair = CATALOG[embedder].pair
        assert pair
        head = np.load(head_file(pair)).astype(np.float32)
        write_folder(out, prepare_model(embedder), head, weights)
    return "\n".join(lines)


def main() -> int:
    """Parse the command line, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description="Train a small network on emoji and their names.")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--held-out", choices=HANDS, help="the hand; each in turn if omitted")
    parser.add_argument("--embedder", default=DEFAULT, help="of the pictures")
    parser.add_argument("--out", type=Path, help="folder for the network of the last hand left out")
    parser.add_argument("--work", type=Path, help="folder that keeps the pictures and vectors")
    given = parser.parse_args()
    if given.out and (given.out.exists() or not CATALOG[given.embedder].pair):
        parser.error("--out needs a new folder, and an embedder of two parts, such as general")
    hands = [given.held_out] if given.held_out else HANDS
    with tempfile.TemporaryDirectory() as temporary:
        try:
            work = given.work or Path(temporary)
            print(run(given.data, work, given.embedder, hands, given.out))
        except PokesimError as error:
            print(f"emoji_words: {error}", file=sys.stderr)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
