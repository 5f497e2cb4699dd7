"""Words for networks with a part for text: any text is searched with, exactly."""

import shutil

import numpy as np
import pytest
from support.text_towers import LENGTHS, text_vectors, write_both

from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.words.vectors import open_words
from pokesim.metric import normalized

TEXTS = [
    "two parrots on a branch",
    "A Golden  RETRIEVER at night!",
    "ünïcödé 漢字 🙂",
    "the old bridge over the river " * 30,
    "x",
]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POKESIM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Folders with both parts, by kind, and the weights of those for text."""
    root = tmp_path_factory.mktemp("hub")
    return {kind: (root / kind, write_both(root / kind, kind)) for kind in LENGTHS}


@pytest.fixture(scope="module")
def few(samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("few")
    for path in sorted(samples.photos.iterdir())[:8]:
        shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize("kind", LENGTHS)
def test_the_vectors_of_words_are_those_of_the_network(published, kind):
    folder, weights = published[kind]
    model = prepare_model(str(folder))
    assert model.network.text.length == LENGTHS[kind]
    expected = normalized(text_vectors(folder, kind, weights, TEXTS))
    embed = open_words(model)
    found = np.concatenate([embed(text) for text in TEXTS])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert (found * expected).sum(axis=1).min() > 0.9999
    assert (normalized(expected) @ expected.T)[0, 1] < 0.999, "texts differ"
