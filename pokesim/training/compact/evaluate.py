"""Measures: recall@k of species by style, class accuracy on photographs, time a picture."""

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
    """Vectors (n, d) of pictures, read as the index and queries read them."""
    starts = range(0, len(pictures), batch)
    side = embedder.side
    return np.concatenate([embedder.embed(queries(pictures[i : i + batch], side)) for i in starts])


def split_queries(root: Path, split: str) -> tuple[list[Picture], list[Picture]]:
    """The index pictures (all species) and a split's query pictures that the index can answer."""
    index = [p for p in pokemon(root, None) if p.style == INDEX_STYLE]
    known = {picture.label for picture in index}
    asked = [p for p in pokemon(root, split) if p.style != INDEX_STYLE and p.label in known]
    return index, asked


def recalls(
    index: Sequence[Picture], xb: Array, asked: Sequence[Picture], xq: Array
) -> dict[str, dict[str, float]]:
    """R@1 and R@5 in % by style and their mean over styles, by Euclidean distance.

    xb (nb, d) are the vectors of the index pictures, xq (nq, d) those of the queries.
    """
    D = (xb**2).sum(1)[None, :] - 2 * xq @ xb.T  # (nq, nb), squared but for a constant of the row
    nearest = np.argsort(D, 1, kind="stable")[:, :5]  # (nq, 5)
    labels = np.array([picture.label for picture in index])
    hits = labels[nearest] == np.array([picture.label for picture in asked])[:, None]
    styles = np.array([picture.style for picture in asked])
    table = {}
    for style in QUERY_STYLES:
        of_style = hits[styles == style]
        if len(of_style):
            table[style] = {
                "r1": 100 * float(of_style[:, 0].mean()),
                "r5": 100 * float(of_style.any(1).mean()),
                "n": float(len(of_style)),
            }
    means = {k: float(np.mean([row[k] for row in table.values()])) for k in ("r1", "r5")}
    return {**table, "mean": {**means, "n": float(len(asked))}}


def class_accuracy(x: Array, pictures: Sequence[Picture]) -> float:
    """Leave-one-out 1-NN accuracy in % of the class of photographs; x (n, d)."""
    D = (x**2).sum(1)[None, :] - 2 * x @ x.T
    np.fill_diagonal(D, np.inf)
    labels = np.array([picture.label for picture in pictures])
    return 100 * float((labels[D.argmin(1)] == labels).mean())


def milliseconds(
    embedders: dict[str, LiteRTEmbedder], batch: int = 16, rounds: int = 15
) -> dict[str, float]:
    """Least milliseconds a picture of several networks, in turns, so that load hits all alike."""
    best = dict.fromkeys(embedders, np.inf)
    for turn in range(rounds + 2):
        for name, embedder in embedders.items():
            pixels = np.full((batch, embedder.side, embedder.side, 3), 127, np.uint8)
            start = time.perf_counter()
            embedder.embed(pixels)
            if turn >= 2:  # after warming up
                best[name] = min(best[name], 1000 * (time.perf_counter() - start) / batch)
    return best


def report(model: Path, root: Path, weights: Path, split: str, work: Path | None) -> None:
    """Print what a LiteRT file is worth, and write it to ``work``/evaluation.json if given.

    Recall for the species of a split, class accuracy on photographs beside pooled MobileNetV2's,
    speed beside ResNet50's (with random weights, which cost the same time) in the same runtime.
    """
    embedder = LiteRTEmbedder(model)
    index, asked = split_queries(root, split)
    table = recalls(index, embed_pictures(embedder, index), asked, embed_pictures(embedder, asked))
    print(f"{split} species among {len(index)} index pictures")
    print(f"{'style':14} {'R@1':>6} {'R@5':>6} {'queries':>8}")
    for style, row in table.items():
        print(f"{style:14} {row['r1']:6.1f} {row['r5']:6.1f} {row['n']:8.0f}")

    held_out = photos(root, held_out=True)
    ours = class_accuracy(embed_pictures(embedder, held_out), held_out)
    theirs = class_accuracy(embed_pictures(teacher.mobilenet(weights), held_out), held_out)
    print(f"caltech101 {ours:.1f} %, pooled MobileNetV2 {theirs:.1f} %, ratio {ours / theirs:.2f}")

    resnet = keras.applications.ResNet50(
        weights=None, include_top=False, pooling="avg", input_shape=(224, 224, 3)
    )
    ms = milliseconds({"compact": embedder, "resnet50": teacher.in_litert(resnet)})
    ratio = ms["resnet50"] / ms["compact"]
    print(f"{ms['compact']:.2f} ms a picture, ResNet50 {ms['resnet50']:.2f} ms, ratio {ratio:.1f}")
    if work:
        result = {"recall": table, "caltech101": ours, "caltech101_mobilenet": theirs, "ms": ms}
        (work / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n")
