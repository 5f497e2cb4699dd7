"""Training data: pictures with the teacher's vectors of them, drawn into batches."""

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
NATURAL = 0.65  # share of species in their own colours
# Relative frequency of a style among those that a species has; 1 for the others.
STYLE_WEIGHTS = {"plush": 1.5, "web": 1.5, "gen1_redblue": 2.0}
MISLABELLED = 0.1  # share of the web pictures, those least similar to their species, left out
BACKGROUNDS = 1500
CALM_PHOTOS = 0.6  # share of photographs that stay close to what the teacher saw
VIEWS = 16  # views of each photograph


@dataclass(frozen=True)
class Material:
    """The training data: n pictures of s species and of photo classes.

    pixels (n, SOURCE, SOURCE, 4) uint8, aspect (n,), opaque (n,) and frame (n, 4) are those of
    `data.read_cutout`; species (n,) int, -1 for photographs; classes (n,) int, the photo class, -1
    for none; goals (n, DIM) and raw (n, 2 * DIM) float32, the teacher's vectors of each picture
    with and without its metric; centroids (s, DIM) float32, the centroids of the species.
    """

    pictures: list[Picture]
    pixels: Array
    aspect: Array
    opaque: Array
    frame: Array
    species: Array
    classes: Array
    goals: Array
    raw: Array
    centroids: Array


def load(root: Path, weights: Path, work: Path, without: str | None) -> Material:
    """Read the training pictures and the teacher's vectors of them; cache both in ``work``."""
    creatures = data.pokemon(root, "train")
    scenes = data.photos(root, held_out=False)
    everything = creatures + scenes
    arrays = data.cached(work / "cutouts.npz", everything, lambda: data.cutouts(everything, SOURCE))
    features = data.cached(
        work / "teacher.npz", everything, lambda: teacher_features(everything, weights)
    )
    views = data.cached(work / f"views{VIEWS}.npz", scenes, lambda: teacher_views(scenes, weights))
    # Drop the style left out here, so that the teacher's metric and centroids ignore it too.
    keep = np.array([picture.style != without for picture in everything])
    arrays = {name: values[keep] for name, values in arrays.items()}
    features = {name: values[keep] for name, values in features.items()}
    creatures = [picture for picture in creatures if picture.style != without]
    everything = creatures + scenes
    names = sorted({picture.label for picture in creatures})
    species = np.array([names.index(p.label) for p in creatures] + [-1] * len(scenes))
    photo_classes = sorted(
        {p.label for p in scenes if p.style == "caltech101"} - {data.BACKGROUND_CLASS}
    )
    classes = np.array(
        [photo_classes.index(p.label) if p.label in photo_classes else -1 for p in everything]
    )
    vectors, centroids, raw = teacher.targets(
        features["x"], species, len(names), network.DIM, views["x"]
    )

    # From here on, treat the views like the other photographs.
    whole = views["whole"]
    everything = everything + [scenes[number] for number in views["scene"]]
    species = np.pad(species, (0, len(whole)), constant_values=-1)
    of_scene = classes[len(creatures) :][views["scene"]]
    classes = np.concatenate([classes, np.where(whole, of_scene, -1)])
    pixels = np.concatenate([arrays["pixels"], views["pixels"]])
    full_frame = np.tile(np.array([0.5, 0.5, 1, 1], np.float32), (len(whole), 1))
    frame = np.concatenate([arrays["frame"], full_frame])
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
        raw[keep].astype(np.float32),
        centroids.astype(np.float32),
    )


def teacher_features(pictures: list[Picture], weights: Path) -> dict[str, Array]:
    """Return the teacher's features x (n, 2560) of pictures."""
    pixels = (data.queries([picture], teacher.SIDE)[0] for picture in pictures)
    return {"x": teacher.features(pixels, weights)}


def teacher_views(scenes: list[Picture], weights: Path) -> dict[str, Array]:
    """Return views of photographs and the teacher's features of them.

    Returns:
        pixels (m, SOURCE, SOURCE, 4) uint8, the features x (m, 2560), scene (m,) the number of the
        photograph, whole (m,) whether the view shows most of its photograph and nothing else.
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
    """Draw the pictures of each batch, their channel orders, and their augmentation.

    ``species_pairs``, a multiple of three, is the number of pairs in a batch that are of species.
    """

    def __init__(self, material: Material, size: int, species_pairs: int) -> None:
        self.material, self.size, self.species_pairs = material, size, species_pairs
        styles = np.array([picture.style for picture in material.pictures])
        of_species = [np.flatnonzero(material.species == s) for s in range(len(material.centroids))]
        self.choices = []  # for each species, its pictures and their probabilities
        self.index = []  # for each species, its index picture, if there is one
        for members in of_species:
            names, counts = np.unique(styles[members], return_counts=True)
            share = dict(zip(names, counts, strict=True))
            probability = np.array([STYLE_WEIGHTS.get(s, 1.0) / share[s] for s in styles[members]])
            self.choices.append((members, probability / probability.sum()))
            self.index.append(members[styles[members] == data.INDEX_STYLE])
        alike = material.centroids @ material.centroids.T
        self.look_alikes = np.argsort(-alike, 1)[:, 1:11]
        self.photos = np.flatnonzero(material.species < 0)
        self.classed = np.flatnonzero(material.classes >= 0)

    def draw_species_pairs(self, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Draw species, each with two of its look-alikes, and two pictures of each.

        Returns:
            Pictures (species_pairs, 2), channel orders (species_pairs,), and whether to augment
            each picture only a little (species_pairs, 2).
        """
        seeds = rng.choice(len(self.choices), self.species_pairs // 3, replace=False)
        near = np.stack([rng.choice(self.look_alikes[s], 2, replace=False) for s in seeds])
        chosen = np.concatenate([seeds[:, None], near], 1).ravel()
        order = np.where(rng.random(len(seeds)) < NATURAL, 0, rng.integers(1, ORDERS, len(seeds)))
        pictures = np.empty((self.species_pairs, 2), np.int64)
        calm = np.zeros((self.species_pairs, 2), bool)
        for row, s in enumerate(chosen):
            members, probability = self.choices[s]
            pictures[row] = rng.choice(members, 2, p=probability)
            if len(self.index[s]) and rng.random() < 0.5:
                pictures[row, 0] = self.index[s][0]
                calm[row, 0] = rng.random() < 0.6
        return pictures, np.repeat(order, 3), calm

    def draw_photo_pairs(self, rng: np.random.Generator) -> Array:
        """Draw pairs of photographs: two of a class, or one without a class twice.

        Returns:
            Pictures (PAIRS - species_pairs, 2).
        """
        count = PAIRS - self.species_pairs
        from_class = rng.random(count) < 0.5
        first = np.where(
            from_class, rng.choice(self.classed, count), rng.choice(self.photos, count)
        )
        second = first.copy()
        for row, classed in enumerate(self.material.classes[first]):
            if classed >= 0:
                second[row] = rng.choice(np.flatnonzero(self.material.classes == classed))
        return np.stack([first, second], 1)

    def draw(self, step: int) -> dict[str, Array]:
        """Draw the n = BATCH pictures of a step; the same step always gives the same batch."""
        rng = np.random.default_rng((SEED, step))
        material = self.material
        creatures, order, calm = self.draw_species_pairs(rng)
        scenes = self.draw_photo_pairs(rng)
        picture = np.concatenate([creatures, scenes]).ravel()
        order = np.repeat(np.concatenate([order, np.zeros(len(scenes), int)]), 2)
        calm = np.concatenate([calm, rng.random(scenes.shape) < CALM_PHOTOS]).ravel()
        species, classes = material.species[picture], material.classes[picture]
        proxy = np.where(
            species >= 0,
            species * ORDERS + order,
            np.where(classes >= 0, len(self.choices) * ORDERS + classes, -1),
        )
        # In the contrastive loss, a picture without a class is a group by itself.
        group = np.where(proxy >= 0, proxy, 1_000_000 + picture)
        params = augment.draw(
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
        return params | {
            "picture": picture.astype(np.int32),
            "species": species.astype(np.int32),
            "proxy": proxy.astype(np.int32),
            "group": group.astype(np.int32),
            "natural": (order == 0).astype(np.float32),
        }


def batches(material: Material, size: int, species_pairs: int, first: int, last: int) -> Tensor:
    """Return rendered batches (pixels, params) of steps first..last-1, as a tf.data.Dataset.

    ``size`` is the side of the pictures, ``species_pairs`` the number of pairs in a batch that
    are of species.
    """
    scenes = material.pixels[material.species < 0]
    crops = augment.background_crops(np.random.default_rng(SEED), scenes, BACKGROUNDS, size)
    sampler = Sampler(material, size, species_pairs)
    cutouts, backgrounds = tf.constant(material.pixels), tf.constant(crops)
    resampling = tf.constant(augment.resampling_maps(size))

    def draws() -> Iterator[dict[str, Array]]:
        for step in range(first, last):
            yield sampler.draw(step)

    signature = {k: tf.TensorSpec(v.shape, v.dtype) for k, v in sampler.draw(first).items()}

    def pixels(params: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        chosen = tf.gather(cutouts, params["picture"])
        return augment.render(chosen, backgrounds, resampling, params, size), params

    drawn = tf.data.Dataset.from_generator(draws, output_signature=signature)
    return drawn.map(pixels, num_parallel_calls=2, deterministic=True).prefetch(3)
