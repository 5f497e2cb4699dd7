"""An index made in another way (network, weights, preprocessing) is neither mixed nor replaced."""

import json

import numpy as np
import pytest
from PIL import ImageOps

import pokesim
from pokesim.errors import IncompatibleIndexError
from pokesim.images import READING, Frame, pixels_of, thumbnail_of
from pokesim.samples import CREATURES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--embedder", "mobilenet_v2"], "was made with compact, not with mobilenet_v2"),
        (["--no-normalize"], "with normalized vectors, not unnormalized ones"),
        (
            ["--embedder", "resnet50", "--weights", "w.h5"],
            "was made with compact, not with resnet50",
        ),
    ],
)
def test_another_embedder_is_refused_unless_rebuild(run, folder, index, tmp_path, options, message):
    (tmp_path / "w.h5").write_text("")
    before = (index / "CURRENT").read_text()
    done = run("build-index", folder, "--index", index, *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert message in done.stderr
    assert "use --rebuild to replace it, or --index to make another" in done.stderr
    assert (index / "CURRENT").read_text() == before


def test_other_weights_are_refused_and_the_same_ones_are_kept_by_default(
    run, folder, tmp_path, seeded_weights
):
    weights = seeded_weights("MobileNetV2")
    options = ("build-index", folder, "--embedder", "mobilenet_v2", "--weights")
    assert run(*options, weights).returncode == 0
    other = tmp_path / "other.h5"
    other.write_bytes(weights.read_bytes() + b"\0")
    refused = run(*options, other)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "from weights" in refused.stderr
    (folder / f"{CREATURES[4]}.webp").unlink()
    assert "with mobilenet_v2" in run("build-index", folder).stdout
    assert (
        "with mobilenet_v2" in run("build-index", folder, "--rebuild", *options[2:], weights).stdout
    )


def test_weights_for_an_embedder_that_takes_none_are_refused(run, folder, index, tmp_path):
    (tmp_path / "w.h5").write_text("")
    for options in (["--index", index], ["--index", "new"], ["--embedder", "general"]):
        done = run("build-index", folder, "--weights", "w.h5", *options)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "comes with its weights; --weights is for a Keras network" in done.stderr


def test_an_index_with_other_preprocessing_is_refused(folder, index):
    (manifest,) = index.glob("snapshots/*/manifest.json")
    data = json.loads(manifest.read_text())
    made, data["embedder"]["reading"] = data["embedder"]["reading"], "upside down"
    _seal(index, manifest, data)
    with pytest.raises(IncompatibleIndexError, match="preprocesses pictures differently"):
        pokesim.build_index(folder, index)
    data = json.loads(next(index.glob("snapshots/*/manifest.json")).read_text())
    data["embedder"]["reading"], data["precision"] = made, "bfloat16"
    _seal(index, next(index.glob("snapshots/*/manifest.json")), data)
    with pytest.raises(IncompatibleIndexError, match="computed in bfloat16, not in float32"):
        pokesim.build_index(folder, index)
    pokesim.build_index(folder, index, embedder="compact", rebuild=True)


def test_an_index_whose_pictures_keep_their_margins_is_still_searched_so(folder, index, samples):
    photo = ImageOps.expand(thumbnail_of(samples.images / "brumbel.webp", 90, 90), 40, "white")
    (manifest,) = index.glob("snapshots/*/manifest.json")
    with pokesim.open_index(index) as opened:
        trimmed, again = (
            opened.embed(photo),
            opened.embed_pixels(pixels_of(photo, Frame(128, trims=True))[None]),
        )
        np.testing.assert_array_equal(trimmed, again)
    data = json.loads(manifest.read_text())
    made, data["embedder"]["reading"] = data["embedder"]["reading"], READING
    _seal(index, manifest, data)
    with pokesim.open_index(index) as opened:
        whole, again = opened.embed(photo), opened.embed_pixels(pixels_of(photo, 128)[None])
        np.testing.assert_array_equal(whole, again)
    assert not np.array_equal(whole, trimmed)
    pokesim.add_pictures([samples.photos / "brumbel.jpg"], index)
    for options, reading in (({}, READING), ({"rebuild": True}, made)):
        pokesim.build_index(folder, index, embedder="compact", **options)
        assert pokesim.open_index(index).manifest.embedder.reading == reading


@pytest.mark.parametrize(("field", "value"), [("side", 127), ("reading", "upside down")])
def test_nothing_is_added_to_an_index_with_other_preprocessing(
    folder, index, samples, field, value
):
    (manifest,) = index.glob("snapshots/*/manifest.json")
    data = json.loads(manifest.read_text())
    data["embedder"][field] = value
    _seal(index, manifest, data)
    with pytest.raises(IncompatibleIndexError, match="preprocesses pictures differently"):
        pokesim.add_pictures([next(samples.photos.iterdir())], index)
    count = len(pokesim.open_index(index))
    pokesim.remove_pictures([CREATURES[3]], index)
    assert len(pokesim.open_index(index)) == count - 1


def _seal(index, manifest, data):
    """Write a manifest as another version of pokesim might have."""
    import hashlib

    manifest.write_text(json.dumps(data))
    name = "20260101T000000Z-" + hashlib.sha256(manifest.read_bytes()).hexdigest()[:16]
    manifest.parent.rename(manifest.parent.with_name(name))
    (index / "CURRENT").write_text(f"{name}\n")
