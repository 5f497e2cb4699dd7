"""Explanations: contributions add up to the similarity, and are high where the creature is."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import pokesim
from pokesim.images import thumbnail_of
from pokesim.samples import PHOTOGRAPHED

SEEDED = {"mobilenet_v2": "MobileNetV2", "resnet50": "ResNet50"}


@pytest.fixture(scope="module")
def some(samples, tmp_path_factory):
    """A folder with ten creatures that have photos."""
    folder = tmp_path_factory.mktemp("some")
    for name in PHOTOGRAPHED[:10]:
        shutil.copy(samples.images / f"{name}.webp", folder)
    return folder


def assert_adds_up(index, photo, k=2):
    for match in index.query(photo, k):
        found = index.explain(photo, match.path)
        assert found.photo.dtype == found.picture.dtype == np.float32
        assert found.photo.sum() == pytest.approx(found.similarity, abs=1e-3)
        assert found.picture.sum() == pytest.approx(found.similarity, abs=1e-3)
        fine = found.finer(5)
        assert fine.photo.shape == tuple(5 * side for side in found.photo.shape)
        assert fine.photo.sum() == pytest.approx(found.similarity, abs=1e-3)
        assert fine.picture.sum() == pytest.approx(found.similarity, abs=1e-3)
        assert fine.photo.max() <= found.photo.max() / 25 + 1e-6, "blended, without overshooting"
        assert max(found.similarity, 0) == pytest.approx(match.similarity, abs=0.01)


def quarter(found, right, low):
    """Return the quarter of a map in one corner, with the middle row and column."""
    rows, columns = ((side + 1) // 2 for side in found.shape)
    down = slice(-rows, None) if low else slice(rows)
    return found[down, -columns:] if right else found[down, :columns]


@given(noise=st.integers(0, 2**32 - 1), width=st.integers(1, 300), height=st.integers(1, 300))
@settings(max_examples=8, deadline=None)
def test_contributions_sum_to_the_similarity_of_any_picture(index_path, noise, width, height):
    cells = np.random.default_rng(noise).integers(0, 256, (7, 7, 3), np.uint8)
    with pokesim.open_index(index_path) as index:
        assert_adds_up(index, Image.fromarray(cells).resize((width, height)))


@pytest.mark.parametrize(
    ("name", "normalize"), [("mobilenet_v2", True), ("mobilenet_v2", False), ("resnet50", True)]
)
def test_contributions_of_keras_networks_sum_to_the_similarity(
    samples, some, seeded_weights, tmp_path, name, normalize
):
    weights = seeded_weights(SEEDED[name], False)
    pokesim.build_index(some, tmp_path, embedder=name, weights=weights, normalize=normalize)
    with pokesim.open_index(tmp_path) as index:
        assert_adds_up(index, samples.photos / "brumbel.jpg")
        assert index.explain(some / "brumbel.webp", some / "brumbel.webp").photo.shape == (7, 7)


@pytest.mark.parametrize("normalize", [True, False])
def test_contributions_in_a_learned_metric_sum_to_the_similarity(
    samples, some, seeded_weights, tmp_path, normalize
):
    weights = seeded_weights("MobileNetV2", False)
    pokesim.build_index(
        some, tmp_path, embedder="mobilenet_v2", weights=weights, normalize=normalize
    )
    pokesim.tune_index(samples.photos, tmp_path, force=True)
    with pokesim.open_index(tmp_path) as index:
        assert index.manifest.tuning
        assert_adds_up(index, samples.photos / "brumbel.jpg")


@pytest.fixture(scope="module")
def in_general(some, general, tmp_path_factory):
    """An index of the same creatures by the default embedder."""
    folder = tmp_path_factory.mktemp("general")
    pokesim.build_index(some, folder)
    return folder


def test_contributions_of_both_networks_sum_to_the_similarity(samples, some, in_general, tmp_path):
    photo, picture = samples.photos / "brumbel.jpg", some / "brumbel.webp"
    tuned = shutil.copytree(in_general, tmp_path / "tuned")
    pokesim.tune_index(samples.photos, tuned, force=True, dims=8)
    for folder in (in_general, tuned):
        with pokesim.open_index(folder) as index:
            assert index.explains
            assert_adds_up(index, photo)
            assert index.explain(photo, picture).photo.shape == (7, 7)


@pytest.mark.parametrize("name", PHOTOGRAPHED[:4])
@pytest.mark.parametrize(("right", "low"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_contributions_of_both_networks_are_high_where_the_creature_is(
    in_general, samples, name, right, low
):
    scene = Image.new("RGB", (480, 320), "#9fc3d8")
    creature = thumbnail_of(samples.images / f"{name}.webp", 150, 150)
    scene.paste(creature, (45 + 240 * right, 5 + 160 * low))
    with pokesim.open_index(in_general) as index:
        found = index.explain(scene, samples.images / f"{name}.webp").photo
    assert quarter(found, right, low).sum() > 0.5 * found.sum()


@pytest.mark.parametrize("name", ["brumbel", "truffin", "fiveray"])
@pytest.mark.parametrize(("right", "low"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_contributions_are_high_where_the_creature_is(index_path, samples, name, right, low):
    scene = Image.new("RGB", (480, 320), "#9fc3d8")
    creature = thumbnail_of(samples.images / f"{name}.webp", 150, 150)
    scene.paste(creature, (45 + 240 * right, 5 + 160 * low))
    with pokesim.open_index(index_path) as index:
        found = index.explain(scene, samples.images / f"{name}.webp").photo
    assert quarter(found, right, low).sum() > 0.6 * found.sum()


def test_positions_of_resnet50_are_shifted_by_half_a_cell(samples, some, seeded_weights, tmp_path):
    pokesim.build_index(
        some, tmp_path, embedder="resnet50", weights=seeded_weights("ResNet50", False)
    )
    photo = Image.open(samples.photos / "brumbel.jpg").convert("RGB").resize((224, 224))
    stripes = np.arange(0, 224, 8)
    with pokesim.open_index(tmp_path) as index:
        plain = index.explain(photo, some / "brumbel.webp")
        changes = []
        for x in stripes:
            changed = np.array(photo)
            changed[:, x : x + 8] ^= 255
            found = index.explain(Image.fromarray(changed), some / "brumbel.webp").photo
            changes.append(np.square(found - plain.photo).sum(axis=0))
    seen = np.array(changes)  # (stripe, column)
    seen[seen < 0.1 * seen.max(axis=0)] = 0
    centres = (stripes + 4) @ seen / seen.sum(axis=0) / 32 - (np.arange(7) + 0.5)
    assert centres[1:-1] == pytest.approx(plain.shift, abs=0.25)


def test_bytes_and_their_file_have_the_same_explanation(index_path, samples):
    photo, picture = samples.photos / "brumbel.jpg", samples.images / "brumbel.webp"
    with pokesim.open_index(index_path) as index:
        from_file = index.explain(photo, picture)
        from_bytes = index.explain(photo.read_bytes(), picture)
    np.testing.assert_array_equal(from_file.photo, from_bytes.photo)
    assert from_file.similarity == from_bytes.similarity


def test_class_probabilities_cannot_be_explained(samples, some, seeded_weights, tmp_path):
    weights = seeded_weights("ResNet50", True)
    pokesim.build_index(some, tmp_path, embedder="resnet50-softmax", weights=weights)
    with (
        pokesim.open_index(tmp_path) as index,
        pytest.raises(pokesim.PokesimError, match="resnet50-softmax cannot be explained"),
    ):
        index.explain(samples.photos / "brumbel.jpg", some / "brumbel.webp")
