"""What the training sees: pictures with the teacher's opinion of them, drawn into batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from pokesim.training.compact import augment, data, network, teacher
from pokesim.training.compact.data import Array, Picture
from pokesim.training.compact.network import Tensor

SEED = 7
SOURCE = 144  # side of the pictures kept in memory
PAIRS = 48  # pairs of pictures in a batch, of species and of photographs
BATCH = 2 * PAIRS
ORDERS = len(augment.CHANNEL_ORDERS)
NATURAL = 0.65  # share of species shown in their own colours
# How often a style is drawn for a species that has it; 1 for the others.
STYLE_WEIGHTS = {"plush": 1.5, "web": 1.5, "gen1_redblue": 2.0}
MISLABELLED = 0.1  # share of the web pictures, those least like their species, not trained on
BACKGROUNDS = 1500
CALM_PHOTOS = 0.6  # share of the photographs that stay nearly as the teacher saw them
VIEWS = 16  # made of each photograph


@dataclass(frozen=True)
class Material:
    """Everything to train on: n pictures of s species and of photo classes.

    pixels (n, SOURCE, SOURCE, 4) uint8, aspect (n,), opaque (n,) and frame (n, 4) are as read by
    `data.read_cutout`; species (n,) int, -1 for photographs; classes (n,) int, the photo class, -1
    for none; goals (n, DIM) and plain (n, 2 * DIM) float32 are the teacher's vectors of each
    picture, centroids (s, DIM) those of the species.
    """

    pictures: list[Picture]
    pixels: Array
    aspect: Array
    opaque: Array
    frame: Array
    species: Array
    classes: Array
    goals: Array
    plain: Array
    centroids: Array


def load(root: Path, weights: Path, work: Path, without: str | None) -> Material:
    """Read the training pictures and the teacher's opinion of them, once; later from ``work``."""
    shown = data.pokemon(root, "train")
    scenes = data.photos(root, held_out=False)
    everything = shown + scenes
    arrays = data.cached(work / "cutouts.npz", everything, lambda: data.cutouts(everything, SOURCE))
    features = data.cached(work / "teacher.npz", everything, lambda: judged(everything, weights))
    views = data.cached(work / f"views{VIEWS}.npz", scenes, lambda: judged_views(scenes, weights))
    # A style left out is as if it were not there: nor do the teacher's metric and centroids see it.
    keep = np.array([picture.style != without for picture in everything])
    arrays = {name: values[keep] for name, values in arrays.items()}
    features = {name: values[keep] for name, values in features.items()}
    shown = [picture for picture in shown if picture.style != without]
    everything = shown + scenes
    names = sorted({picture.label for picture in shown})
    species = np.array([names.index(p.label) for p in shown] + [-1] * len(scenes))
    known = sorted({p.label for p in scenes if p.style == "caltech101"} - {data.BACKGROUND_CLASS})
    classes = np.array([known.index(p.label) if p.label in known else -1 for p in everything])
    vectors, centroids, plain = teacher.targets(
        features["x"], species, len(names), network.DIM, views["x"]
    )

    # From here on the views are photographs among the others.
    whole = views["whole"]
    everything = everything + [scenes[number] for number in views["scene"]]
    species = np.pad(species, (0, len(whole)), constant_values=-1)
    of_scene = classes[len(shown) :][views["scene"]]
    classes = np.concatenate([classes, np.where(whole, of_scene, -1)])
    pixels = np.concatenate([arrays["pixels"], views["pixels"]])
    plain_frame = np.tile(np.array([0.5, 0.5, 1, 1], np.float32), (len(whole), 1))
    frame = np.concatenate([arrays["frame"], plain_frame])
    aspect = np.concatenate([arrays["aspect"], np.ones(len(whole), np.float32)])
    opaque = np.concatenate([arrays["opaque"], np.ones(len(whole), bool)])
    blend = np.where(species[:, None] >= 0, vectors + centroids[species], vectors)

    web = np.array([picture.style == "web" for picture in everything])
    likeness = (vectors * centroids[species]).sum(1)
    keep = ~web | (likeness > np.quantile(likeness[web], MISLABELLED))
    return Material(
        [picture for picture, kept in zip(everything, keep, strict=True) if kept],
        pixels[keep],
        aspect[keep],
        opaque[keep],
        frame[keep],
        species[keep],
        classes[keep],
        teacher.normalise(blend)[keep].astype(np.float32),
        plain[keep].astype(np.float32),
        centroids.astype(np.float32),
    )


def judged(pictures: list[Picture], weights: Path) -> dict[str, Array]:
    """The teacher's features x (n, 2560) of pictures."""
    seen = (data.queries([picture], teacher.SIDE)[0] for picture in pictures)
    return {"x": teacher.features(seen, weights)}


def judged_views(scenes: list[Picture], weights: Path) -> dict[str, Array]:
    """Views of photographs and the teacher's features of them.

    Returns:
        pixels (m, SOURCE, SOURCE, 4) uint8, the features x (m, 2560), scene (m,) the number of the
        photograph, whole (m,) whether it shows most of that and nothing else.
    """
    views, whole = zip(*data.scene_views(scenes, VIEWS, SEED), strict=True)
    small = (view.resize((SOURCE, SOURCE)).convert("RGBA") for view in views)
    return {
        "pixels": np.stack([np.asarray(view) for view in small]),
        "x": teacher.features((np.asarray(view) for view in views), weights),
        "scene": np.repeat(np.arange(len(scenes)), VIEWS),
        "whole": np.array(whole),
    }


class Sampler:
    """Draws batches: which pictures, in which channel order, and how each is to be augmented.

    Of the pairs in a batch, ``shown`` (a multiple of three) are of species.
    """

    def __init__(self, material: Material, size: int, shown: int) -> None:
        self.material, self.size, self.shown = material, size, shown
        styles = np.array([picture.style for picture in material.pictures])
        of_species = [np.flatnonzero(material.species == s) for s in range(len(material.centroids))]
        self.choices = []  # for each species its pictures and the chance of each
        self.index = []  # and its index picture, if it has one
        for members in of_species:
            names, counts = np.unique(styles[members], return_counts=True)
            share = dict(zip(names, counts, strict=True))
            chance = np.array([STYLE_WEIGHTS.get(s, 1.0) / share[s] for s in styles[members]])
            self.choices.append((members, chance / chance.sum()))
            self.index.append(members[styles[members] == data.INDEX_STYLE])
        alike = material.centroids @ material.centroids.T
        self.look_alikes = np.argsort(-alike, 1)[:, 1:11]
        self.photos = np.flatnonzero(material.species < 0)
        self.classed = np.flatnonzero(material.classes >= 0)

    def species_pairs(self, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Species, each with two of its look-alikes, and two pictures of each.

        Returns:
            Pictures (shown, 2), channel orders (shown,), which are to stay calm (shown, 2).
        """
        seeds = rng.choice(len(self.choices), self.shown // 3, replace=False)
        near = np.stack([rng.choice(self.look_alikes[s], 2, replace=False) for s in seeds])
        chosen = np.concatenate([seeds[:, None], near], 1).ravel()
        order = np.where(rng.random(len(seeds)) < NATURAL, 0, rng.integers(1, ORDERS, len(seeds)))
        pictures = np.empty((self.shown, 2), np.int64)
        calm = np.zeros((self.shown, 2), bool)
        for row, s in enumerate(chosen):
            members, chance = self.choices[s]
            pictures[row] = rng.choice(members, 2, p=chance)
            if len(self.index[s]) and rng.random() < 0.5:
                pictures[row, 0] = self.index[s][0]
                calm[row, 0] = rng.random() < 0.6
        return pictures, np.repeat(order, 3), calm

    def photo_pairs(self, rng: np.random.Generator) -> Array:
        """Photographs (PAIRS - shown, 2): two of a class, or twice the same where it has none."""
        count = PAIRS - self.shown
        some = rng.random(count) < 0.5
        first = np.where(some, rng.choice(self.classed, count), rng.choice(self.photos, count))
        second = first.copy()
        for row, classed in enumerate(self.material.classes[first]):
            if classed >= 0:
                second[row] = rng.choice(np.flatnonzero(self.material.classes == classed))
        return np.stack([first, second], 1)

    def draw(self, step: int) -> dict[str, Array]:
        """Draw the batch of a step, the same whenever it is drawn: n = BATCH pictures."""
        rng = np.random.default_rng((SEED, step))
        material = self.material
        shown, order, calm = self.species_pairs(rng)
        scenes = self.photo_pairs(rng)
        picture = np.concatenate([shown, scenes]).ravel()
        order = np.repeat(np.concatenate([order, np.zeros(len(scenes), int)]), 2)
        calm = np.concatenate([calm, rng.random(scenes.shape) < CALM_PHOTOS]).ravel()
        species, classes = material.species[picture], material.classes[picture]
        proxy = np.where(
            species >= 0,
            species * ORDERS + order,
            np.where(classes >= 0, len(self.choices) * ORDERS + classes, -1),
        )
        # For the contrast, a picture without any class stands for itself.
        group = np.where(proxy >= 0, proxy, 1_000_000 + picture)
        how = augment.draw(
            rng,
            self.size,
            SOURCE,
            material.aspect[picture],
            material.opaque[picture],
            material.frame[picture],
            calm,
            order,
            BACKGROUNDS,
        )
        return how | {
            "picture": picture.astype(np.int32),
            "species": species.astype(np.int32),
            "proxy": proxy.astype(np.int32),
            "group": group.astype(np.int32),
            "natural": (order == 0).astype(np.float32),
        }


def batches(material: Material, size: int, shown: int, first: int, last: int) -> Tensor:
    """Rendered batches (pixels, draw) of the steps first..last-1, as a tf.data.Dataset.

    ``size`` is the side of the pictures, ``shown`` how many pairs of a batch are of species.
    """
    scenes = material.pixels[material.species < 0]
    crops = augment.background_crops(np.random.default_rng(SEED), scenes, BACKGROUNDS, size)
    sampler = Sampler(material, size, shown)
    cutouts, backgrounds = tf.constant(material.pixels), tf.constant(crops)
    resampling = tf.constant(augment.resampling_maps(size))

    def draws() -> Iterator[dict[str, Array]]:
        for step in range(first, last):
            yield sampler.draw(step)

    signature = {k: tf.TensorSpec(v.shape, v.dtype) for k, v in sampler.draw(first).items()}

    def pixels(how: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        chosen = tf.gather(cutouts, how["picture"])
        return augment.render(chosen, backgrounds, resampling, how, size), how

    drawn = tf.data.Dataset.from_generator(draws, output_signature=signature)
    return drawn.map(pixels, num_parallel_calls=2, deterministic=True).prefetch(3)
