"""A learned metric is never NaN, is measured before it is published, and gives a normal index."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

import pokesim
from pokesim.errors import PokesimError
from pokesim.metric import Projection, fit
from pokesim.samples import CREATURES


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_fit_is_finite_or_an_error(data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count, dimension = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 20))
    rows = random.standard_normal((count, dimension)).astype(np.float32)
    rows[:, : data.draw(st.integers(0, dimension))] = data.draw(st.sampled_from([0.0, 1.0]))
    rows = np.round(rows, data.draw(st.integers(0, 4))) * np.float32(
        data.draw(st.sampled_from([1e-6, 1.0, 1e6]))
    )
    labels = random.integers(0, data.draw(st.integers(1, 30)), count)
    dims = data.draw(st.integers(1, 40))
    try:
        projection = fit(rows, labels, dims)
    except PokesimError:
        return
    assert projection.dimension <= min(dims, len(np.unique(labels)) - 1)
    out = projection.apply(rows)
    assert np.isfinite(out).all()
    lengths = np.linalg.norm(out, axis=1)
    assert np.all((abs(lengths - 1) < 1e-4) | (lengths == 0))


def test_a_fit_finds_the_direction_that_separates_labels():
    random = np.random.default_rng(1)
    labels = np.repeat(np.arange(8), 50)
    rows = random.standard_normal((400, 6)) * [1, 1, 1, 1, 0.1, 0.1]
    rows[:, 4] += np.cos(labels)
    rows[:, 5] += np.sin(labels)
    projection = fit(rows.astype(np.float32), labels, 2)
    weight = np.abs(projection.matrix[:-1]).sum(1)
    assert weight[4:].min() > 3 * weight[:4].max()


def test_too_few_pictures_are_an_error():
    rows = np.eye(4, dtype=np.float32)
    with pytest.raises(PokesimError, match="at least two labels"):
        fit(rows, np.zeros(4, np.int64), 2)
    with pytest.raises(PokesimError, match="several pictures for each label"):
        fit(rows, np.arange(4), 2)
    with pytest.raises(PokesimError, match="not finite"):
        fit(rows * np.nan, np.array([0, 0, 1, 1]), 2)


def test_a_projection_survives_saving_and_loading(tmp_path):
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    Projection(matrix).save(tmp_path / "p.npy")
    np.testing.assert_array_equal(Projection.load(tmp_path / "p.npy").matrix, matrix)
    np.save(tmp_path / "bad.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="not a float32 matrix"):
        Projection.load(tmp_path / "bad.npy")


@pytest.fixture(scope="module")
def labelled(samples, tmp_path_factory):
    """Sixty creatures in five styles, some of them hard to recognise by base vectors."""
    folder = tmp_path_factory.mktemp("labelled")
    styles = {
        "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(9)),
        "dark": lambda picture: ImageEnhance.Brightness(picture).enhance(0.35),
        "grey": lambda picture: ImageOps.grayscale(picture).convert("RGB"),
        "negative": ImageOps.invert,
        "swapped": lambda picture: Image.merge("RGB", picture.split()[1:] + picture.split()[:1]),
    }
    for style, change in styles.items():
        (folder / style).mkdir()
        for name in CREATURES[::2][:60]:
            creature = Image.open(samples.images / f"{name}.webp")
            white = Image.alpha_composite(Image.new("RGBA", creature.size, "white"), creature)
            change(white.convert("RGB")).save(folder / style / f"{name}.png")
    return folder


@pytest.fixture
def index(index_path, tmp_path):
    return shutil.copytree(index_path, tmp_path / "index")


def test_tuning_helps_is_recorded_and_can_be_reset(run, index, labelled, samples):
    with pokesim.open_index(index) as base:
        before = base.vectors(np.arange(151))
    done = run("tune", labelled, "--index", index, "--dims", "32")
    assert done.returncode == 0, done.stderr
    assert "Learned from 300 pictures of 60 labels: 256 → 32 dimensions." in done.stdout
    figures = done.stdout.split("R@1 ")[1].split("%")
    assert float(figures[1].strip(" →")) > float(figures[0])

    with pokesim.open_index(index) as tuned:
        assert tuned.manifest.dimension == 32
        assert tuned.manifest.tuning.labels == 60
        creature = samples.images / f"{CREATURES[0]}.webp"
        assert tuned.query(creature, k=1)[0].label == CREATURES[0]
        assert tuned.query(creature, k=1)[0].distance < 1e-3
    assert run("check", "--index", index).returncode == 0
    assert "tuned     on 300 pictures" in run("info", "--index", index).stdout
    answered = run("query", creature, "--index", index, "--format", "ndjson", "-k", "2")
    assert json.loads(answered.stdout)["matches"][0]["label"] == CREATURES[0]

    assert run("tune", "--reset", "--index", index).returncode == 0
    with pokesim.open_index(index) as again:
        np.testing.assert_array_equal(again.vectors(np.arange(151)), before)
    assert run("tune", "--reset", "--index", index).returncode == 1


def test_held_out_figures_come_from_a_fit_without_these_labels(index, labelled):
    tuning = pokesim.tune_index(labelled, index, dims=32)
    assert tuning.held_out == 60 // 5 * 5
    assert tuning.after[0] > tuning.before[0]
    with pokesim.open_index(index) as tuned:
        assert tuned.manifest.tuning == tuning


def test_labelled_pictures_are_embedded_once(run, index, labelled):
    run("tune", labelled, "--index", index, "--dims", "32")
    current = (index / "labelled" / "CURRENT").read_text()
    first = list((index / "snapshots").glob("*/vectors.faiss"))
    # So few dimensions may not help; this test is about embedding nothing again.
    again = run("tune", labelled, "--index", index, "--dims", "16", "--force")
    assert again.returncode == 0
    assert (index / "labelled" / "CURRENT").read_text() == current
    with pokesim.open_index(index) as tuned:
        assert tuned.manifest.dimension == 16
    assert len(first) == 2


@pytest.mark.usefixtures("general")  # exports efficientnet_lite0
def test_rebuilding_keeps_the_metric(run, index, labelled, samples):
    run("tune", labelled, "--index", index, "--dims", "32")
    with pokesim.open_index(index) as tuned:
        before = tuned.vectors(np.arange(151))
    compact = ("--embedder", "compact", "--rebuild")
    same = run("build-index", samples.images, *compact, "--index", index)
    assert "151 new" in same.stdout
    with pokesim.open_index(index) as again:
        np.testing.assert_allclose(again.vectors(np.arange(151)), before, atol=1e-4)
    options = ("--embedder", "efficientnet_lite0")
    refused = run("build-index", samples.photos, *options, "--index", index)
    assert "not with efficientnet_lite0" in refused.stderr
    other = run("build-index", samples.photos, *options, "--rebuild", "--index", index)
    assert "metric learned for the old one is dropped" in other.stderr
    with pokesim.open_index(index) as base:
        assert base.manifest.tuning is None


def test_a_tune_that_does_not_help_is_refused(run, index_path, samples, tmp_path):
    index = shutil.copytree(index_path, tmp_path / "index")
    same = tmp_path / "same" / "style"
    same.mkdir(parents=True)
    for name in CREATURES[:40]:  # so similar that the base vectors find all of them
        Image.open(samples.images / f"{name}.webp").resize((250, 250)).save(same / f"{name}.png")
    before = (index / "CURRENT").read_text()
    refused = run("tune", same.parent, "--index", index)
    assert refused.returncode == 1
    assert "does not help" in refused.stderr
    assert (index / "CURRENT").read_text() == before
    assert run("tune", same.parent, "--index", index, "--force").returncode == 0


def test_bad_input_is_one_message(run, index, labelled, tmp_path):
    (tmp_path / "strange").mkdir()
    (tmp_path / "two").mkdir()
    for number, path in enumerate(sorted((labelled / "dark").iterdir())[:2]):
        shutil.copy(path, tmp_path / "strange" / f"{number}.png")
        shutil.copy(path, tmp_path / "two" / path.name)
    for args, code, message in (
        (["nowhere"], 1, "There is no folder nowhere."),
        (["strange"], 1, "No picture in strange has the label of a picture in the index"),
        (["two"], 1, "too few to hold some out"),
        (["two", "--dims", "0"], 2, "--dims"),
        ([], 2, "Give either a folder of labelled pictures or --reset."),
        (["two", "--reset"], 2, "Give either a folder of labelled pictures or --reset."),
    ):
        done = run("tune", *args, "--index", index)
        assert (done.returncode, done.stdout) == (code, ""), args
        assert message in done.stderr
    assert run("tune", "two", "--index", "nothing").returncode == 1


def test_tuning_says_nothing_of_the_folder_of_its_own_index(run, index, labelled, tmp_path):
    for name in ("first", "second"):
        for style in ("dark", "grey"):
            (tmp_path / name / style).mkdir(parents=True)
            for picture in sorted((labelled / style).iterdir())[:6]:
                shutil.copy(picture, tmp_path / name / style)
        done = run("tune", tmp_path / name, "--index", index, "--force")
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
