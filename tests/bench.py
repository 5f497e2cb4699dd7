"""Build and query speed against plain TensorFlow, side by side in one run, as ratios.

    python tests/bench.py [--images FOLDER] [--weights mobilenet_v2.weights.h5]

Both sides embed the same pictures with the same MobileNetV2. Timings drift from machine to machine
and minute to minute; the ratios hold. Without --weights a random initialisation is used:
arithmetic takes as long whatever the numbers are.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pokesim

# The classic recipe: load a picture, model.predict on it, alone.
ONE_AT_A_TIME = """
import sys, time
import keras, numpy as np
from keras.applications import mobilenet_v2 as module
weights, first, *others = sys.argv[1:]
model = keras.applications.MobileNetV2(
    weights=weights, include_top=False, pooling="avg", input_shape=(224, 224, 3)
)
def vector(path):
    picture = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))
    return model.predict(module.preprocess_input(picture[None]), verbose=0)[0]
vector(first)  # traces the graph
start = time.perf_counter()
vectors = {path: vector(path) for path in others}
print((time.perf_counter() - start) / max(1, len(others)))
"""

SEEDED = """
import sys, keras
keras.utils.set_random_seed(7)
keras.applications.MobileNetV2(
    weights=None, include_top=False, pooling="avg", input_shape=(224, 224, 3)
).save_weights(sys.argv[1])
"""


def python(*arguments: str | Path) -> str:
    """Run Python quietly in a process of its own and return what it printed."""
    command = [sys.executable, *map(os.fspath, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode()


def seconds_of(*arguments: str | Path) -> float:
    """Return the median wall time of five runs of a whole process."""

    def once() -> float:
        start = time.perf_counter()
        python(*arguments)
        return time.perf_counter() - start

    return statistics.median(once() for _ in range(5))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path)
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        images = given.images or pokesim.write_samples(home).images
        weights = given.weights or home / "seeded.weights.h5"
        if not given.weights:
            python("-c", SEEDED, weights)
        options = {"embedder": "mobilenet_v2", "weights": weights}
        pokesim.build_index(images, home / "index", **options)  # exports the network

        pictures = sorted(path for path in images.iterdir() if path.is_file())
        some = pictures[:: max(1, len(pictures) // 100)]
        loop = float(python("-c", ONE_AT_A_TIME, weights, *some).split()[-1])
        builds = [pokesim.build_index(images, home / "index", **options) for _ in range(3)]
        ours = statistics.median(build.seconds / build.indexed for build in builds)
        print(f"building, a picture    model.predict {1e3 * loop:7.1f} ms   "
              f"pokesim {1e3 * ours:7.1f} ms   {loop / ours:5.1f} times faster")  # fmt: skip

        plain = seconds_of("-c", ONE_AT_A_TIME, weights, some[0])
        query = seconds_of("-m", "pokesim.cli", "query", some[0], "--index", home / "index")
        print(f"one cold query         tensorflow    {1e3 * plain:7.0f} ms   "
              f"pokesim {1e3 * query:7.0f} ms   {query / plain:5.3f} of the time")  # fmt: skip


if __name__ == "__main__":
    main()
