"""A server of archives, and an empty current folder."""

import pytest
from support.dataset_server import serving, zipped
from support.fetching import FILES


@pytest.fixture(scope="module")
def server():
    with serving() as running:
        yield running


@pytest.fixture
def tidy(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server.files = {"/set": zipped(FILES)}
    server.etag, server.ranges, server.cut, server.status = '"one"', True, 0, 0
    server.may_break.set()
    server.requests.clear()
