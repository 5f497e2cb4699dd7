"""Damage of every kind is found, when an index is opened or checked, and named in one sentence."""

import json
import random
import shutil

import pytest

import pokesim
from pokesim.errors import IndexFolderError, ModelError


@pytest.fixture
def index(index_path, tmp_path):
    """A copy of the index, to damage."""
    return shutil.copytree(index_path, tmp_path / "copy")


def the(index, name):
    (path,) = index.glob(f"snapshots/*/{name}")
    return path


def check(index):
    return list(pokesim.check_index(index))


def test_a_good_index_is_sound(run, index):
    done = run("check", "--index", index)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == f"{index} is sound."


@pytest.mark.parametrize("name", ["manifest.json", "items.sqlite", "vectors.faiss"])
def test_flipped_bits_and_truncation_are_found_and_the_file_named(run, index, name):
    path = the(index, name)
    good = path.read_bytes()
    moments = random.Random(name)
    for _ in range(40):
        place = moments.randrange(len(good))
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(IndexFolderError, match=r"manifest\.json" if "man" in name else name):
            check(index)
    for _ in range(10):
        path.write_bytes(good[: moments.randrange(len(good))])
        with pytest.raises(IndexFolderError, match=name):
            pokesim.open_index(index)
    path.unlink()
    done = run("check", "--index", index)
    assert done.returncode == 1
    assert name in done.stderr
    path.write_bytes(good)
    check(index)


@pytest.mark.parametrize("text", ["", "\n", "../elsewhere", "gone", "é"])
def test_a_bad_current_pointer_is_one_sentence(run, index, text):
    (index / "CURRENT").write_text(text)
    done = run("query", "x.png", "--index", index)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_a_newer_format_asks_for_a_newer_pokesim(run, index):
    path = the(index, "manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    done = run("info", "--index", index)
    assert done.returncode == 1
    assert "update pokesim" in done.stderr


def test_another_version_of_the_embedder_is_refused(index, monkeypatch, tmp_path, samples):
    from pokesim.embedders import models

    other = tmp_path / "model.tflite"
    other.write_bytes(models.BUNDLED_FILE.read_bytes() + b"\0")
    monkeypatch.setattr(models, "BUNDLED_FILE", other)
    with pytest.raises(ModelError, match="another version of compact"):
        pokesim.open_index(index).query(next(samples.photos.iterdir()))


def test_a_damaged_exported_model_is_found(run, samples, seeded_weights, cache, tmp_path):
    weights = seeded_weights("MobileNetV2")
    home = {"POKESIM_CACHE": str(tmp_path / "cache")}
    run("build-index", samples.photos, "--embedder", "mobilenet_v2", "--weights", weights, **home)
    (model,) = (tmp_path / "cache/models").glob("*.tflite")
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(bytes(data))
    done = run("check", **home)
    assert done.returncode == 1
    assert model.name in done.stderr


def test_vectors_that_are_not_finite_are_found(tmp_path):
    import numpy as np
    from test_search import index_of

    rows = np.ones((5, 3), np.float32)
    rows[2, 1] = np.nan
    index_of(tmp_path / "i", rows)
    with pytest.raises(IndexFolderError, match="not finite"):
        check(tmp_path / "i")
