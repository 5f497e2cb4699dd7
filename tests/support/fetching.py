"""What tests of fetching a data set check: the folder afterwards, and refusals."""

from pathlib import Path

import pytest

import pokesim
from pokesim.errors import DatasetError

FILES = {"a.png": b"one", "b/c.jpg": b"two" * 1000}


def names_in(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


def contents(folder):
    """Return the files below a folder as path → bytes, without the record of the data set."""
    folder = Path(folder)
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {name: p.read_bytes() for name, p in found.items() if p.is_file() and name[0] != "."}


def refused(server, match, **options):
    """Check that fetching fails and changes no file, and return the error message."""
    before = sorted(Path.cwd().parent.rglob("*"))
    with pytest.raises(DatasetError, match=match) as caught:
        pokesim.fetch_dataset(f"{server.url}/set", "set", **options)
    assert sorted(Path.cwd().parent.rglob("*")) == before
    assert str(caught.value).count("\n") == 0
    return str(caught.value)
