"""Minimum quality on real pictures and real ImageNet weights, where these are available."""

import numpy as np
import pytest
from support.paths import SHARED

import pokesim

POKEMON = SHARED / "data/pokemon"
WEIGHTS = SHARED / "weights/mobilenet_v2_keras_notop.weights.h5"

pytestmark = pytest.mark.skipif(not WEIGHTS.exists(), reason="needs real pictures and weights")


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pokemon")
    report = pokesim.build_index(
        POKEMON / "kaggle", folder, embedder="mobilenet_v2", weights=WEIGHTS
    )
    assert (report.indexed, report.skipped) == (809, ())
    return pokesim.open_index(folder)


def test_plush_photos_find_their_species(index):
    photos = sorted((POKEMON / "plush").iterdir())
    answers = index.query(photos, k=5)
    found = sum(
        photo.stem in [match.label for match in matches]
        for photo, matches in zip(photos, answers, strict=True)
    )
    assert found / len(photos) >= 0.35


def test_search_equals_brute_force_on_the_stored_vectors(index):
    xb = index.vectors(np.arange(len(index))).astype(np.float64)
    xq = xb[::7].astype(np.float32) + np.float32(0.01)
    D, I = index.search(xq, 10)
    distances = np.stack([np.linalg.norm(xb - row, axis=1) for row in xq.astype(np.float64)])
    order = np.argsort(distances, axis=1, kind="stable")[:, :10]
    np.testing.assert_array_equal(I, order)
    np.testing.assert_allclose(D, np.take_along_axis(distances, order, 1), atol=1e-4)
