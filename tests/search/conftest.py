"""The index of the sample creatures, opened."""

import pytest

import pokesim


@pytest.fixture(scope="module")
def index(index_path):
    with pokesim.open_index(index_path) as opened:
        yield opened
