"""What of an index on Milvus needs no server: addresses, filters, names, and what is missing.

tests/distributed/test_milvus.py asks the real server.
"""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pokesim.index.item import Item
from pokesim.index.metadata.filter_parser import parse_filter
from pokesim.index.milvus.address import Address
from pokesim.index.milvus.filter_expression import filter_expression
from pokesim.index.milvus.schema import file_of, file_rows, item_of, item_row


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("milvus://localhost:19531/pics", Address("localhost", 19531, "pics")),
        ("milvus://10.0.0.1/_a1", Address("10.0.0.1", 19530, "_a1")),
        ("milvus+https://[::1]:443/x", Address("[::1]", 443, "x", secure=True)),
    ],
)
def test_an_address_is_read(text, address):
    assert Address.of(text) == address
    assert Address.of(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["milvus://host", "milvus://host/", "milvus:///x", "milvus://host/a/b", "milvus://host/1a",
     "milvus://host:port/a", "milvus://host/a-b", "http://host/a", "milvus://u@host/a",
     "milvus://host/ä", "milvus+tls://host/a"],
)  # fmt: skip
def test_what_is_no_address_is_a_sentence(run, text):
    for command in (["info", "--index", text], ["push", "indexes/a", text]):
        done = run(*command)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "milvus://HOST:PORT/COLLECTION" in done.stderr


def test_without_pymilvus_the_extra_is_named(tmp_path):
    code = (
        "import sys; sys.modules['pymilvus'] = None\n"
        "import pokesim; pokesim.open_index('milvus://127.0.0.1:1/x')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith(
        "milvus://127.0.0.1:1/x needs pymilvus: pip install 'pokesim[milvus]'."
    )


def test_a_server_that_is_away_is_a_sentence(run):
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
def test_a_filter_becomes_an_expression_with_no_not_but_before_exists(where, rendered):
    columns = {"Type": False, "HP": True}
    asked = parse_filter(where, columns, lambda column, value: None)
    text = filter_expression(asked, list(columns))
    assert text == rendered
    assert "not (" not in text.replace("not (exists", "")


@given(st.binary(min_size=1), st.binary(max_size=9))
def test_every_name_that_a_file_may_have_is_text_and_comes_back(path, label):
    item = Item(3, os.fsdecode(path), os.fsdecode(label), 1, -1, "ab")
    row = item_row(item, {"a": None, "b": 0, "c": "x"})
    row["path"].encode("utf-8")
    assert item_of(row) == item
    assert row["metadata"] == {"c1": 0, "c2": "x"}


@given(st.binary(max_size=300_000))
def test_a_file_comes_back_from_its_rows_in_any_order(data):
    rows = [row for row in file_rows({"other": b"x", "this": data}) if row["name"] == "this"]
    assert all(len(row["data"]) < 65_536 for row in rows)
    assert file_of(rows[::-1]) == data


def test_asking_a_folder_loads_nothing_of_milvus(index_path, samples):
    code = (
        "import sys, pokesim; pokesim.open_index(sys.argv[1]).query(sys.argv[2])\n"
        "print(*(name for name in sys.modules if 'milvus' in name))"
    )
    command = [sys.executable, "-c", code, str(index_path), str(next(samples.photos.iterdir()))]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == "\n"
