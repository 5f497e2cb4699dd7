"""The training data in the GPU's memory, and the draw of a batch from it."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from pokesim.training.compact import augment, data, network
from pokesim.training.compact.data import Array, Kind
from pokesim.training.compact.network import Tensor
from pokesim.training.compact.pack import SOURCE, Pack
from pokesim.training.lda import Labelled, discriminants, unit

ORDERS = len(augment.CHANNEL_ORDERS)
NATURAL = 0.65  # share of species and emoji in their own colours
SEEDS = 45  # species in a batch, each with two of its look-alikes
SPECIES_PAIRS = 3 * SEEDS
EMOJI_PAIRS, CLASS_PAIRS, INSTANCE_PAIRS, PORTRAIT_PAIRS = 48, 24, 25, 24
BATCH = 2 * (SPECIES_PAIRS + EMOJI_PAIRS + CLASS_PAIRS + INSTANCE_PAIRS + PORTRAIT_PAIRS)
CALM = 0.6  # share of index pictures and photographs that are altered only a little
# Relative frequency of a style among those that a species has; 1 for the others.
STYLE_WEIGHTS = {"plush": 1.5, "web": 1.5, "gen1_redblue": 2.0}
MISLABELLED = 0.1  # share of the web pictures, those least similar to their species, left out
BACKGROUNDS = 2000
TEACHER_SHRINKAGE = 3.0
SEED = 7


@dataclass(frozen=True)
class Material:
    """The training data: n pictures of k classes: species, then emoji, scenes and portraits.

    Attributes:
        pixels: uint8 (n, SOURCE, SOURCE, 4), premultiplied by alpha.
        aspect, opaque, frame: as `data.read_cutout` returns them.
        owner: the class of each picture, int (n,).
        first: the first class of each kind, and the number of classes.
        members: the pictures of each class, int (k, m), padded.
        cumulative: how likely a picture of the class is one of the first 1, 2, … members, (k, m).
        index: the index picture of each species, int; -1 for none.
        look_alikes: for each species, the ten whose teacher's centroids are nearest, int (s, 10).
        goals: the teacher's vectors in a learned metric, drawn towards the centroid of a species
            or emoji; float32 (n, DIM) of length 1.
        raw: the teacher's vectors, float32 (n, PCA) of length 1.
        centroids: the class means of the vectors in the learned metric, float32 (k, DIM).
        backgrounds: uint8 (BACKGROUNDS, SIZE, SIZE, 3).
    """

    pixels: Array
    aspect: Array
    opaque: Array
    frame: Array
    owner: Array
    first: dict[Kind, int]
    members: Array
    cumulative: Array
    index: Array
    look_alikes: Array
    goals: Array
    raw: Array
    centroids: Array
    backgrounds: Array

    @property
    def proxies(self) -> int:
        """The number of classes in the class loss: a species or emoji has one for each order."""
        ordered = self.first[Kind.SCENE]
        return ordered * ORDERS + len(self.members) - ordered


def load(pack: Pack) -> Material:
    """Prepare the pictures of a pack for training."""
    owner, first = _classes(pack)
    x = pack.teacher.astype(np.float32)
    kinds = [pack.kind == kind for kind in (Kind.SPECIES, Kind.EMOJI, Kind.SCENE)]
    metric, centre = discriminants(
        [Labelled(x[of], owner[of]) for of in kinds], TEACHER_SHRINKAGE, network.DIM
    )
    vectors = unit((x - centre) @ metric)
    centroids = _centroids(vectors, owner)

    likeness = (vectors * centroids[owner]).sum(1)
    web = pack.style == "web"
    keep = ~web | (likeness > np.quantile(likeness[web], MISLABELLED)) if web.any() else ~web
    pack, x, owner, vectors = pack.select(keep), x[keep], owner[keep], vectors[keep]

    species = first[Kind.EMOJI]
    alike = centroids[:species] @ centroids[:species].T
    goals = np.where((owner < first[Kind.SCENE])[:, None], vectors + centroids[owner], vectors)
    members, cumulative = _members(owner, pack.style)
    is_index = pack.style == data.INDEX_STYLE
    index = np.full(species, -1)
    index[owner[is_index]] = np.flatnonzero(is_index)
    pixels = pack.pixels()
    photographs = pixels[(pack.kind == Kind.SCENE) & pack.opaque]
    return Material(
        pixels,
        pack.aspect,
        pack.opaque,
        pack.frame,
        owner,
        first,
        members,
        cumulative,
        index,
        np.argsort(-alike, 1)[:, 1:11],
        unit(goals),
        x,
        centroids,
        augment.background_crops(
            np.random.default_rng(SEED), photographs, BACKGROUNDS, network.SIZE
        ),
    )


def _classes(pack: Pack) -> tuple[Array, dict[Kind, int]]:
    """Number the classes, kind by kind; return the pictures' classes and each kind's first."""
    owner, first, count = np.zeros(len(pack.label), np.int64), {}, 0
    for kind in Kind:
        of_kind = pack.kind == kind
        names, at = np.unique(pack.label[of_kind], return_inverse=True)
        owner[of_kind], first[kind] = count + at, count
        count += len(names)
    return owner, first


def _centroids(vectors: Array, owner: Array) -> Array:
    sums = np.zeros((owner.max() + 1, vectors.shape[1]), np.float32)
    np.add.at(sums, owner, vectors)
    return unit(sums)


def _members(owner: Array, style: Array) -> tuple[Array, Array]:
    """Return each class's pictures and their cumulative probabilities; styles count equally."""
    groups = [np.flatnonzero(owner == k) for k in range(owner.max() + 1)]
    longest = max(map(len, groups))
    members = np.zeros((len(groups), longest), np.int64)
    cumulative = np.ones((len(groups), longest), np.float32)
    for k, group in enumerate(groups):
        names, counts = np.unique(style[group], return_counts=True)
        share = dict(zip(names, counts, strict=True))
        weight = np.array([STYLE_WEIGHTS.get(s, 1.0) / share[s] for s in style[group]])
        members[k, : len(group)] = group
        cumulative[k, : len(group)] = (weight / weight.sum()).cumsum()
        cumulative[k, len(group) - 1 :] = 1.0
    return members, cumulative


def draw(key: Tensor, material: Material) -> dict[str, Tensor]:
    """Draw the BATCH pictures of a step, in pairs of one class, and their augmentation.

    The pairs are of species with two of their look-alikes, of emoji, of scenes of one class, of one
    scene twice, and of one portrait twice.
    """
    keys = iter(jax.random.split(key, 20))
    k, first = len(material.members), material.first
    members, cumulative = jnp.asarray(material.members), jnp.asarray(material.cumulative)

    def some(start: int, stop: int, count: int) -> Tensor:
        return start + jax.random.permutation(next(keys), stop - start)[:count]

    def one_of(classes: Tensor) -> Tensor:
        chosen = jax.random.uniform(next(keys), (len(classes), 1)) >= cumulative[classes]
        return members[classes, chosen.sum(1).clip(0, members.shape[1] - 1)]

    def coloured(count: int) -> Tensor:
        natural = jax.random.uniform(next(keys), (count,)) < NATURAL
        return jnp.where(natural, 0, jax.random.randint(next(keys), (count,), 1, ORDERS))

    seeds = some(0, first[Kind.EMOJI], SEEDS)
    ranks = jax.lax.top_k(jax.random.uniform(next(keys), (SEEDS, 10)), 2)[1]
    near = jnp.asarray(material.look_alikes)[seeds[:, None], ranks]
    species = jnp.concatenate([seeds[:, None], near], 1).ravel()
    emoji = some(first[Kind.EMOJI], first[Kind.SCENE], EMOJI_PAIRS)
    drawn = jax.random.randint(next(keys), (CLASS_PAIRS,), first[Kind.SCENE], first[Kind.PORTRAIT])
    instances = jax.random.randint(
        next(keys), (INSTANCE_PAIRS,), first[Kind.SCENE], first[Kind.PORTRAIT]
    )
    portraits = some(first[Kind.PORTRAIT], k, PORTRAIT_PAIRS)

    classes = jnp.concatenate([species, emoji, drawn, instances, portraits])  # (pairs,)
    left, right = one_of(classes), one_of(classes)
    index = jnp.asarray(material.index)[species]
    from_index = (index >= 0) & (jax.random.uniform(next(keys), index.shape) < 0.5)
    left = left.at[:SPECIES_PAIRS].set(jnp.where(from_index, index, left[:SPECIES_PAIRS]))
    right = right.at[-INSTANCE_PAIRS - PORTRAIT_PAIRS :].set(
        left[-INSTANCE_PAIRS - PORTRAIT_PAIRS :]
    )

    is_creature = jnp.arange(len(classes)) < SPECIES_PAIRS + EMOJI_PAIRS
    may_be_calm = jnp.stack([~is_creature, ~is_creature], 1).at[:SPECIES_PAIRS, 0].set(from_index)
    calm = may_be_calm & (jax.random.uniform(next(keys), may_be_calm.shape) < CALM)
    still = jnp.zeros(len(classes) - SPECIES_PAIRS - EMOJI_PAIRS, jnp.int32)
    order = jnp.concatenate([jnp.repeat(coloured(SEEDS), 3), coloured(EMOJI_PAIRS), still])
    ordered = first[Kind.SCENE]
    proxy = jnp.where(classes < ordered, classes * ORDERS + order, classes + ordered * (ORDERS - 1))
    start = len(classes) - INSTANCE_PAIRS - PORTRAIT_PAIRS
    as_instance = slice(start, start + INSTANCE_PAIRS)
    # In the contrastive loss, a scene that is drawn as an instance is a group by itself.
    group = proxy.at[as_instance].set(material.proxies + left[as_instance])
    proxy = proxy.at[as_instance].set(-1)

    picture = jnp.stack([left, right], 1).ravel()
    order = jnp.repeat(order, 2)
    params = augment.draw(
        next(keys),
        network.SIZE,
        SOURCE,
        jnp.asarray(material.aspect)[picture],
        jnp.asarray(material.opaque)[picture],
        jnp.asarray(material.frame)[picture],
        calm.ravel(),
        order,
        BACKGROUNDS,
    )
    return params | {
        "picture": picture,
        "owner": jnp.repeat(classes, 2),
        "proxy": jnp.repeat(proxy, 2),
        "group": jnp.repeat(group, 2),
        "natural": (order == 0).astype(jnp.float32),
    }
