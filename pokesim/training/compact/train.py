"""Train the compact embedder, from random weights to a LiteRT file, or measure such a file.

    python -m pokesim.training.compact.train --data DIR --weights DIR --work DIR --out FILE.tflite
    python -m pokesim.training.compact.train --data DIR --weights DIR --evaluate FILE.tflite

What the network learns from, for pairs of augmented pictures of one species (mostly in two styles):

- class: a softmax over one learned vector per species (Movshovitz-Attias et al. 2017, "No Fuss
  Distance Metric Learning using Proxies"; cosine and scale as in Wang et al. 2017, "NormFace"). A
  species with its colour channels in another order counts as one more species, which multiplies the
  few there are;
- contrast: the pair against the rest of the batch, look-alikes among it (Khosla et al. 2020,
  "Supervised Contrastive Learning");
- teacher: the embedding follows the teacher's vector of the clean picture, blended with the
  centroid of the species;
- plain: a linear head on the pooled features follows the teacher's features as they are, without
  the learned metric.

Photographs take part, so that the network stays a general one. The weights that are kept are the
exponential moving average of those trained; at the end the last layer is fitted anew. The training
can be killed and started again: it goes on from the last checkpoint under ``--work``, and where
that has all its steps, it only finishes and exports.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from pokesim.training.compact import data, evaluate, network, teacher
from pokesim.training.compact.data import Array
from pokesim.training.compact.material import BATCH, ORDERS, SEED, Material, batches, load
from pokesim.training.compact.network import Tensor

# Up to which share of the steps: the side of the pictures, and how many pairs of a batch are of
# species. Small pictures first save half the time; towards the end photographs fill the batch.
PHASES = (
    (0.30, 96, 36),
    (0.50, 96, 30),
    (0.65, network.SIZE, 27),
    (0.80, network.SIZE, 18),
    (1.00, network.SIZE, 15),
)
RATE, DECAY, WARM_UP = 1.5e-3, 0.05, 300  # learning rate, weight decay, steps of warming up
SCALE, TEMPERATURE = 16.0, 0.1  # of the cosines in the class loss and in the contrast
CONTRAST, TEACHER, PLAIN = 0.5, 3.0, 3.0  # weights of the losses; class has 1
AVERAGING = 0.998
REFIT_SHRINKAGE, REFIT_PHOTOS = 0.5, 2.0  # of the last layer: shrinkage, weight of photo classes
TRAINED = 0.5  # weight of the last layer as trained, beside the one fitted anew


class Trainer:
    """The network, its heads, the optimiser, the averaged weights, and one step of training."""

    def __init__(self, material: Material) -> None:
        keras.utils.set_random_seed(SEED)
        self.goals, self.plain = tf.constant(material.goals), tf.constant(material.plain)
        self.network = network.build(None, "mixed_bfloat16")
        self.judge = network.build(network.SIZE, "float32")
        species = len(material.centroids)
        rng = np.random.default_rng(SEED)
        proxies = rng.normal(size=(species * ORDERS + material.classes.max() + 1, network.DIM))
        proxies = teacher.normalise(proxies)
        proxies[: species * ORDERS : ORDERS] = material.centroids
        self.proxies = keras.Variable(proxies.astype(np.float32), name="proxies")
        owner = np.repeat(np.arange(species), ORDERS)
        owner = np.pad(owner, (0, len(proxies) - len(owner)), constant_values=-2)  # photo classes
        self.owner = tf.constant(owner, tf.int32)
        self.head = keras.layers.Dense(material.plain.shape[1], dtype="float32")
        self.head.build((None, network.FEATURES))
        self.trained = [
            *self.network.trainable_variables,
            *self.head.trainable_variables,
            self.proxies,
        ]
        self.optimizer = keras.optimizers.AdamW(RATE, weight_decay=DECAY, beta_2=0.99)
        flat = [v for v in self.trained if len(v.shape) == 1]
        self.optimizer.exclude_from_weight_decay(var_list=[*flat, self.proxies])
        self.optimizer.build(self.trained)
        self.average = [tf.Variable(v.value) for v in self.network.variables]

    def state(self) -> list[Tensor]:
        """Every variable that a checkpoint holds."""
        kept = [*self.network.variables, *self.head.variables, self.proxies]
        return [*kept, *self.optimizer.variables, *self.average]

    def losses(self, pixels: Tensor, how: dict[str, Tensor]) -> dict[str, Tensor]:
        """The four losses of a batch of n pictures."""
        z, features = self.network(pixels, training=True)  # (n, d), (n, FEATURES)
        natural, proxy, group = how["natural"], how["proxy"], how["group"]

        centres = tf.math.l2_normalize(self.proxies.value, 1)
        logits = SCALE * tf.matmul(z, centres, transpose_b=True)  # (n, number of proxies)
        own = tf.range(tf.shape(centres)[0])[None, :] == proxy[:, None]
        # A species is no rival of itself in other channel orders: a grey one looks alike in all.
        same = (self.owner[None, :] == how["species"][:, None]) & ~own
        logits = tf.where(same, -1e9, logits)
        classed = tf.cast(proxy >= 0, tf.float32)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(proxy, 0), logits)
        by_class = tf.reduce_sum(entropy * classed) / tf.reduce_sum(classed)

        alike = tf.matmul(z, z, transpose_b=True) / TEMPERATURE  # (n, n)
        itself = tf.eye(tf.shape(z)[0], dtype=tf.bool)
        pair = (group[:, None] == group[None, :]) & ~itself
        species = how["species"]
        related = (species[:, None] == species[None, :]) & (species[:, None] >= 0)
        alike = tf.where(itself | (related & ~pair), -1e9, alike)
        chance = tf.nn.log_softmax(alike)
        pair = tf.cast(pair, tf.float32)
        contrast = -tf.reduce_mean(tf.reduce_sum(chance * pair, 1) / tf.reduce_sum(pair, 1))

        def follow(vectors: Tensor, goals: Tensor) -> Tensor:
            cosine = tf.reduce_sum(vectors * tf.gather(goals, how["picture"]), 1)
            return tf.reduce_sum((1 - cosine) * natural) / tf.reduce_sum(natural)

        taught = follow(z, self.goals)
        plain = follow(tf.math.l2_normalize(self.head(features), 1), self.plain)
        return {"class": by_class, "contrast": contrast, "teacher": taught, "plain": plain}

    @tf.function  # type: ignore[untyped-decorator]
    def step(
        self, pixels: Tensor, how: dict[str, Tensor], rate: Tensor, averaging: Tensor
    ) -> dict[str, Tensor]:
        """Take one step of AdamW (Loshchilov & Hutter 2019); return the losses."""
        with tf.GradientTape() as tape:
            parts = self.losses(pixels, how)
            total = parts["class"] + CONTRAST * parts["contrast"]
            total += TEACHER * parts["teacher"] + PLAIN * parts["plain"]
        gradients = tape.gradient(total, [v.value for v in self.trained])
        gradients, _ = tf.clip_by_global_norm(gradients, 5.0)
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply(gradients, self.trained)
        for mean, now in zip(self.average, self.network.variables, strict=True):
            mean.assign(averaging * mean + (1 - averaging) * now.value)
        return parts

    def weights(self) -> list[Array]:
        """The averaged weights (Polyak & Juditsky 1992)."""
        return [mean.numpy() for mean in self.average]

    def embed(self, pixels: Array) -> tuple[Array, Array]:
        """The averaged network: uint8 (n, SIZE, SIZE, 3) -> vectors (n, DIM), (n, FEATURES)."""
        self.judge.set_weights(self.weights())
        starts = range(0, len(pixels), 64)
        parts = (pixels[i : i + 64].astype(np.float32) for i in starts)
        vectors, features = zip(*map(self.judge.predict_on_batch, parts), strict=True)
        return np.concatenate(vectors), np.concatenate(features)

    def finished(self, material: Material) -> list[Array]:
        """The averaged weights with the last layer fitted anew, in closed form.

        It becomes the metric of `teacher.fit_metric` on the network's own features, each by its
        standard deviation, of pictures that are not augmented: of species, and of photographs and
        views of a class. The layer as trained bends to pictures more changed than those to come,
        and to the species, which outnumber the photo classes by far, more than to these; but it
        holds for styles never seen, so a part of it stays.
        """
        shown = np.flatnonzero(material.species >= 0)
        scenes = np.flatnonzero(material.classes >= 0)
        pictures = data.queries([material.pictures[i] for i in shown], network.SIZE)
        views = tf.image.resize(material.pixels[scenes, ..., :3], pictures.shape[1:3]).numpy()
        _, x = self.embed(np.concatenate([pictures, views.round().astype(np.uint8)]))
        count = len(material.centroids)
        labels = np.concatenate([material.species[shown], count + material.classes[scenes]])
        weights = np.where(np.arange(labels.max() + 1) < count, 1.0, REFIT_PHOTOS)
        mean, spread = x.mean(0), x.std(0) + 1e-6
        metric = teacher.fit_metric(
            (x - mean) / spread, labels, network.DIM, REFIT_SHRINKAGE, weights
        )
        anew = metric / spread[:, None]
        layer = self.judge.get_layer("embedding")
        layer.set_weights(blended(x, layer.get_weights(), [anew, -mean @ anew]))
        finished: list[Array] = self.judge.get_weights()
        return finished


def blended(x: Array, trained: list[Array], anew: list[Array]) -> list[Array]:
    """One layer of DIM outputs that keeps the most of two side by side, by PCA.

    x are features (n, FEATURES); each layer is its kernel (FEATURES, DIM) and bias (DIM,).
    """
    kernels, biases = [], []
    for (kernel, bias), weight in ((trained, TRAINED), (anew, 1.0)):
        scale = weight / np.linalg.norm(x @ kernel + bias, axis=1).mean()
        kernels.append(scale * kernel)
        biases.append(scale * bias)
    kernel, bias = np.concatenate(kernels, 1), np.concatenate(biases)
    y = x @ kernel + bias  # (n, 2 * DIM)
    centred = y - y.mean(0)
    _, directions = np.linalg.eigh(centred.T @ centred)  # in ascending order
    most = directions[:, : -network.DIM - 1 : -1]
    return [kernel @ most, (bias - y.mean(0)) @ most]


def save(file: Path, step: int, trainer: Trainer) -> None:
    """Write a checkpoint, whole or not at all."""
    part = file.with_suffix(".part.npz")
    np.savez(part, step=step, **{f"v{i:04d}": v.numpy() for i, v in enumerate(trainer.state())})
    part.replace(file)


def restore(file: Path, trainer: Trainer) -> int:
    """Read the checkpoint, if there is one; returns the number of steps done."""
    if not file.exists():
        return 0
    with np.load(file) as saved:
        for i, variable in enumerate(trainer.state()):
            variable.assign(saved[f"v{i:04d}"])
        return int(saved["step"])


def export(weights: list[Array], out: Path) -> None:
    """Write the network as a LiteRT file, whole or not at all."""
    part = out.with_name(out.name + ".part")
    part.write_bytes(network.to_litert(weights, network.SIZE))
    part.replace(out)


def schedule(step: int, steps: int) -> tuple[Tensor, Tensor]:
    """Learning rate (warm-up, then cosine) and how much of the average is kept at a step."""
    rate = RATE * min(1, (step + 1) / WARM_UP) * (1 + np.cos(np.pi * step / steps)) / 2
    averaging = min(AVERAGING, (1 + step) / (10 + step))
    return tf.constant(rate, tf.float32), tf.constant(averaging, tf.float32)


def train(args: argparse.Namespace) -> None:
    """Train; every ``args.every`` steps write a checkpoint and look at the dev species."""
    material = load(args.data, args.weights, args.work, args.without)
    index, asked = evaluate.split_queries(args.data, "dev")
    seen = [*index, *asked]
    cache = args.work / f"dev{network.SIZE}.npz"
    watched = data.cached(cache, seen, lambda: {"x": data.queries(seen, network.SIZE)})["x"]
    trainer = Trainer(material)
    checkpoint = args.work / "checkpoint.npz"
    done = restore(checkpoint, trainer)
    print(f"{len(material.pictures)} pictures, {len(material.centroids)} species, from step {done}")

    for share, size, shown in PHASES:
        stop = round(args.steps * share)
        if done >= stop:
            continue
        since, before, running = time.time(), done, dict[str, float]()
        for pixels, how in batches(material, size, shown, done, stop):
            parts = trainer.step(pixels, how, *schedule(done, args.steps))
            done += 1
            for name, value in parts.items():
                running[name] = 0.98 * running.get(name, float(value)) + 0.02 * float(value)
            if done % args.every and done != stop:
                continue
            speed = (done - before) * BATCH / (time.time() - since)
            save(checkpoint, done, trainer)
            x, _ = trainer.embed(watched)
            table = evaluate.recalls(index, x[: len(index)], asked, x[len(index) :])
            line: dict[str, object] = {"step": done, "size": size, "pictures_per_s": round(speed)}
            line |= {name: round(value, 3) for name, value in running.items()}
            line |= {s: f"{row['r1']:.1f}/{row['r5']:.1f}" for s, row in table.items()}
            print(json.dumps(line), flush=True)
            with (args.work / "metrics.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            since, before = time.time(), done
    export(trainer.finished(material), args.out)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Train or measure the compact embedder.")
    parser.add_argument("--data", type=Path, required=True, help="folder with pokemon/ and photos/")
    parser.add_argument(
        "--weights", type=Path, required=True, help="folder with the teacher's weights"
    )
    parser.add_argument("--work", type=Path, help="folder for caches, checkpoint and metrics")
    parser.add_argument("--out", type=Path, help="LiteRT file to write")
    parser.add_argument("--steps", type=int, default=11_000, help="length of the training")
    parser.add_argument(
        "--every", type=int, default=300, help="steps between two looks at the dev species"
    )
    parser.add_argument("--without", help="a style to leave out of the training")
    parser.add_argument("--evaluate", type=Path, help="measure this LiteRT file instead")
    parser.add_argument("--split", default="dev", help="species that --evaluate asks for")
    args = parser.parse_args()
    if args.evaluate:
        evaluate.report(args.evaluate, args.data, args.weights, args.split, args.work)
    elif args.work and args.out:
        train(args)
    else:
        parser.error("--work and --out are needed for training")


if __name__ == "__main__":
    main()
