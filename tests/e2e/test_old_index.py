"""An index that an earlier pokesim wrote opens, answers the same and is brought up to date.

The fixture was written by the last version before the package was divided into rooms: twelve
sample creatures, once with Panorama and a table, once with a learned metric, and that version's
answers to four photos. It embedded with today's weights of `compact`, or no photo could be embedded
for it today.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from stress.forged.sealing import forge
from support.paths import ROOT

import pokesim

FIXTURE = ROOT / "tests" / "fixtures" / "old_index"
ANSWERS = json.loads((FIXTURE / "answers.json").read_text())


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return shutil.copytree(FIXTURE, tmp_path / "old")


@pytest.mark.parametrize("name", ["described", "tuned"])
def test_it_opens_and_answers_the_same(old, name):
    assert list(pokesim.check_index(old / name))
    with pokesim.open_index(old / name) as index:
        for photo, expected in ANSWERS[name].items():
            matches = index.query(old / "photos" / photo, k=5)
            assert [(match.id, match.label) for match in matches] == [
                (item_id, label) for item_id, label, *_ in expected
            ]
            found = [(match.distance, match.similarity) for match in matches]
            np.testing.assert_allclose(found, [one[2:] for one in expected], rtol=1e-4)


def test_its_metadata_filters_a_query(old):
    with pokesim.open_index(old / "described") as index:
        photo = next((old / "photos").iterdir())
        matches = index.query(photo, where="Type=fire and HP > 43")
        assert matches
        assert all(match.metadata["Type"] == "fire" for match in matches)
        assert index.manifest.search.requested == "panorama"


@pytest.mark.parametrize("name", ["described", "tuned"])
def test_a_build_embeds_only_what_is_new(old, name):
    shutil.copy(next((old / "photos").iterdir()), old / "pictures" / "added.jpg")
    report = pokesim.build_index(old / "pictures", old / name)
    assert (report.indexed, report.embedded, report.dropped) == (13, 1, 0)
    with pokesim.open_index(old / name) as index:
        assert (index.manifest.tuning is not None) == (name == "tuned")
    removed = pokesim.remove_pictures(["added"], old / name)
    assert removed.indexed == 12


def test_a_metric_can_be_learned_again_and_dropped(old):
    tuning = pokesim.tune_index(old / "labelled", old / "tuned", dims=8, force=True)
    assert tuning.labels == 12
    pokesim.reset_index(old / "tuned")
    with pokesim.open_index(old / "tuned") as index:
        assert index.manifest.dimension == 256


def test_what_a_build_writes_keeps_the_old_layout(old):
    """Keys and files are those of format 1, so that an older pokesim reads them too."""
    pokesim.build_index(old / "pictures", old / "new", embedder="compact", search="pca")

    def manifest_of(index: Path) -> dict:
        current = (index / "CURRENT").read_text().strip()
        return json.loads((index / "snapshots" / current / "manifest.json").read_text())

    before, after = manifest_of(old / "described"), manifest_of(old / "new")
    assert before["format"] == after["format"] == 1
    assert before.keys() == after.keys()
    for key in ("embedder", "search"):
        assert before[key].keys() == after[key].keys()
    assert before["files"].keys() == after["files"].keys()


def test_an_index_with_panorama_is_brought_up_to_date_though_no_picture_has_changed(old):
    """An exact search that there is no more: until then the vectors are scanned."""
    pictures, index = old / "pictures", old / "new"
    pokesim.build_index(pictures, index, embedder="compact", search="pca")
    with pokesim.open_index(index) as opened:
        before = opened.search(opened.vectors([3]), 5)
    panorama = {"asked": "panorama", "used": "panorama", "recall": None}
    forge(index, lambda snapshot: snapshot.manifest.update(search=panorama))
    with pokesim.open_index(index) as opened:
        np.testing.assert_array_equal(opened.search(opened.vectors([3]), 5)[1], before[1])
    for search in ("auto", "panorama"):
        pokesim.build_index(pictures, index, search=search)
        with pokesim.open_index(index) as opened:
            assert (opened.manifest.search.requested, opened.manifest.search.used) == (
                "auto",
                "flat",
            )
            np.testing.assert_array_equal(opened.search(opened.vectors([3]), 5)[1], before[1])
    name = (index / "CURRENT").read_text()
    pokesim.build_index(pictures, index, search="panorama")
    assert (index / "CURRENT").read_text() == name
