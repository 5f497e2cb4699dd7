"""A cache of its own for a module."""

import pytest


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """A cache for the tests of a module alone: what is in it is listed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POKESIM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
