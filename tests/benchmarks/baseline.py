"""The baseline: the usual TensorFlow script, in a separate process.

    python baseline.py MODULE CLASS WEIGHTS WAY PICTURE…

WAY is "loop" (model.predict on one picture at a time), "batches" (model.predict on 32 at a time)
or "query" (embed the first picture and compare it, in a Python loop, with the vectors in a file).
"loop" and "batches" print the seconds per picture, without import, model building and tracing;
"query" prints the name of the nearest picture.
"""

import sys
import time
from pathlib import Path

import keras
import numpy as np


def main() -> None:
    """Build the network and run one way to use it."""
    module_name, class_name, weights, way, *paths = sys.argv[1:]
    module = getattr(keras.applications, module_name)
    model = getattr(module, class_name)(
        weights=weights, include_top=False, pooling="avg", input_shape=(224, 224, 3)
    )

    def pixels(path: str) -> np.ndarray:
        return keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))

    def vector(path: str) -> np.ndarray:
        return model.predict(module.preprocess_input(pixels(path)[None]), verbose=0)[0]

    if way == "query":
        with np.load(Path(weights).with_suffix(".npz")) as stored:
            vectors = dict(stored)
        photo = vector(paths[0])
        print(min(vectors, key=lambda name: np.linalg.norm(vectors[name] - photo)))
        return
    if way == "loop":
        vector(paths[0])  # traces the graph
        start = time.perf_counter()
        vectors = {path: vector(path) for path in paths}
        assert vectors
    else:
        batch = np.stack([pixels(path) for path in paths[:32]])
        model.predict(module.preprocess_input(batch.copy()), verbose=0)
        start = time.perf_counter()
        for at in range(0, len(paths), 32):
            batch = np.stack([pixels(path) for path in paths[at : at + 32]])
            model.predict(module.preprocess_input(batch), batch_size=32, verbose=0)
    print((time.perf_counter() - start) / len(paths))


if __name__ == "__main__":
    main()
