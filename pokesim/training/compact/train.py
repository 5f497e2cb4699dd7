"""Train the compact embedder from random weights to a LiteRT file, or evaluate such a file.

    python -m pokesim.training.compact.train --data DIR --weights DIR --work DIR --out FILE.tflite
    python -m pokesim.training.compact.train --data DIR --weights DIR --evaluate FILE.tflite

The losses, for pairs of augmented pictures of one species (mostly in two styles):

- class: a softmax over one learned vector per species (Movshovitz-Attias et al. 2017, "No Fuss
  Distance Metric Learning using Proxies"; cosine and scale as in Wang et al. 2017, "NormFace"). A
  species with its colour channels in another order is treated as another species, which multiplies
  their small number;
- contrast: the pair against the rest of the batch, which includes look-alikes (Khosla et al. 2020,
  "Supervised Contrastive Learning");
- teacher: the embedding follows the teacher's vector of the clean picture, blended with the
  centroid of the species;
- raw: a linear head on the pooled features follows the teacher's raw features, without the learned
  metric.

Photographs are part of the training, so that the network also works on general pictures. The
result is the exponential moving average of the trained weights, with the last layer refitted at the
end. Training can be killed and restarted: it resumes from the last checkpoint in ``--work``. If
that checkpoint has all steps, only the refitting and the export remain.
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

# The share of the steps at which a phase ends, the side of its pictures, and the number of pairs in
# a batch that are of species. Starting with small pictures halves the time; towards the end, most
# of a batch is photographs.
PHASES = (
    (0.30, 96, 36),
    (0.50, 96, 30),
    (0.65, network.SIZE, 27),
    (0.80, network.SIZE, 18),
    (1.00, network.SIZE, 15),
)
RATE, DECAY, WARM_UP = 1.5e-3, 0.05, 300  # learning rate, weight decay, warm-up steps
SCALE, TEMPERATURE = 16.0, 0.1  # of the cosines in the class and contrastive losses
CONTRAST, TEACHER, RAW = 0.5, 3.0, 3.0  # weights of the losses; the class loss has 1
AVERAGING = 0.998
REFIT_SHRINKAGE, REFIT_PHOTOS = 0.5, 2.0  # last layer: shrinkage, weight of photo classes
TRAINED = 0.5  # weight of the last layer as trained, relative to the refitted one


class Trainer:
    """The network, its heads, the optimiser, the averaged weights, and the training step."""

    def __init__(self, material: Material) -> None:
        keras.utils.set_random_seed(SEED)
        self.goals, self.raw = tf.constant(material.goals), tf.constant(material.raw)
        self.network = network.build(None, "mixed_bfloat16")
        self.inference = network.build(network.SIZE, "float32")
        species = len(material.centroids)
        rng = np.random.default_rng(SEED)
        proxies = rng.normal(size=(species * ORDERS + material.classes.max() + 1, network.DIM))
        proxies = teacher.normalise(proxies)
        proxies[: species * ORDERS : ORDERS] = material.centroids
        self.proxies = keras.Variable(proxies.astype(np.float32), name="proxies")
        owner = np.repeat(np.arange(species), ORDERS)
        owner = np.pad(owner, (0, len(proxies) - len(owner)), constant_values=-2)  # photo classes
        self.owner = tf.constant(owner, tf.int32)
        self.head = keras.layers.Dense(material.raw.shape[1], dtype="float32")
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
        """Return every variable of a checkpoint."""
        kept = [*self.network.variables, *self.head.variables, self.proxies]
        return [*kept, *self.optimizer.variables, *self.average]

    def losses(self, pixels: Tensor, params: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the four losses of a batch of n pictures."""
        z, features = self.network(pixels, training=True)  # (n, d), (n, FEATURES)
        natural, proxy, group = params["natural"], params["proxy"], params["group"]

        centres = tf.math.l2_normalize(self.proxies.value, 1)
        logits = SCALE * tf.matmul(z, centres, transpose_b=True)  # (n, number of proxies)
        target = tf.range(tf.shape(centres)[0])[None, :] == proxy[:, None]
        # Do not contrast a species with its other channel orders: a grey one looks the same in all.
        same = (self.owner[None, :] == params["species"][:, None]) & ~target
        logits = tf.where(same, -1e9, logits)
        classed = tf.cast(proxy >= 0, tf.float32)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(proxy, 0), logits)
        class_loss = tf.reduce_sum(entropy * classed) / tf.reduce_sum(classed)

        alike = tf.matmul(z, z, transpose_b=True) / TEMPERATURE  # (n, n)
        itself = tf.eye(tf.shape(z)[0], dtype=tf.bool)
        pair = (group[:, None] == group[None, :]) & ~itself
        species = params["species"]
        related = (species[:, None] == species[None, :]) & (species[:, None] >= 0)
        alike = tf.where(itself | (related & ~pair), -1e9, alike)
        chance = tf.nn.log_softmax(alike)
        pair = tf.cast(pair, tf.float32)
        contrast = -tf.reduce_mean(tf.reduce_sum(chance * pair, 1) / tf.reduce_sum(pair, 1))

        def follow(vectors: Tensor, goals: Tensor) -> Tensor:
            cosine = tf.reduce_sum(vectors * tf.gather(goals, params["picture"]), 1)
            return tf.reduce_sum((1 - cosine) * natural) / tf.reduce_sum(natural)

        teacher_loss = follow(z, self.goals)
        raw = follow(tf.math.l2_normalize(self.head(features), 1), self.raw)
        return {"class": class_loss, "contrast": contrast, "teacher": teacher_loss, "raw": raw}

    @tf.function  # type: ignore[untyped-decorator]
    def step(
        self, pixels: Tensor, params: dict[str, Tensor], rate: Tensor, averaging: Tensor
    ) -> dict[str, Tensor]:
        """Take one step of AdamW (Loshchilov & Hutter 2019); return the losses."""
        with tf.GradientTape() as tape:
            losses = self.losses(pixels, params)
            total = losses["class"] + CONTRAST * losses["contrast"]
            total += TEACHER * losses["teacher"] + RAW * losses["raw"]
        gradients = tape.gradient(total, [v.value for v in self.trained])
        gradients, _ = tf.clip_by_global_norm(gradients, 5.0)
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply(gradients, self.trained)
        for mean, current in zip(self.average, self.network.variables, strict=True):
            mean.assign(averaging * mean + (1 - averaging) * current.value)
        return losses

    def weights(self) -> list[Array]:
        """Return the averaged weights (Polyak & Juditsky 1992)."""
        return [mean.numpy() for mean in self.average]

    def embed(self, pixels: Array) -> tuple[Array, Array]:
        """Run the averaged network: uint8 (n, SIZE, SIZE, 3) -> vectors (n, DIM), (n, FEATURES)."""
        self.inference.set_weights(self.weights())
        starts = range(0, len(pixels), 64)
        chunks = (pixels[i : i + 64].astype(np.float32) for i in starts)
        vectors, features = zip(*map(self.inference.predict_on_batch, chunks), strict=True)
        return np.concatenate(vectors), np.concatenate(features)

    def refitted_weights(self, material: Material) -> list[Array]:
        """Return the averaged weights with the last layer refitted in closed form.

        The new layer is the metric of `teacher.fit_metric` on the network's own features, divided
        by their standard deviations, of unaugmented pictures: of species, and of photographs and
        views with a class. The layer as trained fits pictures more altered than real queries, and
        favours the species, which far outnumber the photo classes. But it generalises to unseen
        styles, so the result keeps a share of it.
        """
        creatures = np.flatnonzero(material.species >= 0)
        scenes = np.flatnonzero(material.classes >= 0)
        pictures = data.queries([material.pictures[i] for i in creatures], network.SIZE)
        views = tf.image.resize(material.pixels[scenes, ..., :3], pictures.shape[1:3]).numpy()
        _, x = self.embed(np.concatenate([pictures, views.round().astype(np.uint8)]))
        count = len(material.centroids)
        labels = np.concatenate([material.species[creatures], count + material.classes[scenes]])
        weights = np.where(np.arange(labels.max() + 1) < count, 1.0, REFIT_PHOTOS)
        mean, spread = x.mean(0), x.std(0) + 1e-6
        metric = teacher.fit_metric(
            (x - mean) / spread, labels, network.DIM, REFIT_SHRINKAGE, weights
        )
        refit = metric / spread[:, None]
        layer = self.inference.get_layer("embedding")
        layer.set_weights(blended(x, layer.get_weights(), [refit, -mean @ refit]))
        refitted: list[Array] = self.inference.get_weights()
        return refitted


def blended(x: Array, trained: list[Array], refit: list[Array]) -> list[Array]:
    """Concatenate two layers and reduce their outputs to one layer of DIM outputs by PCA.

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
    return [kernel @ kept, (bias - y.mean(0)) @ kept]


def save(file: Path, step: int, trainer: Trainer) -> None:
    """Write a checkpoint atomically."""
    part = file.with_suffix(".part.npz")
    np.savez(part, step=step, **{f"v{i:04d}": v.numpy() for i, v in enumerate(trainer.state())})
    part.replace(file)


def restore(file: Path, trainer: Trainer) -> int:
    """Read the checkpoint, if it exists, and return the number of completed steps."""
    if not file.exists():
        return 0
    with np.load(file) as saved:
        for i, variable in enumerate(trainer.state()):
            variable.assign(saved[f"v{i:04d}"])
        return int(saved["step"])


def export(weights: list[Array], out: Path) -> None:
    """Write the network as a LiteRT file, atomically."""
    part = out.with_name(out.name + ".part")
    part.write_bytes(network.to_litert(weights, network.SIZE))
    part.replace(out)


def schedule(step: int, steps: int) -> tuple[Tensor, Tensor]:
    """Return the learning rate (warm-up, then cosine) and the decay of the average at a step."""
    rate = RATE * min(1, (step + 1) / WARM_UP) * (1 + np.cos(np.pi * step / steps)) / 2
    averaging = min(AVERAGING, (1 + step) / (10 + step))
    return tf.constant(rate, tf.float32), tf.constant(averaging, tf.float32)


def train(args: argparse.Namespace) -> None:
    """Train; every ``args.every`` steps, write a checkpoint and evaluate on the dev species."""
    material = load(args.data, args.weights, args.work, args.without)
    index, query_pictures = evaluate.split_queries(args.data, "dev")
    dev_pictures = [*index, *query_pictures]
    cache = args.work / f"dev{network.SIZE}.npz"
    arrays = data.cached(
        cache, dev_pictures, lambda: {"x": data.queries(dev_pictures, network.SIZE)}
    )
    trainer = Trainer(material)
    checkpoint = args.work / "checkpoint.npz"
    done = restore(checkpoint, trainer)
    print(f"{len(material.pictures)} pictures, {len(material.centroids)} species, from step {done}")

    for share, size, species_pairs in PHASES:
        stop = round(args.steps * share)
        if done >= stop:
            continue
        since, before, running = time.time(), done, dict[str, float]()
        for pixels, params in batches(material, size, species_pairs, done, stop):
            losses = trainer.step(pixels, params, *schedule(done, args.steps))
            done += 1
            for name, value in losses.items():
                running[name] = 0.98 * running.get(name, float(value)) + 0.02 * float(value)
            if done % args.every and done != stop:
                continue
            speed = (done - before) * BATCH / (time.time() - since)
            save(checkpoint, done, trainer)
            x, _ = trainer.embed(arrays["x"])
            table = evaluate.recalls(index, x[: len(index)], query_pictures, x[len(index) :])
            line: dict[str, object] = {"step": done, "size": size, "pictures_per_s": round(speed)}
            line |= {name: round(value, 3) for name, value in running.items()}
            line |= {s: f"{row['r1']:.1f}/{row['r5']:.1f}" for s, row in table.items()}
            print(json.dumps(line), flush=True)
            with (args.work / "metrics.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            since, before = time.time(), done
    export(trainer.refitted_weights(material), args.out)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Train or evaluate the compact embedder.")
    parser.add_argument("--data", type=Path, required=True, help="folder with pokemon/ and photos/")
    parser.add_argument(
        "--weights", type=Path, required=True, help="folder with the teacher's weights"
    )
    parser.add_argument("--work", type=Path, help="folder for caches, checkpoint and metrics")
    parser.add_argument("--out", type=Path, help="LiteRT file to write")
    parser.add_argument("--steps", type=int, default=11_000, help="number of training steps")
    parser.add_argument(
        "--every", type=int, default=300, help="steps between evaluations on the dev species"
    )
    parser.add_argument("--without", help="a style to leave out of the training")
    parser.add_argument(
        "--evaluate", type=Path, help="evaluate this LiteRT file instead of training"
    )
    parser.add_argument(
        "--split", default="dev", help="split of the species that --evaluate queries"
    )
    args = parser.parse_args()
    if args.evaluate:
        evaluate.report(args.evaluate, args.data, args.weights, args.split, args.work)
    elif args.work and args.out:
        train(args)
    else:
        parser.error("training needs --work and --out")


if __name__ == "__main__":
    main()
