"""Measure speed and memory side by side in one run, as ratios.

    python tests/benchmarks [--images FOLDER] [--embedder NAME] [--weights FILE] [--plot FILE.png]
                       [--parts build,large,networks,query,search,filter,growth,serve,hostile]
                       [--vectors 1000,10000,100000] [--files 1000,10000,100000]

Timings vary from machine to machine and minute to minute; the ratios are stable. Without --weights
a random initialisation of the network is used, which is as fast as a trained one. The vectors to
search are points between real feature vectors, computed by the network given with --weights, or
else by the bundled one.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

import building
import filtering
import growth
import hostile
import loading
import networks
import querying
import searching
from common import Setting, seeded_weights, small_copies

import pokesim
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
    parser.add_argument("--vectors", default="1000,10000,100000", help="sizes to search")
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
        }
        for part in [part for part in measured if part in parts]:
            measured[part]()
        if "growth" in parts:
            growth.measure(folder, [int(n) for n in options.files.split(",")])
        if parts & {"search", "filter", "open"}:
            model = (options.embedder, options.weights) if options.weights else ("compact", None)
            network = open_embedder(prepare_model(*model))
            features = searching.features_of(options.images or samples.images, network)
            print(f"\nVectors are mixed from {len(features):,} features by {model[0]}.")
            counts = [int(n) for n in options.vectors.split(",")]
            if "open" in parts:
                searching.measure_opening(folder, features, 1_000_000)
            if "search" in parts:
                timings = searching.measure(folder, features, counts)
            if "filter" in parts:
                filtering.measure(folder, features, counts[-1], options.rounds)
        if options.plot and built and timings:
            from plot import draw

            draw(built, timings, options.embedder, options.plot)
            print(f"\nWrote the plot to {options.plot}.")


if __name__ == "__main__":
    main()
