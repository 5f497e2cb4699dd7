"""The main job, in real processes: build an index of a folder, query it with photos."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from unicodedata import east_asian_width

import numpy as np
import pytest

import pokesim
from pokesim.samples import CREATURES, PHOTOGRAPHED


@pytest.fixture
def few(samples, tmp_path):
    """A folder with twelve creatures, one of them in a folder below."""
    folder = tmp_path / "few"
    (folder / "below").mkdir(parents=True)
    for name in CREATURES[:12]:
        shutil.copy(samples.images / f"{name}.webp", folder)
    (folder / f"{CREATURES[0]}.webp").rename(folder / "below" / f"{CREATURES[0]}.webp")
    return folder


def test_the_right_creature_comes_first_for_nine_photos_in_ten(index_path, samples):
    photos = sorted(samples.photos.iterdir())
    assert [photo.stem for photo in photos] == sorted(PHOTOGRAPHED)
    answers = pokesim.open_index(index_path).query(photos, k=1)
    right = sum(photo.stem == first.label for photo, (first,) in zip(photos, answers, strict=True))
    assert right >= 0.9 * len(photos)


def test_build_and_query_as_the_readme_says(run, few, samples):
    built = run("build-index", few, "--embedder", "compact")
    assert built.returncode == 0, built.stderr
    assert built.stdout.startswith("Indexed 12 pictures, skipped 0, with compact in ")
    done = run("query", few / f"{CREATURES[3]}.webp", "-k", "3")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[2].split()[:4] == ["1", CREATURES[3], "100.0", "%"]
    assert len(lines) == 2 + 3
    assert done.stderr == ""


def test_formats_agree(run, index_path, samples):
    photos = sorted(samples.photos.iterdir())[:2]
    texts = {
        form: run("query", *photos, "-k", "2", "--index", index_path, "--format", form).stdout
        for form in ("json", "ndjson", "csv", "paths")
    }
    answers = json.loads(texts["json"])
    assert [json.loads(line) for line in texts["ndjson"].splitlines()] == answers
    assert [answer["query"] for answer in answers] == [str(photo) for photo in photos]
    matches = [match for answer in answers for match in answer["matches"]]
    assert list(matches[0]) == ["rank", "label", "path", "distance", "similarity"]
    assert texts["paths"].splitlines() == [match["path"] for match in matches]
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert [row["path"] for row in rows] == [match["path"] for match in matches]
    assert [float(row["distance"]) for row in rows] == [match["distance"] for match in matches]


def test_distances_and_similarities_are_those_of_the_stored_vectors(index_path, samples):
    index = pokesim.open_index(index_path)
    xb = index.vectors(np.arange(len(index))).astype(np.float64)
    photo = next(samples.photos.iterdir())
    matches = index.query(photo, k=10)
    from pokesim.images import pixels_of

    query = index.embed(pixels_of(photo, index.manifest.embedder.side)[None])[0]
    distances = np.linalg.norm(xb - query, axis=1)
    order = np.argsort(distances, kind="stable")[:10]
    assert [match.label for match in matches] == [index.items[int(i)].label for i in order]
    np.testing.assert_allclose([match.distance for match in matches], distances[order], atol=1e-4)
    cosines = xb[order] @ query / np.linalg.norm(query) / np.linalg.norm(xb[order], axis=1)
    np.testing.assert_allclose([m.similarity for m in matches], 100 * cosines.clip(0), atol=0.01)


def test_a_bad_photo_stops_no_other(run, index_path, samples):
    good = sorted(samples.photos.iterdir())
    done = run("query", good[0], "nope.png", good[1], "--index", index_path, "--format", "ndjson")
    assert done.returncode == 1
    first, bad, last = (json.loads(line) for line in done.stdout.splitlines())
    assert bad == {"query": "nope.png", "error": "nope.png: no such file."}
    assert first["matches"][0]["rank"] == last["matches"][0]["rank"] == 1
    assert done.stderr == "pokesim: nope.png: no such file.\n"


def test_a_photo_from_standard_input_or_a_pipe(run, index_path, samples, tmp_path):
    photo = sorted(samples.photos.iterdir())[0]
    piped = run("query", "-", "--index", index_path, "--format", "ndjson", stdin=photo.read_bytes())
    named = run("query", photo, "--index", index_path, "--format", "ndjson")
    assert json.loads(piped.stdout)["query"] == "-"
    assert json.loads(piped.stdout)["matches"] == json.loads(named.stdout)["matches"]
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(photo.read_bytes()))
    writer.start()
    fifo = run("query", "pipe", "--index", index_path, "--format", "ndjson")
    writer.join()
    assert json.loads(fifo.stdout)["matches"] == json.loads(named.stdout)["matches"]
    empty = run("query", "-", "--index", index_path)
    assert (empty.returncode, empty.stderr) == (1, "pokesim: standard input: empty.\n")


def test_k_beyond_the_index_returns_all_and_below_one_is_a_usage_error(run, few):
    run("build-index", few, "--embedder", "compact")
    photo = few / f"{CREATURES[1]}.webp"
    assert len(run("query", photo, "-k", "99", "--format", "paths").stdout.splitlines()) == 12
    assert run("query", photo, "-k", "0").returncode == 2


def test_equal_pictures_are_ordered_by_id(run, few):
    for copy in ("zz", "aa", "mm"):
        shutil.copy(few / f"{CREATURES[5]}.webp", few / f"{copy}.webp")
    run("build-index", few, "--embedder", "compact")
    done = run("query", few / "mm.webp", "-k", "4", "--format", "json")
    labels = [match["label"] for match in json.loads(done.stdout)[0]["matches"]]
    assert labels == sorted(["aa", "mm", "zz", CREATURES[5]])


def test_bad_files_are_skipped_and_listed_and_strict_fails(run, few, samples):
    run("build-index", few, "--embedder", "compact")
    (few / "empty.png").touch()
    (few / "cut.jpg").write_bytes((few / f"{CREATURES[1]}.webp").read_bytes()[:3000])
    (few / "words.png").write_text("no picture")
    (few / "notes.txt").write_text("passed over")
    (few / ".hidden.png").write_text("passed over")
    (few / "no-ending").write_bytes((few / f"{CREATURES[1]}.webp").read_bytes())
    done = run("build-index", few, "--embedder", "compact", "--index", "other")
    assert done.returncode == 0
    assert done.stdout.startswith("Indexed 13 pictures, skipped 3,")
    skipped = [line for line in done.stderr.splitlines() if line.startswith("skipped")]
    assert [line.split(":")[0] for line in skipped] == [
        f"skipped {name}" for name in ("cut.jpg", "empty.png", "words.png")
    ]
    assert "empty file" in done.stderr
    assert "empty.png: empty file" in run("info", "--index", "other").stdout

    strict = run("build-index", few, "--embedder", "compact", "--strict")
    assert strict.returncode == 1
    assert "cut.jpg" in strict.stderr
    assert "Indexed" not in strict.stdout
    assert "12 from" in run("info").stdout, "the previous index is still current"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["build-index", "nowhere"], 1, "There is no folder nowhere to index."),
        (["build-index", "empty"], 1, "There is no picture to index in empty."),
        (["build-index", "file"], 1, "file is a file; give the folder of pictures."),
        (["build-index", "text", "--embedder", "compact"], 1, "no picture to index in text"),
        (["build-index", "empty", "--embedder", "resnet5"], 2, "Did you mean resnet50?"),
        (["build-index", "empty", "--batch-size", "0"], 2, "--batch-size"),
        (["query", "x.png"], 1, "There is no index at indexes/default; make one with"),
        (["query"], 2, "PHOTO"),
        (["query", "x.png", "--index", "file"], 1, "There is no index at file"),
        (["info"], 1, "There is no index"),
        (["check"], 1, "There is no index"),
        (["frobnicate"], 2, "No such command"),
        (["sample-data", "file/below"], 1, "cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_message(run, tmp_path, args, code, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("words")
    (tmp_path / "file").write_text("")
    if "resnet5" in args:
        (tmp_path / "empty" / "a.png").write_text("")
    done = run(*args)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr


def test_an_index_folder_that_cannot_be_written_is_one_message(run, few, tmp_path):
    (tmp_path / "file").write_text("")
    done = run("build-index", few, "--embedder", "compact", "--index", "file/index")
    assert done.returncode == 1
    assert "The index file/index cannot be written" in done.stderr


def test_debug_shows_the_traceback_before_and_behind_the_command(tmp_path):
    for args in (["--debug", "info"], ["info", "--debug"]):
        command = [sys.executable, "-m", "pokesim", *args]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 1
        assert "Traceback" in done.stderr


def test_without_images_the_folder_images_or_else_the_samples_are_indexed(run, few, tmp_path):
    done = run("build-index", "--embedder", "compact")
    assert "built-in sample pictures" in done.stderr
    assert done.stdout.startswith("Indexed 151 pictures")
    few.rename(tmp_path / "images")
    assert run("build-index", "--embedder", "compact").stdout.startswith("Indexed 12 pictures")


def test_normalisation_is_recorded_and_can_be_left_out(run, few, seeded_weights):
    weights = seeded_weights("MobileNetV2")
    options = ("--embedder", "mobilenet_v2", "--weights", weights, "--no-normalize")
    assert run("build-index", few, *options).returncode == 0
    assert "lengths kept" in run("info").stdout
    done = run("query", few / f"{CREATURES[2]}.webp", "--format", "json")
    assert json.loads(done.stdout)[0]["matches"][0]["distance"] == 0


def shown_on_a_terminal(photo, index):
    """Return the lines that ``query --show`` draws on a terminal of 60 columns."""
    terminal, other = os.openpty()
    command = ["query", photo, "-k", "2", "--index", index, "--show"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pokesim", *map(str, command)],
        stderr=other,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"COLUMNS": "60"},
    )
    os.close(other)
    drawn = b""
    while chunk := _read(terminal):
        drawn += chunk
    os.close(terminal)
    assert process.wait() == 0
    return drawn.decode().splitlines()


@pytest.fixture
def oddly_named(run, few, tmp_path):
    """An index of pictures, some with names that are wide or control a terminal."""
    for name, odd in zip(CREATURES[1:], ("プリン プリン", "\x1b[2J"), strict=False):
        (few / f"{name}.webp").rename(few / f"{odd}.webp")
    assert run("build-index", few, "--embedder", "compact").returncode == 0
    return tmp_path / "indexes/default"


def test_names_neither_control_a_terminal_nor_shift_its_columns(oddly_named, run, few):
    photo = few / "プリン プリン.webp"
    table = run("query", photo, "-k", "12").stdout
    assert "\x1b" not in table
    rows = [row for row in table.splitlines() if " % " in row]
    assert len(rows) == 12
    ends = [re.search("(.*) % ", row)[1] for row in rows]
    assert len({sum(1 + (east_asian_width(one) in "WF") for one in end) for end in ends}) == 1
    (captions,) = (
        row for row in shown_on_a_terminal(few / "\x1b[2J.webp", oddly_named) if "photo" in row
    )
    assert r"\x1b[2J 100 %" in captions


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 1 << 16)
    except OSError:  # the other side of the terminal is closed
        return b""


def test_a_second_build_at_the_same_time_is_rejected(run, few, tmp_path):
    import filelock

    run("build-index", few, "--embedder", "compact")
    with filelock.FileLock(tmp_path / "indexes/default/lock"):
        done = run("build-index", few, "--embedder", "compact")
    assert done.returncode == 1
    assert "Another build is writing" in done.stderr
    assert run("check").returncode == 0


def test_an_opened_index_keeps_answering_while_builds_remove_its_snapshot(
    run, few, samples, tmp_path
):
    run("build-index", few, "--embedder", "compact")
    with pokesim.open_index(tmp_path / "indexes/default") as index:
        for _ in range(3):
            run("build-index", samples.photos, "--embedder", "compact")
        assert len(list((tmp_path / "indexes/default/snapshots").iterdir())) == 2
        assert index.query(few / f"{CREATURES[6]}.webp", k=1)[0].label == CREATURES[6]
