"""What the training scripts learn, in closed form and by steps."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pokesim.training import heads
from pokesim.training.compact import pack
from pokesim.training.compact.data import Kind, Picture
from pokesim.training.compact.export import refitted
from pokesim.training.lda import Labelled, discriminants, unit
from pokesim.training.portraits import CHANGES, labelled, without_common


def clusters(seed, classes=30, each=6, dimension=48, noise=3.0):
    """Return classes that differ in the first half of the space, with noise in the second."""
    rng = np.random.default_rng(seed)
    x = np.repeat(rng.normal(size=(classes, dimension)), each, axis=0)
    x[:, dimension // 2 :] = rng.normal(scale=noise, size=(len(x), dimension // 2))
    x += rng.normal(scale=0.05, size=x.shape)
    return Labelled(x.astype(np.float32), np.repeat(np.arange(classes), each))


def accuracy(x, labels):
    """Return how often the nearest other row has the same label."""
    squares = (x**2).sum(1)
    distances = squares[:, None] - 2 * x @ x.T + squares
    np.fill_diagonal(distances, np.inf)
    return (labels[distances.argmin(1)] == labels).mean()


def test_discriminants_ignore_what_differs_within_a_class():
    fitted, unseen = clusters(1), clusters(2)
    metric, centre = discriminants([fitted], 0.1, 16)
    assert accuracy(unseen.x, unseen.labels) < 0.5
    assert accuracy((unseen.x - centre) @ metric, unseen.labels) > 0.95


def test_a_group_with_spread_gets_directions_of_its_own():
    wide = clusters(3, noise=0.05)
    narrow = Labelled(0.1 * np.roll(clusters(4, noise=0.05).x, 24, axis=1), wide.labels)
    kept = []
    for spread in (1.0, 200.0):
        groups = [wide, Labelled(narrow.x, narrow.labels, spread=spread)]
        metric, _ = discriminants(groups, 0.1, 8)
        kept.append((metric[24:] ** 2).sum() / (metric**2).sum())
    assert kept[0] < 0.1
    assert kept[1] > 0.5


def test_without_common_removes_the_mean_direction_alone():
    vectors = Labelled(unit(np.random.default_rng(4).normal(1, 1, (50, 12))), np.arange(50))
    projection = without_common(vectors)
    assert np.abs(vectors.x.mean(0) @ projection).max() < 1e-6
    assert np.linalg.matrix_rank(projection, tol=1e-4) == 11


def test_a_portrait_and_its_changes_are_one_class(samples):
    photos = sorted(samples.photos.iterdir())[:2]
    found = labelled(photos, 32, lambda pixels: pixels.reshape(1, -1).astype(np.float32))
    views = 1 + len(CHANGES)
    assert found.labels.tolist() == [0] * views + [1] * views
    flipped = found.x[1].reshape(32, 32, 3)[:, ::-1]
    assert np.abs(flipped - found.x[0].reshape(32, 32, 3)).mean() < 2
    assert found.x[3].mean() > found.x[0].mean()


def test_the_head_maps_features_and_a_constant():
    people = Labelled(unit(clusters(6, dimension=420).x), clusters(6, dimension=420).labels)
    groups = [
        Labelled(unit(clusters(s, 200, dimension=420).x), clusters(s, 200).labels) for s in (7, 8)
    ]
    head = heads.learned(groups, people)
    assert (head.dtype, head.shape) == (np.float16, (421, heads.DIMENSION))
    vectors = unit(np.hstack([people.x, np.ones((len(people.x), 1))]) @ head.astype(np.float32))
    assert np.linalg.norm(vectors.mean(0)) < 0.05


def test_the_refitted_layer_keeps_the_size_of_the_trained_one():
    rng = np.random.default_rng(9)
    species, people = clusters(10, 300, dimension=1024), clusters(11, dimension=1024)
    kernel, bias = rng.normal(size=(1024, 256)), rng.normal(size=256)
    new_kernel, new_bias = refitted(species, people, kernel, bias)
    assert (new_kernel.shape, new_bias.shape) == (kernel.shape, bias.shape)
    found = unit(species.x @ new_kernel + new_bias)
    assert accuracy(found, species.labels) > accuracy(species.x, species.labels)


@pytest.fixture(scope="module")
def packed(samples):
    """Sample pictures and photos in the roles of all kinds, with made-up teacher's vectors."""
    paths = sorted(samples.images.iterdir())
    drawn = {path.stem: path for path in samples.photos.iterdir()}
    both = [path for path in paths if path.stem in drawn]
    pictures = [Picture(path, path.stem, "kaggle") for path in both[:20]]
    pictures += [Picture(drawn[path.stem], path.stem, "web") for path in both[:20]]
    pictures += [Picture(path, path.stem, "hand", Kind.EMOJI) for path in paths[60:70]]
    pictures += [Picture(drawn[p.stem], "scene", "photo", Kind.SCENE) for p in both[20:30]]
    pictures += [Picture(drawn[p.stem], p.stem, "faces", Kind.PORTRAIT) for p in both[30:36]]
    rng = np.random.default_rng(5)
    return pictures, pack.pack(pictures, rng.normal(size=(len(pictures), 300)))


def test_a_pack_keeps_the_pictures(packed, tmp_path):
    pictures, written = packed
    written.save(tmp_path / "pack.npz")
    read = pack.Pack.load(tmp_path / "pack.npz")
    assert read.label.tolist() == [picture.label for picture in pictures]
    assert read.kind.tolist() == [picture.kind for picture in pictures]
    pixels = read.pixels()
    assert pixels.shape == (len(pictures), pack.SOURCE, pack.SOURCE, 4)
    some = read.select(read.kind == Kind.EMOJI)
    assert np.array_equal(some.pixels(), pixels[read.kind == Kind.EMOJI])
    with Image.open(pictures[0].path) as picture:
        box = picture.convert("RGBA").getchannel("A").point(lambda a: 255 * (a > 8)).getbbox()
        seen = picture.convert("RGBa").crop(box).resize((pack.SOURCE,) * 2)
    assert np.abs(np.asarray(seen, float) - pixels[0]).mean() < 8


def test_training_lowers_the_losses(packed, tmp_path):
    pytest.importorskip("jax", reason="JAX is not installed: pip install 'pokesim[training]'")
    _, written = packed
    written.save(tmp_path / "pack.npz")
    small = (
        "import sys; sys.argv[1:] = {args!r}\n"
        "from pokesim.training.compact import train\n"
        "from pokesim.training.compact import material\n"
        "for name in ('SEEDS', 'EMOJI_PAIRS', 'CLASS_PAIRS', 'INSTANCE_PAIRS', 'PORTRAIT_PAIRS'):\n"
        "    setattr(material, name, 2)\n"
        "material.SPECIES_PAIRS, material.BATCH, train.BATCH = 6, 28, 28\n"
        "train.WARM_UP = 5\n"
        "train.main()\n"
    )
    args = [
        "--pack",
        str(tmp_path / "pack.npz"),
        "--out",
        str(tmp_path / "w.npz"),
        "--minutes",
        "1",
    ]
    done = subprocess.run(
        [sys.executable, "-c", small.format(args=args)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines[-1]["class"] < lines[0]["class"]
    assert lines[-1]["raw"] < lines[0]["raw"]
    with np.load(tmp_path / "w.npz") as weights:
        assert sum(weights[name].size for name in weights.files) == 3_384_000
