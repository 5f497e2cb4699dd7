"""Learn the head of a pair, such as `general`: a linear metric on the features of its photographs.

    python -m pokesim.training.heads --data DIR --embedder general --out HEAD.npy

The metric is a linear discriminant analysis in closed form, which takes seconds after the pictures
are embedded. Classes are species across styles, emoji across hands, PACS' classes across domains,
half of Caltech-101's classes, imagenette's, and single portraits under small changes. At last, what
all portraits have in common is projected out.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pokesim.embedders.catalog import spec_of
from pokesim.embedders.embedder import Embedder
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import open_embedder
from pokesim.files import sha256_of
from pokesim.images import Pixels, pixels_of
from pokesim.training import portraits
from pokesim.training.compact import data
from pokesim.training.compact.data import Array, Picture
from pokesim.training.lda import Labelled, discriminants, unit

DIMENSION = 384
SHRINKAGE = 1.0
SPECIES_WEIGHT = 4.0  # of their scatter; the other groups have 1


def learned(groups: Sequence[Labelled], people: Labelled) -> Array:
    """Return the head, float16 (d + 1, DIMENSION): ``[x, 1] @ head`` is the metric.

    Args:
        groups: labelled features (n, d) of length 1.
        people: those of portraits and of their changes.
    """
    metric, centre = discriminants([*groups, people], SHRINKAGE, DIMENSION)
    of_people = Labelled(unit((people.x - centre) @ metric), people.labels)
    metric = metric @ portraits.without_common(of_people)
    # The scale does not matter to the vector, and keeps small numbers exact in float16.
    metric /= np.linalg.norm((groups[0].x - centre) @ metric, axis=1).mean()
    return np.vstack([metric, -centre @ metric]).astype(np.float16)


def labelled(pictures: Sequence[Picture], embedder: Embedder, weight: float) -> Labelled:
    """Embed pictures; features of length 1, with their labels."""
    rows = [embedder.embed(pixels_of(p.path, embedder.side)[None])[0] for p in pictures]
    return Labelled(unit(np.stack(rows)), np.array([p.label for p in pictures]), weight)


def fit(root: Path, name: str) -> Array:
    """Learn the head of a pair from the pictures in a data folder."""
    pair = spec_of(name).pair
    assert pair is not None
    embedder = open_embedder(prepare_model(pair.photographs))

    def features(pixels: Pixels) -> Array:
        return unit(embedder.embed(pixels))

    scenes = (data.pacs, data.fitted_caltech, lambda root: data.photos(root, "imagenette"))
    groups = [labelled(data.creatures(root), embedder, SPECIES_WEIGHT)]
    groups += [labelled(of(root), embedder, 1.0) for of in (data.emoji, *scenes)]
    faces = [picture.path for picture in data.portraits(root)]
    return learned(groups, portraits.labelled(faces, embedder.side, features))


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Learn the head of a pair of embedders.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    parser.add_argument("--embedder", default="general", help="a pair of the catalogue")
    parser.add_argument("--out", type=Path, required=True, help=".npy file to write")
    given = parser.parse_args()
    np.save(given.out, fit(given.data, given.embedder))
    print(f"{given.out}: {given.out.stat().st_size:,} bytes, SHA-256 {sha256_of(given.out)}")


if __name__ == "__main__":
    main()
