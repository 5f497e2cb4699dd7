"""Embedders: names, finding and downloading weights, the export and its parity with Keras."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pokesim.embedders.catalog import CATALOG, spec_of
from pokesim.embedders.embedder import EXPORT_VERSION, Model
from pokesim.embedders.inventory import Availability, inventory
from pokesim.embedders.litert import LiteRTEmbedder
from pokesim.embedders.model_cache import find_model, receive_model
from pokesim.embedders.prepare import prepare_model
from pokesim.errors import ModelError, UsageError
from pokesim.images import pixels_of

KERAS = [spec for spec in CATALOG.values() if spec.keras]


@pytest.mark.parametrize("spec", KERAS, ids=lambda spec: spec.name)
def test_an_exported_network_gives_the_vectors_of_keras(spec, seeded_weights, samples):
    weights = seeded_weights(spec.keras.class_name, spec.keras.classifier)
    pictures = sorted(samples.photos.iterdir())[:3]
    pixels = np.stack([pixels_of(path, spec.side) for path in pictures])
    model = prepare_model(spec.name, weights)
    vectors = LiteRTEmbedder(model.path).embed(pixels)
    assert vectors.shape == (3, spec.dimension)

    expected = np.load(f"{weights}.npy")
    cosines = np.sum(vectors * expected, 1) / (
        np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
    )
    assert cosines.min() >= 0.99999

    stamp = model.path.stat().st_mtime_ns
    assert prepare_model(spec.name, weights) == model
    assert model.path.stat().st_mtime_ns == stamp, "the second call exports nothing"


def test_the_batch_size_does_not_change_the_vectors():
    model = prepare_model("compact")
    network = LiteRTEmbedder(model.path)
    shape = (7, network.side, network.side, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    together = network.embed(pixels)
    apart = np.concatenate([network.embed(pixels[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(together, apart, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-4)
    assert together.shape[1] == spec_of("compact").dimension
    assert network.side == spec_of("compact").side


def test_an_unknown_name_suggests_the_closest():
    with pytest.raises(UsageError, match="Did you mean resnet50"):
        spec_of("resnet5")


def test_unusable_weights_give_a_clear_error(seeded_weights, tmp_path):
    broken = tmp_path / "broken.weights.h5"
    broken.write_bytes(seeded_weights("MobileNetV2").read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"broken\.weights\.h5 cannot be used for mobilenet_v2"):
        prepare_model("mobilenet_v2", broken)
    with pytest.raises(ModelError, match="cannot be used for resnet50"):
        prepare_model("resnet50", seeded_weights("MobileNetV2"))
    with pytest.raises(ModelError, match="There is no weights file"):
        prepare_model("resnet50", tmp_path / "gone.h5")


def test_the_error_without_a_connection_names_both_remedies(run):
    blocked = {"https_proxy": "http://127.0.0.1:1"}
    done = run("build-index", "--embedder", "resnet50", **blocked)
    assert done.returncode == 1
    assert "cannot be downloaded" in done.stderr
    assert "https://" in done.stderr
    assert "--weights" in done.stderr


def test_the_command_embedders_lists_the_catalogue(run):
    lines = run("embedders").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(CATALOG)


def model_elsewhere(name, content, published):
    """Return a model as another machine has it."""
    digests = (hashlib.sha256(name.encode()).hexdigest(), hashlib.sha256(content).hexdigest())
    path = Path("elsewhere.tflite")
    return Model(name, digests[0], EXPORT_VERSION, len(content), digests[1], published, path)


def sent(content):
    return {"elsewhere.tflite": content}


@pytest.fixture
def empty_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("POKESIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


def test_the_inventory_says_what_each_embedder_lacks(empty_caches):
    receive_model(model_elsewhere("resnet50", b"published", True), sent(b"published"))
    receive_model(model_elsewhere("convnext_tiny", b"own", False), sent(b"own"))
    weights = empty_caches / "keras/models" / spec_of("mobilenet_v2").keras.weights_file
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    rows = {row.spec.name: (row.availability, row.bytes) for row in inventory()}
    assert rows.pop("compact")[0] is Availability.READY
    for name, least in (("general", 18_826_032), ("general_lite2", 24_666_229)):
        availability, size = rows.pop(name)
        assert (availability, size > least) == (Availability.EXPORTABLE, True)
    assert rows == {
        "efficientnet_lite0": (Availability.EXPORTABLE, 18_826_032),
        "efficientnet_lite2": (Availability.EXPORTABLE, 24_666_229),
        "resnet50": (Availability.READY, 9),
        "resnet50-softmax": (Availability.MISSING, 0),
        "mobilenet_v2": (Availability.EXPORTABLE, 7),
        "efficientnet_v2_b0": (Availability.MISSING, 0),
        "convnext_tiny": (Availability.OWN_WEIGHTS, 3),
        "dinov2_small": (Availability.MISSING, 0),
        "clip_vit_b32": (Availability.MISSING, 0),
        "siglip2_base": (Availability.MISSING, 0),
    }


def test_a_received_model_is_found_and_a_damaged_one_is_refused(empty_caches):
    model = model_elsewhere("resnet50", b"content", True)
    with pytest.raises(ModelError, match="damaged in transfer"):
        receive_model(model, sent(b"c0ntent"))
    assert not (empty_caches / "cache").exists()
    received = receive_model(model, sent(b"content"))
    assert find_model(model) == received
    assert received.path.read_bytes() == b"content"
    assert len(list(received.path.parent.iterdir())) == 2, "the model and its card, nothing else"


def test_the_error_for_a_missing_model_says_how_to_make_it(run, samples, seeded_weights, tmp_path):
    weights = seeded_weights("MobileNetV2")
    built = run("build-index", samples.photos, "--embedder", "mobilenet_v2", "--weights", weights)
    assert built.returncode == 0, built.stderr
    indexed = next(samples.photos.iterdir())
    photo = tmp_path / indexed.name
    Image.open(indexed).save(photo, quality=95)
    elsewhere = {"POKESIM_CACHE": str(tmp_path / "other")}
    known = run("query", indexed, "-k", "1", "--format", "json", **elsewhere)
    assert json.loads(known.stdout)[0]["matches"][0]["distance"] == 0, (
        "a picture of the index needs no model"
    )
    failed = run("query", photo, **elsewhere)
    assert failed.returncode == 1
    assert "pokesim embedders --prepare mobilenet_v2" in failed.stderr
    run("embedders", "--prepare", "mobilenet_v2", "--weights", weights, **elsewhere)
    answered = run("query", photo, "-k", "1", "--format", "json", **elsewhere)
    (match,) = json.loads(answered.stdout)[0]["matches"]
    assert match["label"] == photo.stem
    assert match["similarity"] > 99
