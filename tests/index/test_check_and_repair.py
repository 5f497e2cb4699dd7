"""Damage of every kind is detected, reported in one line, and repaired."""

import contextlib
import hashlib
import json
import os
import random
import shutil

import pytest

import pokesim
from pokesim.embedders.prepare import prepare_model
from pokesim.errors import IndexFolderError, ModelError


@pytest.fixture
def index(index_path, tmp_path):
    """A copy of the index that a test may damage."""
    return shutil.copytree(index_path, tmp_path / "copy")


def the(index, name):
    (path,) = index.glob(f"snapshots/*/{name}")
    return path


def check(index):
    return list(pokesim.check_index(index))


def test_an_intact_index_passes_the_check(run, index):
    done = run("check", "--index", index)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == f"{index} is sound."


@pytest.mark.parametrize("name", ["manifest.json", "items.sqlite", "vectors.faiss"])
def test_flipped_bits_and_truncation_are_detected_and_the_file_named(run, index, name):
    path = the(index, name)
    good = path.read_bytes()
    chance = random.Random(name)
    for _ in range(40):
        place = chance.randrange(len(good))
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(IndexFolderError, match=r"manifest\.json" if "man" in name else name):
            check(index)
    for _ in range(10):
        path.write_bytes(good[: chance.randrange(len(good))])
        with pytest.raises(IndexFolderError, match=name):
            pokesim.open_index(index)
    path.unlink()
    done = run("check", "--index", index)
    assert done.returncode == 1
    assert name in done.stderr
    path.write_bytes(good)
    check(index)


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.mark.parametrize("text", ["", "\n", "../elsewhere", "gone", "é", LFS])
def test_a_bad_current_pointer_is_reported_in_one_line(run, index, text):
    (index / "CURRENT").write_text(text)
    done = run("query", "x.png", "--index", index)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_a_newer_format_requires_a_newer_pokesim(run, index):
    path = the(index, "manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    done = run("info", "--index", index)
    assert done.returncode == 1
    assert "update pokesim" in done.stderr


def test_another_version_of_the_embedder_is_refused(index, monkeypatch, tmp_path, samples):
    from pokesim.embedders.model_cache import BUNDLED_FILE

    other = tmp_path / "model.tflite"
    other.write_bytes(BUNDLED_FILE.read_bytes() + b"\0")
    monkeypatch.setattr("pokesim.embedders.model_cache.BUNDLED_FILE", other)
    with pytest.raises(ModelError, match="another version of compact"):
        pokesim.open_index(index).query(next(samples.photos.iterdir()))


def test_a_damaged_exported_model_is_detected(run, samples, seeded_weights, tmp_path):
    weights = seeded_weights("MobileNetV2")
    made = prepare_model("mobilenet_v2", weights).path
    model = tmp_path / "cache/models" / made.name
    model.parent.mkdir(parents=True)
    for path in (made, made.with_suffix(".json")):
        shutil.copy(path, model.parent)
    cache = {"POKESIM_CACHE": str(tmp_path / "cache")}
    run("build-index", samples.photos, "--embedder", "mobilenet_v2", "--weights", weights, **cache)
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(bytes(data))
    done = run("check", **cache)
    assert done.returncode == 1
    assert model.name in done.stderr


def test_vectors_that_are_not_finite_are_detected(tmp_path):
    import numpy as np
    from support.indexes import index_of

    rows = np.ones((5, 3), np.float32)
    rows[2, 1] = np.nan
    index_of(tmp_path / "i", rows)
    with pytest.raises(IndexFolderError, match="not finite"):
        check(tmp_path / "i")


@pytest.fixture(scope="module")
def two_snapshots(index_path, tmp_path_factory):
    folder = shutil.copytree(index_path, tmp_path_factory.mktemp("two") / "index")
    pokesim.remove_pictures(["brumbel"], folder)
    return folder


@pytest.fixture
def two(two_snapshots, tmp_path):
    """An index of two snapshots; the current one has one picture fewer."""
    return shutil.copytree(two_snapshots, tmp_path / "two")


def current(index):
    return index / "snapshots" / (index / "CURRENT").read_text().strip()


def cut(path):
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 8
    path.unlink()
    path.write_bytes(data)


def swap(path):
    """Replace the file by that of another snapshot."""
    (other,) = (one for one in path.parents[1].iterdir() if one != path.parent)
    path.unlink()
    shutil.copy(other / path.name, path)


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "cut": cut,
    "flipped": flip,
    "swapped": swap,
    "lfs": lambda path: path.write_text(LFS),
}


@pytest.mark.parametrize("name", ["manifest.json", "items.sqlite", "vectors.faiss"])
@pytest.mark.parametrize("how", DAMAGES)
def test_damage_is_reported_with_a_repair_command_that_works(two, how, name):
    DAMAGES[how](current(two) / name)
    with pytest.raises(IndexFolderError, match=name) as found:
        check(two)
    assert ("git lfs pull" in str(found.value)) == (how == "lfs")
    assert f"`pokesim check --repair --index {two}` returns to the index of 20" in str(found.value)
    assert "UTC, with 151 pictures" in list(pokesim.repair_index(two))[-1]
    check(two)
    assert len(list((two / "snapshots").iterdir())) == 1


def test_repair_reports_what_it_does(run, two):
    flip(current(two) / "items.sqlite")
    found = run("check", "--index", two)
    assert (found.returncode, found.stderr.count("\n")) == (1, 1)
    done = run("check", "--repair", "--index", two)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"found: {current(two).parent}")
    assert (
        "items.sqlite is damaged (its SHA-256 differs)\nrepaired: restored the index of"
        in done.stdout
    )
    assert done.stdout.splitlines()[-1] == f"{two} is sound."


@pytest.mark.parametrize("text", ["", "gone", LFS, None])
def test_a_damaged_pointer_is_repaired(two, text):
    pointer = two / "CURRENT"
    pointer.unlink() if text is None else pointer.write_text(text)
    with pytest.raises(IndexFolderError, match="`pokesim check --repair"):
        pokesim.open_index(two)
    assert "UTC, with 150 pictures" in list(pokesim.repair_index(two))[-1]
    check(two)


def test_repair_embeds_the_pictures_again_if_no_snapshot_is_intact(run, index, samples):
    the(index, "vectors.faiss").unlink()
    damaged = run("check", "--index", index)
    assert "build the index again" in damaged.stderr
    done = run("check", "--repair", "--index", index)
    assert f"repaired: embedded 151 pictures of {samples.images} again" in done.stdout
    assert done.stdout.splitlines()[-1] == f"{index} is sound."


@pytest.mark.parametrize("name", ["search.faiss", "rotation.npy"])
@pytest.mark.parametrize("tuned", [False, True])
def test_repair_builds_the_candidate_index_again(run, samples, tmp_path, name, tuned):
    folder = tmp_path / "i"
    pokesim.build_index(samples.images, folder, embedder="compact", search="pca")
    if tuned:
        pokesim.tune_index(samples.photos, folder, force=True)
    photo = next(samples.photos.iterdir())
    before = pokesim.open_index(folder).query(photo)
    (damaged,) = (folder / "snapshots" / (folder / "CURRENT").read_text().strip()).glob(name)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    done = run("check", "--repair", "--index", folder)
    assert done.returncode == 0, done.stderr
    assert f"repaired: built the candidate index of {folder} again" in done.stdout
    opened = pokesim.open_index(folder)
    assert opened.manifest.search.used == "pca"
    assert opened.query(photo) == before


def test_repair_projects_the_vectors_of_a_tuned_index_again(run, index, samples):
    pokesim.tune_index(samples.photos, index, dims=16, force=True)
    before = (current(index) / "vectors.faiss").read_bytes()
    cut(current(index) / "vectors.faiss")
    done = run("check", "--repair", "--index", index)
    path = current(index) / "vectors.faiss"
    assert f"repaired: projected {path} again and restored the index of" in done.stdout
    assert (current(index) / "vectors.faiss").read_bytes() == before


def test_repair_of_an_intact_index_and_of_one_beyond_repair(run, index):
    assert "found" not in run("check", "--repair", "--index", index).stdout
    the(index, "manifest.json").write_text("{}")
    done = run("check", "--repair", "--index", index)
    assert done.returncode == 1
    assert f"Nothing of {index} can be repaired; build the index again." in done.stderr
    assert run("check", "--repair", "--index", "nowhere").returncode == 1
    assert not (index.parent / "nowhere").exists()


def test_a_query_reports_damaged_items_in_one_line(run, index, samples):
    path = the(index, "items.sqlite")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:200].ljust(size, b"\xff"))
    done = run("query", next(samples.photos.iterdir()), "--index", index)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "items.sqlite" in done.stderr
    assert "Unexpected" not in done.stderr


def test_different_numbers_of_vectors_and_items_are_detected(index):
    import sqlite3

    items = the(index, "items.sqlite")
    with contextlib.closing(sqlite3.connect(items)) as db, db:
        db.execute("DELETE FROM items WHERE id = 70")
    manifest = items.with_name("manifest.json")
    data = json.loads(manifest.read_text())
    digest = hashlib.sha256(items.read_bytes()).hexdigest()
    data["files"]["items.sqlite"] = {"bytes": items.stat().st_size, "sha256": digest}
    manifest.write_text(json.dumps(data))  # as a faulty writer might
    name = "20260101T000000Z-" + hashlib.sha256(manifest.read_bytes()).hexdigest()[:16]
    items.parent.rename(items.parent.with_name(name))
    (index / "CURRENT").write_text(name)
    with pytest.raises(IndexFolderError, match="it has no item 70"):
        check(index)


def test_the_error_names_the_process_that_holds_the_lock(run, index):
    from pokesim.index.folder.lock import write_lock

    with write_lock(index):
        done = run("remove", "brumbel", "--index", index)
    assert done.returncode == 1
    assert f"Another build (process {os.getpid()} on " in done.stderr
