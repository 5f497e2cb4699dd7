"""The figures of `evaluate` equal those of an independent computation."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import pokesim
from pokesim.images import pixels_of
from pokesim.samples import PHOTOGRAPHED


def expected_ranks(index, photos, right):
    """Rank by sorting all distances in float64; ``right(photo, item)`` says if a match is right."""
    xb = index.vectors(np.arange(len(index))).astype(np.float64)
    items = list(index.items)
    ranks = []
    for photo in photos:
        query = index.embed(pixels_of(photo, index.manifest.embedder.side)[None])[0]
        order = np.argsort(np.linalg.norm(xb - query, axis=1), kind="stable")
        hits = [rank for rank, i in enumerate(order, 1) if right(photo, items[i])]
        ranks.append(hits[0] if hits else 0)
    return np.array(ranks)


@pytest.fixture
def styles(samples, tmp_path):
    """Photos in two styles, the second hard to recognise, and one photo with an unknown label."""
    for photo in sorted(samples.photos.iterdir())[:12]:
        for style, size in (("fine", 200), ("coarse", 12)):
            (tmp_path / "styles" / style).mkdir(parents=True, exist_ok=True)
            small = Image.open(photo).resize((size, size)).convert("RGB")
            small.save(tmp_path / "styles" / style / photo.name)
    shutil.copy(photo, tmp_path / "styles/fine/nobody.jpg")
    return tmp_path / "styles"


def test_figures_equal_an_independent_computation(run, index_path, styles):
    done = run("evaluate", styles, "--index", index_path, "--format", "json", "-k", "1,3")
    assert done.returncode == 0, done.stderr
    assert "Not counted: 1 photo of 1 label not in the index (nobody)." in done.stderr
    (found,) = json.loads(done.stdout)
    scores = {score["name"]: score for score in found["scores"]}
    assert list(scores) == ["coarse", "fine", "mean of 2 styles", "all photos"]
    with pokesim.open_index(index_path) as index:
        ranks = {
            style: expected_ranks(
                index,
                [path for path in sorted((styles / style).iterdir()) if path.stem != "nobody"],
                lambda photo, item: photo.stem == item.label,
            )
            for style in ("coarse", "fine")
        }
    ranks["all photos"] = np.concatenate([ranks["coarse"], ranks["fine"]])
    for name, expected in ranks.items():
        assert scores[name]["photos"] == len(expected)
        for figure, value in {
            "R@1": np.mean(expected == 1),
            "R@3": np.mean(expected <= 3),
            "MRR": np.mean(1 / expected),
        }.items():
            got = scores[name][figure]
            assert got["value"] == pytest.approx(value)
            assert got["low"] <= got["value"] <= got["high"]
    for figure in ("R@1", "R@3", "MRR"):
        both = [scores[style][figure]["value"] for style in ("coarse", "fine")]
        assert scores["mean of 2 styles"][figure]["value"] == pytest.approx(np.mean(both))
    assert found["unknown_labels"] == {"nobody": 1}


def test_folders_as_labels_and_a_picture_does_not_match_itself(run, tmp_path, samples):
    for name in PHOTOGRAPHED[:6]:
        (tmp_path / "all" / name).mkdir(parents=True)
        shutil.copy(samples.images / f"{name}.webp", tmp_path / "all" / name / "a.webp")
        shutil.copy(samples.photos / f"{name}.jpg", tmp_path / "all" / name / "b.jpg")
    run("build-index", "all", "--embedder", "compact")
    found = pokesim.evaluate_index(tmp_path / "all", tmp_path / "indexes/default", labels="folder")
    with pokesim.open_index(tmp_path / "indexes/default") as index:
        photos = sorted((tmp_path / "all").rglob("*.*"))
        xb = index.vectors(np.arange(12))
        near = np.linalg.norm(xb[:, None] - xb[None], axis=2) + 1e9 * np.eye(12)
    assert [item.path.parent.name for item in (one.photo for one in found.ranked)] == [
        photo.parent.name for photo in photos
    ]
    expected = [int((near[i] < near[i, i ^ 1]).sum()) + 1 for i in range(12)]
    assert [one.rank for one in found.ranked] == expected


def test_comparing_an_index_with_itself_and_with_a_worse_one(run, index_path, styles, samples):
    same = run("evaluate", styles / "fine", "--index", index_path, "--compare", index_path)
    assert "p = 1 (" in same.stdout
    noise = styles.parent / "noise"
    noise.mkdir()
    for path in samples.images.iterdir():
        Image.open(path).resize((2, 2)).save(noise / path.name)
    run("build-index", noise, "--embedder", "compact", "--index", "worse")
    options = ("--index", index_path, "--compare", "worse")
    worse = run("evaluate", samples.photos, *options)
    p = float(worse.stdout.rsplit("p = ", 1)[1].split()[0])
    assert p < 0.01


def test_the_misses_are_drawn(run, index_path, styles, tmp_path):
    done = run("evaluate", styles / "coarse", "--index", index_path, "--save", "misses.png")
    assert done.returncode == 0, done.stderr
    sheet = Image.open(tmp_path / "misses.png")
    assert sheet.width > 1000
    assert len(sheet.convert("RGB").getcolors(1 << 20)) > 1000


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["nowhere"], 1, "There is no folder nowhere."),
        (["empty"], 1, "There is no picture in empty."),
        (["strange"], 1, "No photo in strange has the label of a picture in"),
        (["strange", "-k", "one"], 2, "-k takes numbers"),
        (["strange", "-k", "0"], 2, "Every k must be at least 1, not 0."),
        (["strange", "--save", "sheet.txt"], 2, "--save writes PNG or JPEG"),
    ],
)
def test_bad_input_is_one_message(run, index_path, samples, tmp_path, args, code, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "strange").mkdir()
    shutil.copy(next(samples.photos.iterdir()), tmp_path / "strange" / "nobody.jpg")
    done = run("evaluate", *args, "--index", index_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
