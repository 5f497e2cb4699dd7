"""The figures of `evaluate` equal those of an independent computation."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import pokesim
from pokesim.errors import PokesimError
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


@pytest.fixture(scope="module")
def classes(samples, tmp_path_factory):
    """Twelve folders of three pictures each, whose stems all differ, and an index of them."""
    home = tmp_path_factory.mktemp("classes")
    for at, name in enumerate(PHOTOGRAPHED[:12]):
        folder = home / "classes" / name
        folder.mkdir(parents=True)
        with Image.open(samples.photos / f"{name}.jpg") as photo:
            for turn in range(3):
                turned = photo.convert("RGB").resize((96, 96)).rotate(6 * turn)
                turned.save(folder / f"{'abc'[turn]}-{'klmnopqrstuv'[at]}.png")
    pokesim.build_index(home / "classes", home / "index", embedder="compact")
    return home


def no_embedding(*_):
    raise AssertionError


def test_folders_are_the_labels_where_stems_only_tell_pictures_apart(classes):
    found = pokesim.evaluate_index(classes / "classes", classes / "index")
    assert {one.photo.label for one in found.ranked} == set(PHOTOGRAPHED[:12])
    assert len(found.ranked) == 36
    assert found.scores[-1].figures["R@1"][0] > 0.9


def test_stems_are_the_labels_where_other_pictures_have_them(classes, samples, tmp_path):
    for place in ("index", "photos"):
        for at, name in enumerate(PHOTOGRAPHED[:4]):
            path = tmp_path / place / ["one", "two"][at % 2] / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            source = samples.photos / f"{name}.jpg"
            if place == "index":
                source = samples.images / f"{name}.webp"
            with Image.open(source) as picture:
                picture.save(path)
    pokesim.build_index(tmp_path / "index", tmp_path / "made", embedder="compact")
    found = pokesim.evaluate_index(tmp_path / "photos", tmp_path / "made")
    assert [one.photo.label for one in found.ranked] == [
        *PHOTOGRAPHED[:4:2],
        *PHOTOGRAPHED[1:4:2],
    ]


def test_a_camera_s_names_are_no_labels(classes, tmp_path):
    """Though the index has pictures of that name, in all its folders."""
    for folder in list((classes / "classes").iterdir())[:3]:
        (tmp_path / "photos" / folder.name).mkdir(parents=True)
        (tmp_path / "all" / folder.name).mkdir(parents=True)
        one, other, _ = sorted(folder.iterdir())
        shutil.copy(one, tmp_path / "all" / folder.name / "IMG_0001.png")
        shutil.copy(other, tmp_path / "photos" / folder.name / "IMG_0001.png")
    pokesim.build_index(tmp_path / "all", tmp_path / "made", embedder="compact")
    found = pokesim.evaluate_index(tmp_path / "photos", tmp_path / "made")
    assert {one.photo.label for one in found.ranked} == {
        folder.name for folder in (tmp_path / "all").iterdir()
    }


def test_nothing_is_embedded_if_no_photo_can_count(index_path, samples, monkeypatch):
    monkeypatch.setattr(pokesim.Index, "embed_photos", no_embedding)
    with pytest.raises(PokesimError, match=r"picture in .*, except itself"):
        pokesim.evaluate_index(samples.images, index_path)


def test_tuning_takes_folders_as_labels_as_evaluating_does(samples, tmp_path):
    """And does not find a picture by itself, though the pictures are those of the index."""
    for at, picture in enumerate(sorted(samples.images.iterdir())[:20]):
        folder = tmp_path / "pairs" / f"pair {at // 2}"  # of creatures that are not alike
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, folder)
    pokesim.build_index(tmp_path / "pairs", tmp_path / "index", embedder="compact")
    tuning = pokesim.tune_index(tmp_path / "pairs", tmp_path / "index", dims=8, force=True)
    assert (tuning.labels, tuning.pictures, tuning.held_out) == (10, 20, 4)
    assert tuning.before[0] < 100


def test_tuning_embeds_nothing_if_there_is_nothing_to_learn(
    index_path, samples, tmp_path, monkeypatch
):
    index = shutil.copytree(index_path, tmp_path / "index")
    monkeypatch.setattr("pokesim.analysis.tune.embed_folder", no_embedding)
    with pytest.raises(PokesimError, match="No label has two pictures that differ"):
        pokesim.tune_index(samples.images, index, force=True)
    few = tmp_path / "few"
    few.mkdir()
    for photo in sorted(samples.photos.iterdir())[:3]:
        shutil.copy(photo, few)
    with pytest.raises(PokesimError, match="Fewer than 10 labels"):
        pokesim.tune_index(few, index)
    assert not (index / "labelled").exists()
