"""Tables and filters of any size and content: they work, or are refused in one sentence."""

import difflib
import json
import operator
import os
import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.filters import NUMBERS
from support.indexes import index_of

import pokesim
from pokesim.errors import did_you_mean
from pokesim.index.folder import metadata as folder_metadata
from pokesim.index.metadata import table as tables
from pokesim.index.metadata.table import read_table

OPERATORS = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def parsed(text):
    return float(text) if set(".e") & set(text) else int(text)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """An index whose pictures have these numbers."""
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "t.csv").write_text("p,x\n" + "".join(f"{i},{x}\n" for i, x in enumerate(NUMBERS)))
    xb = np.arange(2 * len(NUMBERS), dtype=np.float32).reshape(-1, 2)
    return index_of(folder / "index", xb, table=folder / "t.csv")


def ids_where(passes):
    return [at for at, number in enumerate(NUMBERS) if passes(parsed(number))]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NUMBERS), st.sampled_from(list(OPERATORS)))
def test_integers_and_floats_compare_exactly(numbers, text, mark):
    assert numbers.manifest.metadata.columns["x"]
    expected = ids_where(lambda cell: OPERATORS[mark](cell, parsed(text)))
    assert numbers.select(f"x {mark} {text}").tolist() == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=9))
def test_in_compares_numbers_exactly(numbers, texts):
    expected = ids_where(lambda cell: cell in {parsed(text) for text in texts})
    assert numbers.select(f"x in {','.join(texts)}").tolist() == expected


@pytest.mark.parametrize(
    "text", ["²", "٣", "1" * 19, "1" * 5000, "NaN", "inf", "-Infinity", "1e400", "+1", "007", "0x1"]
)
def test_what_is_not_a_number_is_text_in_a_table_and_an_error_in_a_filter(numbers, tmp_path, text):
    (tmp_path / "t.csv").write_text(f"p,x\n0,{text}\n1,2\n", encoding="utf-8")
    (tmp_path / "t.jsonl").write_text(f'{{"p": "0", "x": "{text}"}}\n{{"p": "1", "x": 2}}\n')
    for name in ("t.csv", "t.jsonl"):
        table = read_table(tmp_path / name)
        assert table.columns["x"] is False
        assert [row[1] for row in table.rows] == [text, "2"]
    with pytest.raises(pokesim.UsageError, match="x holds numbers of up to 18 digits") as error:
        numbers.select(f"x < '{text}'")
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "9" * 19, "9" * 5000])
def test_numbers_of_json_that_no_table_holds_are_text(tmp_path, text):
    (tmp_path / "t.jsonl").write_text(f'{{"p": 0, "x": {text}}}\n{{"p": 1, "x": 2}}\n')
    table = read_table(tmp_path / "t.jsonl")
    assert table.columns == {"p": True, "x": False}
    assert list(table.rows) == [(0, text), (1, "2")]


def test_a_suggestion_among_many_long_values_is_found_with_few_comparisons(monkeypatch):
    random.seed(1)
    known = ["".join(random.choices("abcdefgh ", k=190)) for _ in range(10_000)]
    known += ["x" * 100_000] * 10_000
    compared = []
    ratio = difflib.SequenceMatcher.ratio
    monkeypatch.setattr(
        difflib.SequenceMatcher, "ratio", lambda self: compared.append(self.a) or ratio(self)
    )
    wanted = known[7000]
    assert did_you_mean(wanted[:50] + wanted[52:], known) == f" Did you mean {wanted}?"
    assert len(compared) <= 20
    assert max(map(len, compared)) < 1000
    assert did_you_mean("x" * 99_999, known) == ""


def test_a_missing_value_of_a_column_of_long_texts_gives_a_short_message(tmp_path):
    lines = [{"p": f"{at}", "Text": f"{at}" + "x" * 100_000} for at in range(3)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    index = index_of(tmp_path / "index", np.eye(3, dtype=np.float32), table=tmp_path / "t.jsonl")
    with pytest.raises(pokesim.UsageError, match=r"Text has no value 5…?x*.* It has 0x") as error:
        index.select(f"Text={'5' + 'x' * 100_000}")
    assert len(str(error.value)) < 500
    assert index.select(f"Text={'1' + 'x' * 100_000}").tolist() == [1]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("(" * 10_000, "nests more than 20 brackets"),
        ("not " * 200_000 + "x=7", None),
        ("x=7 " + " " * 500_000, None),
        ("x" * 999_999, "has no column xxx"),
        ("x=1" + " or x=1" * 150_000, "longer than 1,000,000 characters"),
        ("x in " + ",".join(["7"] * 20_000), None),
        ("x in " + ",".join(["7"] * 450_000), "more than 20,000 values"),
        ("#" * 999_999, "Unexpected '###"),
        ("x=" + "'" * 999_990, "x holds numbers of up to 18 digits; '''"),
        ("x==" + "y" * 999_990, "Unexpected second '='"),
        ("x=7 " + "y" * 999_990, "Expected and, or, or the end at 'yyy"),
    ],
)
def test_a_long_filter_works_or_is_refused_in_a_short_sentence(numbers, where, message):
    if message is None:
        assert len(numbers.select(where)) in (1, 2, 3)
        return
    with pytest.raises(pokesim.UsageError, match=re.escape(message)) as error:
        numbers.select(where)
    assert len(str(error.value)) < 1000


def test_more_values_than_sqlite_takes_are_a_usage_error(numbers, monkeypatch):
    monkeypatch.setattr(folder_metadata, "_max_variables", lambda: 999)
    with pytest.raises(pokesim.UsageError, match="1,000 values; SQLite takes at most 999"):
        numbers.select("x in " + ",".join(["7"] * 1000))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"p,x\n0,a\0b\n", "has a NUL character in line 2"),
        ("p,x\n0,1\n".encode("utf-16-le"), "has a NUL character in line 1"),
        ("p,x\n0,1\n".encode("utf-16"), "is not UTF-8 text (byte 0)"),
        (b"\xef\xbb\xbf", "has 0 columns"),
        (b"\n0,1\n", "has 0 columns"),
        (b"p," + b"x" * 1001 + b"\n0,1\n", "a column whose name is longer than 1,000"),
        (b"p,x\n0," + b"y" * 131_073 + b"\n", "line 2: field larger than field limit"),
        (b",".join(b"%d" % at for at in range(1_000_000)) + b"\n1\n", "has 1,000,000 columns"),
        (b"p,x\n" + b"0," * 1_000_000, "has 1,000,001 cells in line 2, but 2 columns"),
    ],
)
def test_a_table_beyond_the_limits_is_an_error(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(pokesim.PokesimError, match=re.escape(message)):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"p": "a\\u0000"}', "a cell with a NUL character in line 2"),
        (f'{{"p": "{"x" * 131_073}"}}', "a cell with more than 131,072 characters in line 2"),
        ('{"p": 1, " p ": 2}', "two columns with the same name in line 2"),
        ('{"p": ' + "[" * 100_000, "has no JSON object in line 2"),
        ('{"p": ' + '{"p": ' * 100_000, "has no JSON object in line 2"),
        ("[1]", "has no JSON object in line 2"),
        (json.dumps({f"c{at}": at for at in range(501)}), "more than 500 columns"),
        ("\n".join(f'{{"c{at}": {at}}}' for at in range(501)), "more than 500 columns"),
        ('{"P": 1}', "two columns named P"),
        ('{"": 1}', "a column without a name"),
        ('{"\\ud800": 1}', "a column without a name"),
    ],
)
def test_json_lines_beyond_the_limits_are_an_error(tmp_path, line, message):
    (tmp_path / "t.jsonl").write_text('{"p": "1"}\n' + line)
    with pytest.raises(pokesim.PokesimError, match=re.escape(message)):
        read_table(tmp_path / "t.jsonl")


def test_deep_json_is_a_cell_or_an_error(tmp_path):
    found = []
    for depth in (10, 300, 900, 990, 2000, 50_000):
        (tmp_path / "t.jsonl").write_text(f'{{"p": {"[" * depth}{"]" * depth}}}')
        try:
            found.append(read_table(tmp_path / "t.jsonl").columns)
        except pokesim.PokesimError as error:
            found.append(str(error).split()[-7:])
    assert found[0] == {"p": False}
    assert found[-1] == ["has", "no", "JSON", "object", "in", "line", "1."]


def test_too_many_cells_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_CELLS", 100)
    (tmp_path / "t.csv").write_text("p,a,b,c\n" + "0\n" * 26)
    (tmp_path / "t.jsonl").write_text('{"p": 0}\n' * 90 + '{"a": 0, "b": 0}\n')
    for name in ("t.csv", "t.jsonl"):
        with pytest.raises(pokesim.PokesimError, match="has more than 100 cells"):
            read_table(tmp_path / name)


def test_what_is_not_a_file_of_bounded_size_is_no_table(run, tmp_path):
    os.mkfifo(tmp_path / "fifo.csv")
    (tmp_path / "folder.csv").mkdir()
    with (tmp_path / "sparse.csv").open("wb") as file:
        file.truncate(10 << 30)
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    for name, message in {
        "fifo.csv": "cannot be read (it is not a regular file)",
        "/dev/zero": "cannot be read (it is not a regular file)",
        "folder.csv": "cannot be read (it is not a regular file)",
        "sparse.csv": "is larger than 256 MiB",
        "loop.csv": "cannot be read (Too many levels of symbolic links)",
        "none.csv": "cannot be read (No such file or directory)",
    }.items():
        with pytest.raises(pokesim.PokesimError, match=re.escape(message)):
            read_table(tmp_path / name)
    with pytest.raises(pokesim.PokesimError, match="cannot be read"):
        read_table(tmp_path / "a\0b.csv")
    (tmp_path / "real.csv").write_text("p\n0\n")
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert list(read_table(tmp_path / "link.csv").rows) == [(0,)]


def test_a_table_that_has_become_a_pipe_keeps_the_previous_one(samples, run, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("brumbel", "ribbet"):
        (folder / f"{name}.webp").write_bytes((samples.images / f"{name}.webp").read_bytes())
    (tmp_path / "t.csv").write_text("p,Type\nbrumbel,grass\n")
    build = ["build-index", folder, "--embedder", "compact"]
    assert run(*build, "--metadata", "t.csv").returncode == 0
    (tmp_path / "t.csv").unlink()
    os.mkfifo(tmp_path / "t.csv")
    done = run(*build)
    assert done.returncode == 0, done.stderr
    assert "it is not a regular file). Keeping the previous metadata." in done.stderr
    found = run("query", folder / "brumbel.webp", "--where", "Type=grass", "--format", "paths")
    assert found.stdout.endswith("brumbel.webp\n")


def test_a_table_elsewhere_is_not_read_again_unasked(samples, run, tmp_path):
    folder, far = tmp_path / "images", tmp_path / "far"
    folder.mkdir()
    far.mkdir()
    (folder / "brumbel.webp").write_bytes((samples.images / "brumbel.webp").read_bytes())
    (far / "t.csv").write_text("p,Type\nbrumbel,grass\n")
    build = ["build-index", folder, "--embedder", "compact"]
    assert run(*build, "--metadata", far / "t.csv").returncode == 0
    (far / "t.csv").write_text("p,Type\nbrumbel,secret\n")
    done = run(*build)
    assert "is neither in nor beside" in done.stderr
    found = run("query", folder / "brumbel.webp", "--where", "Type=grass", "--format", "paths")
    assert found.stdout.endswith("brumbel.webp\n")
    assert run(*build, "--metadata", far / "t.csv").returncode == 0
    found = run("query", folder / "brumbel.webp", "--where", "Type=secret", "--format", "paths")
    assert found.stdout.endswith("brumbel.webp\n")


def test_lines_end_as_csv_says(tmp_path):
    texts = ("p,x\r0,1\r", "p,x\r\n0,1\r\n", "p,x\n\n\r\n0,1", 'p,x\n0,"1\u2028\x85\x0b\r\n2"\n')
    for text in texts:
        (tmp_path / "t.csv").write_bytes(text.encode())
        (row,) = read_table(tmp_path / "t.csv").rows
        assert row in ((0, 1), (0, "1\u2028\x85\x0b\r\n2"))
