"""Networks from files: their vectors, their settings, and what is refused."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import networks
from support.networks import CONFIGS, SIDE, Graph, transformer, vectors_of, weights_of

import pokesim
from pokesim.embedders.model_cache import cached_networks
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import open_embedder
from pokesim.errors import ModelError, PokesimError
from pokesim.images import pixels_of

SETTINGS = "pokesim-embedder.toml"


@pytest.fixture(scope="module")
def published(shared, tmp_path_factory):
    """Folders as hubs publish them, by kind, and their weights."""
    root = tmp_path_factory.mktemp("hub")
    return {kind: (root / kind, networks.write_published(root / kind, kind)) for kind in CONFIGS}


@pytest.fixture(scope="module")
def few(samples, tmp_path_factory):
    """A folder of a few pictures."""
    folder = tmp_path_factory.mktemp("few")
    for path in sorted(samples.images.iterdir())[:6]:
        shutil.copy(path, folder)
    return folder


def cosines(x, y):
    return (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_published_folder_gives_the_vectors_of_its_network(published, kind, samples):
    folder, weights = published[kind]
    model = prepare_model(str(folder))
    assert model.network.pooling == ("cls" if kind == "dinov2" else "vector")
    photos = sorted(samples.photos.iterdir())[:40]
    pixels = np.stack([pixels_of(path, model.network.frame) for path in photos])
    vectors = open_embedder(model).embed(pixels)  # more than the few after which it is reopened
    assert cosines(vectors, vectors_of(kind, weights, pixels)).min() > 0.9999
