"""The teacher: two ImageNet networks and a metric learned from labelled pictures."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np

from pokesim.embedders.litert import LiteRTEmbedder
from pokesim.training.compact.data import Array
from pokesim.training.compact.network import Tensor

SIDE = 224


def mobilenet(weights: Path) -> LiteRTEmbedder:
    """Return MobileNetV2 with average pooling, (n, 224, 224, 3) -> (n, 1280)."""
    backbone = keras.applications.MobileNetV2(
        weights=str(weights / "mobilenet_v2_keras_notop.weights.h5"),
        include_top=False,
        pooling="avg",
        input_shape=(SIDE, SIDE, 3),
    )
    pixels = keras.Input((SIDE, SIDE, 3))
    return in_litert(keras.Model(pixels, backbone(pixels / 127.5 - 1)))


def efficientnet(weights: Path) -> LiteRTEmbedder:
    """Return EfficientNet-Lite0 with average pooling, (n, 224, 224, 3) -> (n, 1280)."""
    backbone = keras.models.load_model(weights / "efficientnet_lite0.keras", compile=False)
    pixels = keras.Input((SIDE, SIDE, 3))
    return in_litert(keras.Model(pixels, backbone(pixels)["gap"]))


def in_litert(model: Tensor) -> LiteRTEmbedder:
    """Convert a Keras model to LiteRT, which is several times as fast on a CPU."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.tflite"
        model.export(str(file), format="litert", verbose=False)
        return LiteRTEmbedder(file)


def features(pixels: Iterable[Array], weights: Path) -> Array:
    """Return pooled features (n, 2560), halves of length 1, of uint8 (SIDE, SIDE, 3) pictures."""
    keras.config.set_dtype_policy("float32")
    embedders = (mobilenet(weights), efficientnet(weights))
    rows = []
    for picture in pixels:
        rows.append(np.concatenate([normalise(e.embed(picture[None])) for e in embedders], 1))
    return np.concatenate(rows)


def normalise(x: Array) -> Array:
    """Scale rows to length 1."""
    scaled: Array = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)
    return scaled


def fit_metric(
    x: Array, labels: Array, dim: int, shrinkage: float = 3.0, weights: Array | None = None
) -> Array:
    """Learn a linear metric (d, dim) from labelled vectors x (n, d), labels (n,) int.

    Whitens by the within-class scatter, shrunk towards ``shrinkage`` times the mean variance, then
    keeps the principal directions of the class means, times ``weights`` if given (linear
    discriminant analysis with shrinkage; Fisher 1936, Friedman 1989, "Regularized Discriminant
    Analysis").
    """
    counts = np.bincount(labels).astype(np.float64)
    means = np.zeros((len(counts), x.shape[1]))
    np.add.at(means, labels, x)
    means /= counts[:, None]
    residuals = x - means[labels]
    scatter = residuals.T @ residuals / len(x)
    scatter += shrinkage * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    values, vectors = np.linalg.eigh(scatter)
    whiten = vectors / np.sqrt(values)
    centred = (means - means.mean(0)) @ whiten
    if weights is not None:
        centred *= weights[:, None]
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    metric: Array = whiten @ directions[:dim].T
    return metric.astype(np.float32)


def targets(
    x: Array, labels: Array, count: int, dim: int, views: Array
) -> tuple[Array, Array, Array]:
    """Return the student's targets from the teacher's features x (n, d) and of views (m, d).

    labels (n,) int are the species, 0 to ``count`` - 1, or -1 for photographs. The metric is
    applied to photographs and views, but not fitted on them.

    Returns:
        The vectors in the learned metric (n + m, dim), the species' centroids (count, dim), and
        the principal components of the raw features (n + m, 2 * dim); all of length 1.
    """
    centre = x.mean(0)
    centred = normalise(x - centre)
    everything = np.concatenate([centred, normalise(views - centre)])
    known = labels >= 0
    mean = centred[known].mean(0)
    metric = fit_metric(centred[known] - mean, labels[known], dim)
    vectors = normalise((everything - mean) @ metric)
    centroids = np.zeros((count, dim), np.float32)
    np.add.at(centroids, labels[known], vectors[: len(x)][known])
    _, components = np.linalg.eigh(centred.T @ centred)
    raw = normalise(everything @ components[:, : -2 * dim - 1 : -1])
    return vectors, normalise(centroids), raw
