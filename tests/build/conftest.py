"""A folder of creatures, and its index."""

import os
import shutil

import pytest

import pokesim
from pokesim.samples import CREATURES


@pytest.fixture
def folder(samples, tmp_path):
    """A folder of twenty creatures, last modified long ago."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    for name in CREATURES[:20]:
        shutil.copy(samples.images / f"{name}.webp", folder)
        os.utime(folder / f"{name}.webp", (1e9, 1e9))
    return folder


@pytest.fixture
def index(folder, tmp_path):
    pokesim.build_index(folder, tmp_path / "index", embedder="compact")
    return tmp_path / "index"
