"""Make the LiteRT file of the compact embedder from trained weights.

    python -m pokesim.training.compact.export --data DIR --weights WEIGHTS.npz --out MODEL.tflite

The last layer is refitted in closed form first. The layer as trained fits pictures that are more
altered than real ones; a linear discriminant analysis on the network's features of unaltered
pictures ranks better. But the layer as trained generalises better to photographs and unseen styles,
so the result keeps a share of it. At last, what all portraits have in common is projected out.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from pokesim.embedders.litert import LiteRTEmbedder
from pokesim.files import atomic_write, sha256_of
from pokesim.images import pixels_of
from pokesim.training import portraits
from pokesim.training.compact import data, network
from pokesim.training.compact.data import Array
from pokesim.training.compact.network import Tensor
from pokesim.training.lda import Labelled, discriminants, unit

SHRINKAGE = 0.5
TRAINED = 2.0  # weight of the last layer as trained, relative to the refitted one


def refitted(
    species: Labelled, people: Labelled, kernel: Array, bias: Array
) -> tuple[Array, Array]:
    """Return the kernel (FEATURES, DIM) and the bias (DIM,) of the new last layer.

    Args:
        species: features (n, FEATURES) of pictures of species.
        people: features of portraits and of their changes.
        kernel: the kernel of the layer as trained.
        bias: its bias.
    """
    mean, spread = species.x.mean(0), species.x.std(0) + 1e-6
    groups = [
        Labelled((group.x - mean) / spread, group.labels, group.weight, group.spread)
        for group in (species, people)
    ]
    metric, centre = discriminants(groups, SHRINKAGE, network.DIM)
    refit = metric / spread[:, None]
    refit_bias = -mean @ refit - centre @ metric
    kernel, bias = blended(species.x, (kernel, bias), (refit, refit_bias))
    vectors = Labelled(unit(people.x @ kernel + bias), people.labels)
    projection = portraits.without_common(vectors)
    return kernel @ projection, bias @ projection


def blended(
    x: Array, trained: tuple[Array, Array], refit: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Put two layers side by side, and reduce their outputs to DIM principal components.

    x are features (n, FEATURES); each layer is its kernel (FEATURES, DIM) and bias (DIM,).
    """
    kernels, biases = [], []
    for (kernel, bias), weight in ((trained, TRAINED), (refit, 1.0)):
        scale = weight / np.linalg.norm(x @ kernel + bias, axis=1).mean()
        kernels.append(scale * kernel)
        biases.append(scale * bias)
    kernel, bias = np.concatenate(kernels, 1), np.concatenate(biases)
    y = x @ kernel + bias  # (n, 2 * DIM)
    centred = y - y.mean(0)
    _, directions = np.linalg.eigh(centred.T @ centred)  # in ascending order
    kept = directions[:, : -network.DIM - 1 : -1]
    return kernel @ kept, (bias - y.mean(0)) @ kept


def in_litert(model: Tensor, folder: Path) -> LiteRTEmbedder:
    """Convert a model with one output to LiteRT, and load it."""
    file = folder / "network.tflite"
    file.write_bytes(network.to_litert(model))
    return LiteRTEmbedder(file)


def export(root: Path, weights: Sequence[Array], out: Path) -> None:
    """Refit the last layer on the pictures in a data folder, and write the LiteRT file."""
    model = network.build("float32")
    model.set_weights(weights)
    vectors, features = model.output
    with TemporaryDirectory() as folder:
        embedder = in_litert(keras.Model(model.input, features), Path(folder))
        pictures = data.creatures(root)
        x = [embedder.embed(pixels_of(p.path, network.SIZE)[None])[0] for p in pictures]
        species = Labelled(np.stack(x), np.array([p.label for p in pictures]))
        faces = [picture.path for picture in data.portraits(root)]
        people = portraits.labelled(faces, network.SIZE, embedder.embed)
    layer = model.get_layer("embedding")
    layer.set_weights(refitted(species, people, *layer.get_weights()))
    atomic_write(out, network.to_litert(keras.Model(model.input, vectors)))


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Make the LiteRT file of the compact embedder.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    parser.add_argument("--weights", type=Path, required=True, help="file that train.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="LiteRT file to write")
    given = parser.parse_args()
    with np.load(given.weights, allow_pickle=False) as saved:
        weights = [saved[name] for name in saved.files]
    with contextlib.redirect_stdout(sys.stderr):  # the converter prints what it does
        export(given.data, weights, given.out)
    print(f"{given.out}: {given.out.stat().st_size:,} bytes, SHA-256 {sha256_of(given.out)}")


if __name__ == "__main__":
    main()
