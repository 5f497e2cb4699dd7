"""Train the compact embedder from random weights, on a GPU, from a file that `pack` wrote.

    python -m pokesim.training.compact.train --pack FILE.npz --out WEIGHTS.npz --minutes 2.2

It needs JAX, Keras and Optax (`pip install 'pokesim[training]'`), and nothing else of pokesim. The
losses, for pairs of augmented pictures of one class (mostly in two styles):

- class: a softmax over one learned vector per class (Movshovitz-Attias et al. 2017, "No Fuss
  Distance Metric Learning using Proxies"; cosine and scale as in Wang et al. 2017, "NormFace"). A
  species or emoji with its colour channels in another order is treated as another class, which
  multiplies their small number. Each portrait is a class of its own, so that portraits spread;
- contrast: the pair against the rest of the batch, which includes look-alikes (Khosla et al. 2020,
  "Supervised Contrastive Learning");
- teacher: the embedding follows the teacher's vector of the clean picture, blended with the
  centroid of the species;
- raw: a linear head on the pooled features follows the teacher's vector without a learned metric.

The result is the exponential moving average of the trained weights. `export` makes a LiteRT file.
"""

import argparse
import dataclasses
import json
import os
import time
from functools import partial
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax

from pokesim.training.compact import augment, material, network
from pokesim.training.compact.data import Array, Kind
from pokesim.training.compact.material import BATCH, ORDERS, SEED, Material
from pokesim.training.compact.network import Tensor
from pokesim.training.compact.pack import PCA, Pack
from pokesim.training.lda import unit

RATE, DECAY, WARM_UP = 2.5e-3, 0.05, 300  # learning rate, weight decay, warm-up steps
SCALE, TEMPERATURE = 16.0, 0.1  # of the cosines in the class and contrastive losses
CONTRAST, TEACHER, RAW = 0.5, 2.0, 3.0  # weights of the losses; the class loss has 1
AVERAGING = 0.999
LARGE = ("pixels", "backgrounds", "goals", "raw")
HIDDEN = -1e9  # logit of a class that does not count


def initial_state(data: Material) -> dict[str, Tensor]:
    """Return random weights, their average, and the optimiser's state."""
    keras.utils.set_random_seed(SEED)
    model = network.build("mixed_bfloat16")
    rng = np.random.default_rng(SEED)
    proxies = unit(rng.normal(size=(data.proxies, network.DIM)).astype(np.float32))
    ordered = data.first[Kind.SCENE]
    proxies[: ordered * ORDERS : ORDERS] = data.centroids[:ordered]
    head = rng.normal(scale=network.FEATURES**-0.5, size=(network.FEATURES, PCA))
    trained = {
        "network": [jnp.array(v.value) for v in model.trainable_variables],
        "proxies": jnp.asarray(proxies),
        "head": jnp.asarray(head.astype(np.float32)),
    }
    statistics = [jnp.array(v.value) for v in model.non_trainable_variables]
    average = jax.tree.map(jnp.copy, (trained["network"], statistics))
    return {
        "trained": trained,
        "statistics": statistics,
        "average": average,
        "optimizer": optax.scale_by_adam(b2=0.99).init(trained),
    }


def losses(
    z: Tensor,
    features: Tensor,
    trained: dict[str, Tensor],
    data: Material,
    batch: dict[str, Tensor],
) -> dict[str, Tensor]:
    """Return the four losses of a batch from vectors z (n, d) and features (n, FEATURES)."""
    natural, proxy, owner = batch["natural"], batch["proxy"], batch["owner"]

    def unit_rows(x: Tensor) -> Tensor:
        return x * jax.lax.rsqrt((x * x).sum(1, keepdims=True) + 1e-12)

    ordered = data.first[Kind.SCENE]
    owners = np.concatenate(
        [np.repeat(np.arange(ordered), ORDERS), np.arange(ordered, len(data.members))]
    )
    logits = SCALE * z @ unit_rows(trained["proxies"]).T  # (n, number of proxies)
    target = jnp.arange(data.proxies)[None] == proxy[:, None]
    # Do not contrast a species with its other channel orders: a grey one looks the same in all.
    logits = jnp.where((owners[None] == owner[:, None]) & ~target, HIDDEN, logits)
    entropy = jax.nn.logsumexp(logits, 1) - (logits * target).sum(1)
    class_loss = (entropy * (proxy >= 0)).sum() / (proxy >= 0).sum()

    alike = z @ z.T / TEMPERATURE  # (n, n)
    itself = jnp.eye(len(z), dtype=bool)
    pair = (batch["group"][:, None] == batch["group"][None]) & ~itself
    related = owner[:, None] == owner[None]
    chance = jax.nn.log_softmax(jnp.where(itself | (related & ~pair), HIDDEN, alike))
    contrast = -((chance * pair).sum(1) / pair.sum(1)).mean()

    def follow(vectors: Tensor, goals: Array) -> Tensor:
        cosine = (vectors * jnp.asarray(goals)[batch["picture"]]).sum(1)
        return ((1 - cosine) * natural).sum() / natural.sum()

    return {
        "class": class_loss,
        "contrast": contrast,
        "teacher": follow(z, data.goals),
        "raw": follow(unit_rows(features @ trained["head"]), data.raw),
    }


def step(
    state: dict[str, Tensor],
    data: Material,
    key: Tensor,
    rate: Tensor,
    averaging: Tensor,
    model: Tensor,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Draw a batch and take one step of AdamW (Loshchilov & Hutter 2019); return the losses."""
    batch = material.draw(key, data)
    cutouts = data.pixels[batch["picture"]]
    maps = jnp.asarray(augment.resampling_maps(network.SIZE))
    pixels = augment.render(cutouts, data.backgrounds, maps, batch, network.SIZE)

    def total(trained: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        (z, features), statistics = model.stateless_call(
            trained["network"], state["statistics"], pixels, training=True
        )
        found = losses(z, features, trained, data, batch)
        weighted = found["class"] + CONTRAST * found["contrast"]
        weighted += TEACHER * found["teacher"] + RAW * found["raw"]
        return weighted, (found, statistics)

    gradients, (found, statistics) = jax.grad(total, has_aux=True)(state["trained"])
    norm = optax.global_norm(gradients)
    gradients = jax.tree.map(lambda g: g * jnp.minimum(1, 5.0 / norm), gradients)
    updates, optimizer = optax.scale_by_adam(b2=0.99).update(gradients, state["optimizer"])
    trained = state["trained"]
    decays = {
        "network": [DECAY * (v.ndim > 1) for v in trained["network"]], "proxies": 0.0, "head": DECAY
    }  # fmt: skip
    trained = jax.tree.map(lambda v, u, d: v - rate * (u + d * v), trained, updates, decays)
    average = jax.tree.map(
        lambda mean, now: averaging * mean + (1 - averaging) * now,
        state["average"],
        (trained["network"], list(statistics)),
    )
    new = {"trained": trained, "statistics": list(statistics), "average": average}
    return {**new, "optimizer": optimizer}, found


def train(pack: Pack, out: Path, minutes: float) -> None:
    """Train for a time, and write the averaged weights every minute and at the end."""
    data = material.load(pack)
    print(f"{len(data.owner)} pictures, {len(data.members)} classes", flush=True)
    state = initial_state(data)
    model = network.build("mixed_bfloat16")
    # The large arrays are arguments; as constants they would be compiled into the program.
    arrays = {name: jnp.asarray(getattr(data, name)) for name in LARGE}

    @partial(jax.jit, donate_argnums=0)
    def jitted(
        state: dict[str, Tensor], arrays: dict[str, Tensor], key: Tensor, at: tuple[Tensor, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return step(state, dataclasses.replace(data, **arrays), key, *at, model)

    key = jax.random.key(SEED)
    start, done, noted = time.time(), 0, 0.0
    while (share := (time.time() - start) / (60 * minutes)) < 1:
        warm = min(1.0, (done + 1) / WARM_UP)
        rate = RATE * warm * (1 + np.cos(np.pi * share)) / 2
        averaging = min(AVERAGING, (1 + done) / (10 + done))
        state, found = jitted(
            state, arrays, jax.random.fold_in(key, done), (np.float32(rate), np.float32(averaging))
        )
        done += 1
        if done % 20 == 0 or done == 1:
            jax.block_until_ready(found)
            if time.time() - noted > 20:
                noted = time.time()
                line = {"step": done, "seconds": round(noted - start), "pictures": done * BATCH}
                print(
                    json.dumps(line | {k: round(float(v), 3) for k, v in found.items()}), flush=True
                )
                save(out, state, model)
    save(out, state, model)
    print(f"{done} steps, {done * BATCH} pictures in {time.time() - start:.0f} s", flush=True)


def save(out: Path, state: dict[str, Tensor], model: Tensor) -> None:
    """Write the averaged weights in the order of the network's ``get_weights``."""
    trained, statistics = state["average"]
    values = {v.path: a for v, a in zip(model.trainable_variables, trained, strict=True)}
    values |= {v.path: a for v, a in zip(model.non_trainable_variables, statistics, strict=True)}
    part = out.with_name(out.name + ".part")
    with part.open("wb") as file:
        np.savez(file, *(np.asarray(values[v.path]) for v in model.weights))
    part.replace(out)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Train the compact embedder.")
    parser.add_argument("--pack", type=Path, required=True, help="file that pack.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="file for the weights")
    parser.add_argument("--minutes", type=float, default=2.2, help="time to train")
    arguments = parser.parse_args()
    train(Pack.load(arguments.pack), arguments.out, arguments.minutes)


if __name__ == "__main__":
    main()
