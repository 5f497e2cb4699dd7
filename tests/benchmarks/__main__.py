"""Speed and memory, side by side in one run, as ratios.

    python tests/benchmarks [--images FOLDER] [--embedder NAME] [--weights FILE] [--plot FILE.png]
                       [--parts build,large,networks,query,search,filter,growth,serve]
                       [--vectors 1000,10000,100000] [--files 1000,10000,100000]

Timings drift from machine to machine and minute to minute; the ratios hold. Without --weights a
random initialisation of the network is used, which is as fast as a trained one. The vectors that
are searched are points between real feature vectors: of the network given with --weights, else of
the bundled one.
"""

import argparse
import tempfile
from pathlib import Path

import building
import filtering
import growth
import loading
import networks
import querying
import searching
from common import Setting, seeded_weights, small_copies

import pokesim
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import open_embedder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="pictures whose features are searched")
    parser.add_argument("--embedder", default="resnet50", help="a Keras network")
    parser.add_argument("--weights", type=Path, help="its weights file")
    parser.add_argument(
        "--parts",
        default="build,large,networks,query,search,filter,growth,serve",
        help="what to measure; open: 1 M vectors, 17 GB",
    )
    parser.add_argument("--vectors", default="1000,10000,100000", help="sizes to search")
    parser.add_argument("--files", default="1000,10000,100000", help="sizes of folders to build")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions; the median counts")
    parser.add_argument("--plot", type=Path, help="draw building and searching to this PNG")
    given = parser.parse_args()
    built: dict[str, float] = {}
    timings: list[searching.Timing] = []
    parts = set(given.parts.split(","))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        samples = pokesim.write_samples(home / "samples")
        weights = given.weights or home / "seeded.weights.h5"
        if not given.weights and parts & {"build", "large", "networks", "query", "serve"}:
            seeded_weights(given.embedder, weights)
        setting = Setting(
            home,
            small_copies(samples.images, home / "small"),
            sorted(samples.photos.iterdir()),
            given.embedder,
            weights,
        )
        if "build" in parts:
            built = building.measure(setting, given.rounds)
        if "large" in parts:
            building.measure_large(setting, given.rounds)
        if "networks" in parts:
            networks.measure(setting, given.rounds)
        if "query" in parts:
            querying.measure(setting, given.rounds)
        if "serve" in parts:
            loading.measure(setting)
        if "growth" in parts:
            growth.measure(home, [int(n) for n in given.files.split(",")])
        if parts & {"search", "filter", "open"}:
            known = (given.embedder, given.weights) if given.weights else ("compact", None)
            network = open_embedder(prepare_model(*known))
            features = searching.features_of(given.images or samples.images, network)
            print(f"\nVectors are made of {len(features):,} features by {known[0]}.")
            counts = [int(n) for n in given.vectors.split(",")]
            if "open" in parts:
                searching.measure_opening(home, features, 1_000_000)
            if "search" in parts:
                timings = searching.measure(home, features, counts)
            if "filter" in parts:
                filtering.measure(home, features, counts[-1], given.rounds)
        if given.plot and built and timings:
            from plot import draw

            draw(built, timings, given.embedder, given.plot)
            print(f"\nThe plot is {given.plot}.")


if __name__ == "__main__":
    main()
