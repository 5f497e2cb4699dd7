"""--format json and csv of the commands that print a table, and --save and --where."""

import csv
import io
import json
import shutil

import pytest
from PIL import Image

import pokesim
from pokesim.samples import CREATURES


@pytest.fixture(scope="module")
def described(samples, tmp_path_factory):
    """An index of seven pictures, two of them alike, whose table has the column Kind."""
    folder = tmp_path_factory.mktemp("described")
    (folder / "images").mkdir()
    rows = ["Name,Kind,HP"]
    for at, name in enumerate(CREATURES[:6]):
        original = next(samples.images.glob(f"{name}.*"))
        shutil.copy(original, folder / "images")
        rows.append(f"{name},{('wet', 'warm')[at % 2]},{at}")
    shutil.copy(original, folder / "images" / f"twin{original.suffix}")
    (folder / "t.csv").write_text("\n".join([*rows, "twin,wet,9", "nobody,wet,1"]))
    (folder / "images" / "bad.png").write_text("no picture")
    index = folder / "index"
    pokesim.build_index(folder / "images", index, embedder="compact", metadata=folder / "t.csv")
    return index


@pytest.fixture
def both(run, described):
    """Return a function that runs a command with JSON and with CSV, and parses the two."""

    def parsed(*args, index=True):
        where = ["-i", described] if index else []
        texts = {}
        for form in ("json", "csv"):
            done = run(*args, *where, "--format", form)
            assert done.returncode == 0, done.stderr
            texts[form] = done.stdout
        return json.loads(texts["json"]), list(csv.DictReader(io.StringIO(texts["csv"])))

    return parsed


def test_info(both, described):
    facts, rows = both("info")
    assert (facts["index"], facts["pictures"]) == (str(described), 7)
    assert facts["embedder"] == "compact"
    assert facts["search"] == {"requested": "auto", "used": "flat", "recall": None}
    assert facts["metadata"]["columns"] == {"Name": False, "Kind": False, "HP": True}
    assert [one["path"] for one in facts["skipped"]] == ["bad.png"]
    values = {row["name"]: row["value"] for row in rows}
    assert values["pictures"] == "7"
    assert values["normalized"] == "true"
    assert values["search.recall"] == ""
    assert values["skipped.path"] == "bad.png"
    assert int(values["bytes"]) == facts["bytes"] > 0


def test_info_of_the_metadata(both):
    found, rows = both("info", "--metadata")
    kind = next(one for one in found["columns"] if one["column"] == "Kind")
    assert kind == {"column": "Kind", "type": "text", "values": ["warm", "wet"]}
    assert found["rows_without_picture"] == ["nobody"]
    assert found["pictures_without_row"] == []
    assert {row["column"]: row["values"] for row in rows}["Kind"] == "warm, wet"


def test_check(both, run, described):
    found, rows = both("check")
    assert found["sound"] is True
    assert found["repairs"] == {}
    lines = run("check", "-i", described).stdout.splitlines()[:-1]
    assert [f"{name}: {result}" for name, result in found["checks"].items()] == lines
    assert [f"{row['check']}: {row['result']}" for row in rows] == lines


def test_check_of_a_damaged_index_prints_only_an_error(run, described, tmp_path):
    shutil.copytree(described, tmp_path / "index")
    (vectors,) = (tmp_path / "index").glob("snapshots/*/vectors.faiss")
    data = bytearray(vectors.read_bytes())
    data[-1] ^= 1
    vectors.write_bytes(data)
    done = run("check", "-i", "index", "--format", "json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pokesim: ")


def test_embedders(both):
    found, rows = both("embedders", index=False)
    compact = next(one for one in found if one["embedder"] == "compact")
    assert (compact["dimension"], compact["ready"]) == (256, "yes")
    assert [row["embedder"] for row in rows] == [one["embedder"] for one in found]


def test_doctor(both):
    found, rows = both("doctor")
    assert found[0]["what"] == "pokesim"
    assert [row["what"] for row in rows] == [one["what"] for one in found]
    assert "7 pictures" in found[-1]["found"]


def test_duplicates(both):
    groups, rows = both("duplicates")
    assert [sorted(one["label"] for one in group) for group in groups] == [
        sorted([CREATURES[5], "twin"])
    ]
    assert [row["group"] for row in rows] == ["1", "1"]
    assert [row["path"] for row in rows] == [one["path"] for one in groups[0]]
    assert both("duplicates", "--where", "Kind=wet") == ([], [])


def test_evaluate(both, samples, run, described, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in CREATURES[:4]:
        with Image.open(next(samples.images.glob(f"{name}.*"))) as picture:
            picture.convert("RGB").save(photos / f"{name}.jpg", quality=60)
    (found,), rows = both("evaluate", photos, "-k", "1")
    total = found["scores"][-1]
    assert total["photos"] == 4
    first = next(row for row in rows if row["figure"] == "R@1")
    assert (first["name"], first["photos"]) == ("all photos", "4")
    assert float(first["value"]) == total["R@1"]["value"]
    assert {row["figure"] for row in rows} == {"R@1", "MRR"}
    (wet,), _ = both("evaluate", photos, "--where", "Kind=wet")
    assert wet["scores"][-1]["photos"] == 2
    assert wet["unknown_labels"] == {CREATURES[1]: 1, CREATURES[3]: 1}


def test_plan(both):
    found, rows = both("plan", "--images", "1e6", index=False)
    assert found["recommended"] in {one["name"] for one in found["set_ups"]}
    assert {step["what"] for step in found["steps"]} >= {"vectors", "items"}
    assert [row["name"] for row in rows] == [one["name"] for one in found["set_ups"]]
    assert {row["exact"] for row in rows} == {"true", "false"}
    assert float(rows[0]["memory"]) == found["set_ups"][0]["memory"]


def test_all_of_several_filters_must_hold(both, run, described, samples, tmp_path):
    photo = next(iter(samples.photos.iterdir()))

    def labels(*filters):
        words = [word for one in filters for word in ("--where", one)]
        (answer,), _ = both("query", photo, "-k", "9", *words)
        return sorted(match["label"] for match in answer["matches"])

    some = sorted([CREATURES[2], CREATURES[4]])
    assert labels("Kind=wet", "HP>0", "HP<9") == some
    assert labels("Kind=wet or Kind=warm", "HP=2 or HP=4") == some
    (tmp_path / "pokesim.toml").write_text('[query]\nwhere = ["Kind=wet", "HP in 2,4"]\n')
    assert labels() == some
    assert labels("HP=1") == [CREATURES[1]]
    (tmp_path / "pokesim.toml").write_text('where = "HP in 2,4"\n')
    assert labels() == some
    empty = run("query", photo, "-i", described, "--where", "HP=1", "--where", "HP=2")
    assert "no picture passes --where '(HP=1) and (HP=2)'." in empty.stderr


def test_a_map_of_the_pictures_that_pass_a_filter(run, described, tmp_path):
    options = ("-i", described, "--where", "Kind=warm", "--method", "pca")
    done = run("map", "--save", "map.html", *options)
    assert done.stderr == "Drew 3 pictures in map.html.\n"
    assert (tmp_path / "map.html").stat().st_size > 1000
