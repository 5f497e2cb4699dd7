"""Measure recall@k of species by style, class accuracy on photographs, and time per picture."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from pokesim.embedders.litert import LiteRTEmbedder
from pokesim.training.compact import teacher
from pokesim.training.compact.data import (
    INDEX_STYLE,
    QUERY_STYLES,
    Array,
    Picture,
    photos,
    pokemon,
    queries,
)


def embed_pictures(embedder: LiteRTEmbedder, pictures: Sequence[Picture], batch: int = 16) -> Array:
    """Embed pictures, read as the index and its queries read them; vectors (n, d)."""
    starts = range(0, len(pictures), batch)
    side = embedder.side
    return np.concatenate([embedder.embed(queries(pictures[i : i + batch], side)) for i in starts])


def split_queries(root: Path, split: str) -> tuple[list[Picture], list[Picture]]:
    """Return the index pictures of all species, and a split's queries whose species is indexed."""
    index = [p for p in pokemon(root, None) if p.style == INDEX_STYLE]
    known = {picture.label for picture in index}
    query_pictures = [
        p for p in pokemon(root, split) if p.style != INDEX_STYLE and p.label in known
    ]
    return index, query_pictures


def recalls(
    index: Sequence[Picture], xb: Array, query_pictures: Sequence[Picture], xq: Array
) -> dict[str, dict[str, float]]:
    """Return R@1 and R@5 in % by style and their mean over styles, by Euclidean distance.

    xb (nb, d) are the vectors of the index pictures, xq (nq, d) those of the queries.
    """
    D = (xb**2).sum(1)[None, :] - 2 * xq @ xb.T  # (nq, nb), squared, up to a constant per row
    nearest = np.argsort(D, 1, kind="stable")[:, :5]  # (nq, 5)
    labels = np.array([picture.label for picture in index])
    hits = labels[nearest] == np.array([picture.label for picture in query_pictures])[:, None]
    styles = np.array([picture.style for picture in query_pictures])
    table = {}
    for style in QUERY_STYLES:
        style_hits = hits[styles == style]
        if len(style_hits):
            table[style] = {
                "r1": 100 * float(style_hits[:, 0].mean()),
                "r5": 100 * float(style_hits.any(1).mean()),
                "n": float(len(style_hits)),
            }
    means = {k: float(np.mean([row[k] for row in table.values()])) for k in ("r1", "r5")}
    return {**table, "mean": {**means, "n": float(len(query_pictures))}}


def class_accuracy(x: Array, pictures: Sequence[Picture]) -> float:
    """Return the leave-one-out 1-NN class accuracy of photographs in %; x (n, d)."""
    D = (x**2).sum(1)[None, :] - 2 * x @ x.T
    np.fill_diagonal(D, np.inf)
    labels = np.array([picture.label for picture in pictures])
    return 100 * float((labels[D.argmin(1)] == labels).mean())


def milliseconds(
    embedders: dict[str, LiteRTEmbedder], batch: int = 16, rounds: int = 15
) -> dict[str, float]:
    """Return the least milliseconds per picture, measured alternately so that load affects all."""
    best = dict.fromkeys(embedders, np.inf)
    for round_number in range(rounds + 2):
        for name, embedder in embedders.items():
            pixels = np.full((batch, embedder.side, embedder.side, 3), 127, np.uint8)
            start = time.perf_counter()
            embedder.embed(pixels)
            if round_number >= 2:  # the first two rounds warm up
                best[name] = min(best[name], 1000 * (time.perf_counter() - start) / batch)
    return best


def report(model: Path, root: Path, weights: Path, split: str, work: Path | None) -> None:
    """Print an evaluation of a LiteRT file; with ``work``, also write ``work``/evaluation.json.

    It covers the recall for the species of a split, the class accuracy on photographs compared
    with pooled MobileNetV2, and the speed compared with ResNet50 in the same runtime (ResNet50 has
    random weights, which take the same time).
    """
    embedder = LiteRTEmbedder(model)
    index, query_pictures = split_queries(root, split)
    table = recalls(
        index,
        embed_pictures(embedder, index),
        query_pictures,
        embed_pictures(embedder, query_pictures),
    )
    print(f"{split} species among {len(index)} index pictures")
    print(f"{'style':14} {'R@1':>6} {'R@5':>6} {'queries':>8}")
    for style, row in table.items():
        print(f"{style:14} {row['r1']:6.1f} {row['r5']:6.1f} {row['n']:8.0f}")

    held_out = photos(root, held_out=True)
    accuracy = class_accuracy(embed_pictures(embedder, held_out), held_out)
    reference = class_accuracy(embed_pictures(teacher.mobilenet(weights), held_out), held_out)
    ratio = accuracy / reference
    print(f"caltech101 {accuracy:.1f} %, pooled MobileNetV2 {reference:.1f} %, ratio {ratio:.2f}")

    resnet = keras.applications.ResNet50(
        weights=None, include_top=False, pooling="avg", input_shape=(224, 224, 3)
    )
    ms = milliseconds({"compact": embedder, "resnet50": teacher.in_litert(resnet)})
    ratio = ms["resnet50"] / ms["compact"]
    print(
        f"{ms['compact']:.2f} ms per picture, ResNet50 {ms['resnet50']:.2f} ms, ratio {ratio:.1f}"
    )
    if work:
        result = {
            "recall": table,
            "caltech101": accuracy,
            "caltech101_mobilenet": reference,
            "ms": ms,
        }
        (work / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n")
