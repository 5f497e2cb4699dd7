"""Milvus without a server: addresses, filters, rows, and errors before a connection is made.

tests/distributed/test_milvus.py tests a real server.
"""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pokesim.index.item import Item
from pokesim.index.metadata.filter_parser import parse_filter
from pokesim.index.milvus import rows
from pokesim.index.milvus.address import Address
from pokesim.index.milvus.filter_expression import filter_expression
from pokesim.index.milvus.rows import RowCache
from pokesim.index.milvus.schema import file_of, file_rows, item_of, item_row


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("milvus://localhost:19531/pics", Address("localhost", 19531, "pics")),
        ("milvus://10.0.0.1/_a1", Address("10.0.0.1", 19530, "_a1")),
        ("milvus+https://[::1]:443/x", Address("[::1]", 443, "x", secure=True)),
    ],
)
def test_an_address_is_parsed(text, address):
    assert Address.of(text) == address
    assert Address.of(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["milvus://host", "milvus://host/", "milvus:///x", "milvus://host/a/b", "milvus://host/1a",
     "milvus://host:port/a", "milvus://host/a-b", "http://host/a", "milvus://u@host/a",
     "milvus://host/ä", "milvus+tls://host/a"],
)  # fmt: skip
def test_an_invalid_address_is_a_usage_error(run, text):
    for command in (["info", "--index", text], ["push", "indexes/a", text]):
        done = run(*command)
        usage, error = done.stderr.splitlines()
        assert (done.returncode, usage.split()[:2]) == (2, ["Usage:", "pokesim"])
        assert "milvus://HOST:PORT/COLLECTION" in error


def test_without_pymilvus_the_extra_is_named(tmp_path):
    code = (
        "import sys; sys.modules['pymilvus'] = None\n"
        "import pokesim; pokesim.open_index('milvus://127.0.0.1:1/x')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith(
        "milvus://127.0.0.1:1/x needs pymilvus: pip install 'pokesim[milvus]'."
    )


def test_an_unreachable_server_is_an_error_of_one_line(run):
    for command in (["query", "x.png"], ["info"], ["check"], ["build-index", "."]):
        done = run(*command, "--index", "milvus://127.0.0.1:1/x")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr


@pytest.mark.parametrize(
    ("where", "rendered"),
    [
        ("Type=fire", '(metadata["c0"] in ["fire"])'),
        ("Type != fire", '((not (exists metadata["c0"])) or (metadata["c0"] not in ["fire"]))'),
        ('Type = ""', '(not (exists metadata["c0"]))'),
        ('Type not in fire,""', '((exists metadata["c0"]) and (metadata["c0"] not in ["fire"]))'),
        ("HP in 1,2.5", '((metadata["c1"] in [1]) or (metadata["c1"] in [2.5]))'),
        ("not HP < 3", '((not (exists metadata["c1"])) or (metadata["c1"] >= 3))'),
        (
            "not (HP > 3 and Type=fire)",
            '(((not (exists metadata["c1"])) or (metadata["c1"] <= 3)) or '
            '((not (exists metadata["c0"])) or (metadata["c0"] not in ["fire"])))',
        ),
        ("Type = 'a\"b\\'", '(metadata["c0"] in ["a\\"b\\\\"])'),
    ],
)
def test_the_expression_of_a_filter_has_not_only_before_exists(where, rendered):
    columns = {"Type": False, "HP": True}
    condition = parse_filter(where, columns, lambda column, value: None)
    text = filter_expression(condition, list(columns))
    assert text == rendered
    assert "not (" not in text.replace("not (exists", "")


@given(st.binary(min_size=1), st.binary(max_size=9))
def test_any_file_name_is_stored_as_text_and_restored(path, label):
    item = Item(3, os.fsdecode(path), os.fsdecode(label), 1, -1, "ab")
    row = item_row(item, {"a": None, "b": 0, "c": "x"})
    row["path"].encode("utf-8")
    assert item_of(row) == item
    assert row["metadata"] == {"c1": 0, "c2": "x"}


@given(st.binary(max_size=300_000))
def test_a_file_is_restored_from_its_rows_in_any_order(data):
    parts = [row for row in file_rows({"other": b"x", "this": data}) if row["name"] == "this"]
    assert all(len(row["data"]) < 65_536 for row in parts)
    assert file_of(parts[::-1]) == data


def test_a_query_of_a_folder_imports_nothing_of_milvus(index_path, samples):
    code = (
        "import sys, pokesim; pokesim.open_index(sys.argv[1]).query(sys.argv[2])\n"
        "print(*(name for name in sys.modules if 'milvus' in name))"
    )
    command = [sys.executable, "-c", code, str(index_path), str(next(samples.photos.iterdir()))]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == "\n"


class FakeCollection:
    """A collection of ten pictures, which records the expressions that it is queried with."""

    manifest = SimpleNamespace(dimension=2, count=10)

    def __init__(self):
        self.queries = []

    def rows(self, expression, fields):
        self.queries.append(expression)
        ids = [at for at in json.loads(expression.removeprefix("id in ")) if at < 10]
        rest = dict.fromkeys(fields, "")
        return [rest | {"id": at, "path": f"{at}.png", "vector": [at, -at]} for at in ids]

    def vectors_of(self, rows, dimension):
        return np.array([row["vector"] for row in rows], np.float32)


def test_cached_rows_are_not_fetched_again():
    collection = FakeCollection()
    cache = RowCache(collection)
    np.testing.assert_array_equal(cache.vectors([3, 1, 3]), [[3, -3], [1, -1], [3, -3]])
    np.testing.assert_array_equal(cache.vectors([1, 2]), [[1, -1], [2, -2]])
    assert [cache.row(at)["path"] for at in (1, 2, 4)] == ["1.png", "2.png", "4.png"]
    assert collection.queries == ["id in [3, 1]", "id in [2]", "id in [4]"]
    with pytest.raises(KeyError):
        cache.row(10)


def test_the_cache_drops_what_was_used_longest_ago(monkeypatch):
    monkeypatch.setattr(rows, "_VECTOR_BYTES", 0)
    monkeypatch.setattr(rows, "rows_per_batch", lambda dimension: 2)
    collection = FakeCollection()
    cache = RowCache(collection)
    for wanted in ([1, 2], [1], [3], [1, 3], [2]):
        cache.vectors(wanted)
    assert collection.queries == ["id in [1, 2]", "id in [3]", "id in [2]"]


def test_the_handlers_of_a_program_stay_open():
    program = (
        "import logging, sys\n"
        "class Handler(logging.StreamHandler):\n"
        "    def close(self):\n"
        "        sys.exit('closed')\n"
        "logging.getLogger().addHandler(Handler())\n"
        "import pokesim\n"
        "try:\n"
        "    pokesim.open_index('milvus://127.0.0.1:1/x')\n"
        "except pokesim.PokesimError:\n"
        "    print('pymilvus' in sys.modules, flush=True)\n"
        "import os\n"
        "os._exit(0)\n"  # at its end, logging closes them anyway
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
