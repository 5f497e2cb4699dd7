"""Measure speed and memory side by side in one run, as ratios.

    python tests/benchmarks [--images FOLDER] [--embedder NAME] [--weights FILE] [--plot FILE.png]
                       [--parts build,large,networks,query,search,filter,growth,serve,hostile]
                       [--parts peers --peers-python ENVIRONMENT/bin/python]
                       [--vectors 10000,100000,1000000] [--files 1000,10000,100000]

Timings vary from machine to machine and minute to minute; the ratios are stable. Without --weights
a random initialisation of the network is used, which is as fast as a trained one. The vectors to
search are points between real feature vectors: 640 numbers by the default network, and 2,048 by the
network given with --weights, or else by the bundled one.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import building
import filtering
import growth
import hostile
import loading
import networks
import numpy as np
import peers
import querying
import searching
from common import Setting, seeded_weights, small_copies
from searching import DIMENSIONS

import pokesim
from pokesim.embedders.catalog import DEFAULT
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import open_embedder


def main() -> None:
    """Run the benchmarks and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="pictures to compute the features from")
    parser.add_argument("--embedder", default="resnet50", help="a Keras network")
    parser.add_argument("--weights", type=Path, help="its weights file")
    parser.add_argument(
        "--parts",
        default="build,large,networks,query,search,filter,growth,serve,hostile",
        help="what to measure; open: 1 M vectors, 17 GB",
    )
    parser.add_argument(
        "--peers-python",
        type=Path,
        default=sys.executable,
        help="Python with the peers to compare with",
    )
    parser.add_argument("--vectors", default="10000,100000,1000000", help="sizes to search")
    parser.add_argument("--files", default="1000,10000,100000", help="sizes of folders to build")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions; the median is reported")
    parser.add_argument("--plot", type=Path, help="plot building and searching in this PNG")
    options = parser.parse_args()
    built: dict[str, float] = {}
    timings: list[searching.Timing] = []
    parts = set(options.parts.split(","))
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        samples = pokesim.write_samples(folder / "samples")
        weights = options.weights or folder / "seeded.weights.h5"
        if not options.weights and parts & {"build", "large", "networks", "query", "serve"}:
            seeded_weights(options.embedder, weights)
        setting = Setting(
            folder,
            small_copies(samples.images, folder / "small"),
            sorted(samples.photos.iterdir()),
            options.embedder,
            weights,
        )
        if "build" in parts:
            built = building.measure(setting, options.rounds)
        if "large" in parts:
            building.measure_large(setting, options.rounds)
        measured = {
            "networks": partial(networks.measure, setting, options.rounds),
            "query": partial(querying.measure, setting, options.rounds),
            "serve": partial(loading.measure, setting),
            "hostile": partial(hostile.measure, setting),
            "peers": partial(
                peers.measure,
                setting,
                options.images or setting.images,
                options.peers_python,
                options.rounds,
            ),
        }
        for part in [part for part in measured if part in parts]:
            measured[part]()
        if "growth" in parts:
            growth.measure(folder, [int(n) for n in options.files.split(",")])
        if parts & {"search", "filter", "open"}:
            model = (options.embedder, options.weights) if options.weights else ("compact", None)
            images = options.images or samples.images
            features = _features(images, model, DIMENSIONS[-1])
            counts = [int(n) for n in options.vectors.split(",")]
            if "open" in parts:
                searching.measure_opening(folder, features, 1_000_000)
            if "search" in parts:
                narrow = _features(images, (DEFAULT, None), DIMENSIONS[0])
                timings = searching.measure(folder, narrow, counts)
                timings += searching.measure(folder, features, counts)
            if "filter" in parts:
                filtering.measure(folder, features, min(counts[-1], 100_000), options.rounds)
        if options.plot and built and timings:
            from plot import draw

            draw(built, timings, options.embedder, options.plot)
            print(f"\nWrote the plot to {options.plot}.")


def _features(images: Path, model: tuple[str, Path | None], dimension: int) -> np.ndarray:
    """Return the feature vectors that those to search are mixed from, float32 (n, dimension)."""
    features = searching.features_of(images, open_embedder(prepare_model(*model)), dimension)
    print(f"\nVectors of {dimension} are mixed from {len(features):,} features by {model[0]}.")
    return features


if __name__ == "__main__":
    main()
