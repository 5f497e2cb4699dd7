"""A metadata table describes the pictures, and filters on it restrict the search."""

import csv
import io
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.filters import TYPES, filters

import pokesim
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.folder.writer import SnapshotWriter, new_snapshot
from pokesim.index.item import Item
from pokesim.index.manifest import EmbedderRecord, Manifest, SearchRecord
from pokesim.index.metadata.table import read_table
from pokesim.samples import CREATURES


@pytest.fixture
def few(samples, tmp_path):
    """A folder with ten creatures, two of them in a subfolder."""
    folder = tmp_path / "few"
    for at, name in enumerate(CREATURES[:10]):
        target = folder / ("below" if at < 2 else ".")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples.images / f"{name}.webp", target)
    return folder


@pytest.fixture
def table(tmp_path):
    """A table of eight of these creatures, and of one without a picture."""
    path = tmp_path / "creatures.csv"
    rows = [
        ["Name", "Type1", "Type2", "HP"],
        *([name.title(), TYPES[at % 3], "flying" if at % 4 == 0 else "", str(10 * at)]
          for at, name in enumerate(CREATURES[:8])),
        ["Nobody", "ghost", "", "7"],
    ]  # fmt: skip
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def built(run, few, *options):
    done = run("build-index", few, "--embedder", "compact", *options)
    assert done.returncode == 0, done.stderr
    return done


def test_a_table_describes_the_pictures_in_every_format(run, few, table):
    done = built(run, few, "--metadata", table)
    assert "describes 8 of 10 pictures, by its column Name; 1 row matches no picture" in done.stderr
    photo = few / f"{CREATURES[4]}.webp"
    texts = {
        form: run("query", photo, "-k", "10", "--format", form).stdout
        for form in ("table", "json", "csv")
    }
    first = json.loads(texts["json"])[0]["matches"][0]
    assert first["metadata"] == {
        "Name": CREATURES[4].title(), "Type1": "fire", "Type2": "flying", "HP": 40,
    }  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert rows[0]["Type2"] == "flying"
    assert {row["label"] for row in rows if not row["Name"]} == set(CREATURES[8:10])
    assert texts["table"].splitlines()[1].split()[-5:] == [
        "Name",
        "Type1",
        "Type2",
        "HP",
        "picture",
    ]
    info = run("info", "--metadata").stdout
    assert "HP      numbers  0, 7, 10" in info
    assert f"pictures without a row: {CREATURES[8]}.webp" in info
    assert "rows without a picture: Nobody" in info
    assert "metadata" in run("check").stdout


def test_a_filter_applies_before_the_search(run, few, table):
    built(run, few, "--metadata", table)
    photo = few / f"{CREATURES[4]}.webp"
    query = [photo, "-k", "3", "--format", "json", "--where"]
    for where, passing in {
        "Type1=grass": CREATURES[0:8:3],
        'not Type1 in fire,water and (HP >= 30 or HP="")': [CREATURES[i] for i in (3, 6, 8, 9)],
        "Type2 != flying and Type2 not in ''": [],
    }.items():
        done = run("query", *query, where)
        assert done.returncode == 0, done.stderr
        labels = [match["label"] for match in json.loads(done.stdout)[0]["matches"]]
        assert len(labels) == min(3, len(passing))
        assert set(labels) <= set(passing)
        if not passing:
            assert f"no picture passes --where {shlex.quote(where)}." in done.stderr


def test_a_filter_without_a_table_is_an_error(run, few):
    built(run, few)
    for args in (["query", few / f"{CREATURES[4]}.webp", "--where", "a=b"], ["info", "--metadata"]):
        done = run(*args)
        assert done.returncode
        assert "build-index --metadata" in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 columns, not 1 to 500"),
        (b"Name,,Type1\na,b,c\n", "has a column without a name"),
        (b"Name,Type1\n", "has no rows"),
        (b"Name,name\na,b\n", "has two columns named name"),
        (b"Name,Type1\na,b,c\n", "has 3 cells in line 2, but 2 columns"),
        (b'Name,Type1\na,"b\n', "line 2"),
        (b"Name\n\xff\n", "is not UTF-8 text (byte 5)"),
        (b"Name,Type1\nnobody,fire\n", "names a picture by its label"),
    ],
)
def test_an_invalid_table_is_an_error(tmp_path, content, message):
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(pokesim.PokesimError, match=re.escape(message)):
        read_table(tmp_path / "bad.csv").keyed(["pikachu.png"])


def test_a_bad_table_is_reported_before_the_long_work_begins(run, few, tmp_path):
    (tmp_path / "bad.csv").write_text("Name,Type1\nnobody,fire\n")
    for table, message in {
        "bad.csv": "names a picture by its label",
        "no.csv": "cannot be read",
    }.items():
        done = run("build-index", few, "--embedder", "compact", "--metadata", table)
        assert done.returncode
        assert message in done.stderr
    assert not (tmp_path / "indexes/default/snapshots").exists()


def test_all_table_formats_give_the_same_rows(tmp_path):
    (tmp_path / "a.csv").write_text("\ufeffName;Weight\nMr. Ü;1.5\n007;\n", encoding="utf-8")
    (tmp_path / "a.tsv").write_text("Name\tWeight\r\nMr. Ü\t1.5\r\n007\t\r\n")
    (tmp_path / "a.jsonl").write_text('{"Name": "Mr. Ü", "Weight": 1.5}\n\n{"Name": "007"}\n')
    found = [read_table(tmp_path / name) for name in ("a.csv", "a.tsv", "a.jsonl")]
    for table in found:
        assert table.columns == {"Name": False, "Weight": True}
        assert list(table.rows) == [("Mr. Ü", 1.5), ("007", None)]
    keyed = found[0].keyed(["b/007.png"])
    assert (keyed.key, keyed.row_of("c/007.jpg"), keyed.row_of("c/8.jpg")) == ("Name", 1, None)


def test_a_path_is_a_more_precise_key_than_a_stem(run, few, tmp_path):
    (few / "other").mkdir()
    shutil.copy(few / f"{CREATURES[5]}.webp", few / "other")
    (tmp_path / "t.jsonl").write_text(
        f'{{"file": "{CREATURES[5]}", "where": "anywhere"}}\n'
        f'{{"file": "other/{CREATURES[5]}.webp", "where": "below"}}\n'
    )
    built(run, few, "--metadata", "t.jsonl", "--key", "file")
    index = pokesim.open_index(tmp_path / "indexes/default")
    both = index.query(few / f"{CREATURES[5]}.webp", k=2)
    assert [match.metadata["where"] for match in both] == ["anywhere", "below"]


def test_an_update_keeps_the_table_and_reads_it_again_when_it_has_changed(run, few, table, samples):
    built(run, few, "--metadata", table)
    again = run("build-index", few)
    assert again.stdout.startswith("Nothing to do")
    shutil.copy(samples.images / f"{CREATURES[11]}.webp", few / "nobody.webp")
    added = run("build-index", few)
    assert "describes 9 of 11 pictures" in added.stderr, (
        "a row finds its picture when that is added"
    )
    text = table.read_text()
    table.write_text(text.replace("ghost", "spirit"))
    changed = run("add", few / "nobody.webp")
    assert "has changed and was read again" in changed.stderr
    photo = few / "nobody.webp"
    found = run("query", photo, "--where", "Type1=spirit", "--format", "paths").stdout.split()
    assert found == [os.fspath(photo)]
    table.write_text("")
    broken = run("build-index", few)
    assert broken.returncode == 0
    assert "Keeping the previous metadata." in broken.stderr
    table.unlink()
    assert run("remove", CREATURES[3]).returncode == 0
    assert run("query", photo, "--where", "Type1=spirit", "--format", "paths").stdout
    dropped = run("build-index", few, "--no-metadata")
    assert dropped.returncode == 0
    assert run("query", photo, "--where", "Type1=spirit").returncode == 2


@pytest.mark.parametrize("damaged", [None, "vectors.faiss", "items.sqlite"])
def test_a_rebuild_and_a_repair_keep_the_table(run, few, table, damaged, tmp_path):
    index = tmp_path / "indexes" / "default"
    built(run, few, "--metadata", table)
    selected = pokesim.open_index(index).select("Type1=grass").tolist()
    assert selected
    if damaged is None:
        again = run("build-index", few, "--embedder", "compact", "--rebuild")
        assert "describes 8 of 10 pictures" in again.stderr
    else:
        (path,) = index.glob(f"snapshots/*/{damaged}")
        path.write_bytes(path.read_bytes()[:-1])
        done = run("check", "--repair", "--index", index)
        assert "10 pictures of" in done.stdout
        assert "metadata: for 8 pictures" in done.stdout
    assert pokesim.open_index(index).select("Type1=grass").tolist() == selected


def described_index(folder, xb, rows, search):
    """Build an index of vectors, with a table row (Type, HP) for all but every fifth of them."""
    table = folder.with_suffix(".jsonl")
    lines = [
        json.dumps({"n": f"p{i}", "Type": kind, "HP": hp}) for i, (kind, hp) in enumerate(rows)
    ]
    table.write_text("\n".join(line for i, line in enumerate(lines) if i % 5))
    items = [Item(i, f"p{i}.png", f"p{i}", 1, 1, "") for i in range(len(xb))]
    keyed = read_table(table).keyed([item.path for item in items])
    with (
        new_snapshot(IndexFolder(folder)) as draft,
        closing(SnapshotWriter(draft.path, xb.shape[1], keyed)) as writer,
    ):
        writer.add(xb, items)
        metadata = writer.finish()
        record = EmbedderRecord("compact", "", 1, 8, "", True)
        manifest = Manifest(str(folder), record, xb.shape[1], len(xb), (), metadata=metadata)
        draft.commit(replace(manifest, search=SearchRecord(search)))
    return pokesim.open_index(folder)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """Vectors with many ties, their table rows, and an index for each kind of search."""
    random.seed(5)
    numbers = np.random.default_rng(5)
    xb = numbers.integers(-2, 3, (1500, 6)).astype(np.float32)
    rows = [(random.choice(TYPES), random.choice([None, *range(100)])) for _ in xb]
    folder = tmp_path_factory.mktemp("described")
    indexes = [
        described_index(folder / name, xb, rows, search)
        for name, search in {"f": "flat", "p": "pca", "a": "IVF16,Flat nprobe=1"}.items()
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pokesim.index.vectors.searcher._LARGE", 0)  # filtered codes are searched too
        patch.setattr("pokesim.index.vectors.searcher._SMALL", 10_000)  # and FAISS scans the most
        yield xb, [row if i % 5 else (None, None) for i, row in enumerate(rows)], indexes


@settings(max_examples=1000, deadline=None)
@given(data=st.data())
def test_a_filtered_search_is_brute_force_on_the_filtered_rows(described, data):
    xb, rows, indexes = described
    where, passes = data.draw(filters())
    index = data.draw(st.sampled_from(indexes))
    k = data.draw(st.sampled_from([1, 3, 20, 2000]))
    xq = xb[data.draw(st.sampled_from([[0], [7, 8], list(range(25))]))] + np.float32(0.25)
    ids = np.array([i for i, row in enumerate(rows) if passes(row)], np.int64)
    np.testing.assert_array_equal(index.select(where), ids)
    true = np.linalg.norm(xb[None, ids] - xq[:, None].astype(np.float64), axis=2)
    order = np.argsort(true, axis=1, kind="stable")[:, :k]
    D, I = index.search(xq, k, where=where)
    np.testing.assert_array_equal(I, ids[order] if len(ids) else order)
    np.testing.assert_allclose(D, np.take_along_axis(true, order, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("Typ=grass", "no column Typ. Did you mean Type?"),
        ("Type=Gras", "Type has no value Gras. Did you mean grass?"),
        ("Type=x", "Type has no value x. It has fire, grass, very odd, 'indeed', water."),
        ("HP > many", "HP holds numbers of up to 18 digits; many is not one."),
        ('HP < ""', 'An empty cell is not < anything; write HP="" or HP!="".'),
        ("Type", "Expected =, !=, <, <=, >, >= or in at the end of the filter 'Type'."),
        ("Type=grass HP", "Expected and, or, or the end at 'HP' in the filter 'Type=grass HP'."),
        ("(Type=grass", "Expected a closing bracket at the end of the filter"),
        ("(Type=grass HP", "Expected a closing bracket at 'HP' in the filter"),
        ("Type=gr*ss", "Unexpected '*ss' in the filter 'Type=gr*ss'; put a value"),
        ("Type=\udcff", "is not valid text"),
        ("", "Expected a column at the end"),
        ("Type==fire", "Unexpected second '='; write Type=fire."),
        ("Type !== 'very odd'", "Unexpected second '='; write Type!=\"very odd\"."),
        ("HP<==3", "Unexpected second '='; write HP<=3."),
        ("Type==", "Unexpected second '='; write Type=VALUE."),
        ("(" * 60, "nests more than 20 brackets"),
        (" or ".join(["HP=1"] * 401), "more than 400 tests"),
        ("HP in " + ",".join(["1"] * 20_001), "more than 20,000 values"),
        ('Type="; DROP TABLE metadata"', "has no value ; DROP"),
    ],
)  # fmt: skip
def test_an_invalid_filter_is_a_usage_error(described, where, message):
    with pytest.raises(pokesim.UsageError, match=re.escape(message)):
        described[2][0].select(where)


def test_a_filter_of_the_largest_size_works(described):
    index = described[2][0]
    some = index.select(" or ".join([f"not HP != {n % 90}" for n in range(400)]))
    np.testing.assert_array_equal(some, index.select("HP < 90"))
    deep = index.select("not (" * 20 + "Type=fire" + ")" * 20)
    np.testing.assert_array_equal(deep, index.select("Type=fire"))


def test_not_binds_before_and_and_that_before_or(described):
    index = described[2][0]
    loose = index.select("HP < 20 or not Type=fire and HP > 90 or Type not in fire,water and HP=50")
    tight = index.select(
        "(HP < 20) or ((not (Type=fire)) and (HP > 90)) or ((not (Type in fire,water)) and (HP=50))"
    )
    np.testing.assert_array_equal(loose, tight)


def test_a_query_imports_filters_only_if_there_is_a_table(index_path, samples):
    photo = next(samples.photos.iterdir())
    code = (
        "import sys, pokesim; pokesim.open_index(sys.argv[1]).query(sys.argv[2])\n"
        "print(*(name for name in sys.modules if name.startswith('pokesim.')))"
    )
    command = [sys.executable, "-c", code, str(index_path), str(photo)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "pokesim.search.matches" in loaded
    assert "pokesim.index.folder.metadata" not in loaded
    assert not [name for name in loaded if "index.metadata" in name or "analysis" in name]
