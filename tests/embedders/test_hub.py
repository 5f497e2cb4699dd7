"""Networks by name: fetched once from a hub, with its hashes; here from a stand-in on loopback."""

import json
import sys

import pytest
from support import networks
from support.hub import COMMIT, hub_of

import pokesim
from pokesim.embedders.catalog import CATALOG
from pokesim.embedders.files import hub as fetching
from pokesim.embedders.prepare import prepare_model
from pokesim.errors import ModelError

NAME = "clip_vit_b32"
REPOSITORY = CATALOG[NAME].hub.repository


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with the repository of a row of the catalogue, in small; and an empty cache."""
    folder = tmp_path / "repository"
    networks.write_published(folder, "clip")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "modeling.py").write_text("raise SystemExit")
    with hub_of(folder, REPOSITORY) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("POKESIM_CACHE", str(tmp_path / "cache"))
        yield running


def test_a_network_is_fetched_once_and_recorded_with_its_commit(hub, run, samples, tmp_path):
    photos = sorted(samples.photos.iterdir())[:3]
    for photo in photos:
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / photo.name).write_bytes(photo.read_bytes())
    built = run("build-index", "--embedder", NAME)
    assert built.returncode == 0, built.stderr
    fetched = {path.rpartition("/")[2] for path, _ in hub.asked if "/resolve/" in path}
    assert fetched == {"config.json", "preprocessor_config.json", "vision_model.onnx"}
    manifest = pokesim.open_index(tmp_path / "indexes/default").manifest
    network = manifest.embedder.network
    assert (network.origin.repository, network.origin.commit) == (REPOSITORY, COMMIT)
    stated = next(one["lfs"]["sha256"] for one in hub.info()["siblings"] if "lfs" in one)
    assert {one.sha256 for one in network.files.values()} == {stated}
    assert (manifest.embedder.name, network.licence) == (NAME, "MIT")

    hub.asked.clear()
    again = run("build-index", "--embedder", NAME, "--rebuild", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert run("query", photos[0], "-k", "1").returncode == 0
    assert not hub.asked, "nothing is fetched again"
    listed = json.loads(run("embedders", "--format", "json").stdout)
    row = next(one for one in listed if one["embedder"] == NAME)
    assert (row["ready"], row["licence"]) == ("yes", "MIT")
    assert not (tmp_path / "cache/models/hub" / NAME).exists()


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("gated", f"{REPOSITORY} is given only to those whom its owner has approved"),
        ("missing", f"The hub has no {REPOSITORY}"),
        ("forged", "served another config.json of .* than it states"),
        ("slow", "the hub took over 1 s; try again, which resumes"),
    ],
)
def test_a_fault_of_the_hub_is_one_sentence(hub, monkeypatch, fault, why):
    hub.fault = fault
    monkeypatch.setattr(fetching, "ANSWER_SECONDS", 1.0 if fault == "slow" else 20.0)
    with pytest.raises(ModelError, match=why) as found:
        prepare_model(NAME)
    assert "\n" not in str(found.value)


def test_a_hub_that_is_away_and_a_library_that_is_missing_are_named(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(fetching, "ANSWER_SECONDS", 5.0)
    with pytest.raises(ModelError, match=r"could not be fetched .*(--embedder \./FOLDER|resumes)"):
        prepare_model(NAME)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"pip install 'pokesim\[hub\]'"):
        prepare_model(NAME)


def test_a_broken_download_resumes(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)  # of a small file
    hub.fault = "torn"
    assert prepare_model(NAME).name == NAME
    ranges = [given for path, given in hub.asked if path.endswith(".onnx") and given]
    assert ranges
    assert not any(given.startswith("bytes=0-") for given in ranges)
