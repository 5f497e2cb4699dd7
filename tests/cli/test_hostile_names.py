"""File names, labels and tables that would control a terminal, and those that look like options."""

import csv
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import pokesim
from pokesim.cli import app
from pokesim.samples import CREATURES
from pokesim.show.text import json_text, plain, plain_lines

HOSTILE = "\x1b[2J\x9b31m\u202ered\u2066\x07"
NEWLINES = "two\nlines\r"
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def home(samples, tmp_path_factory):
    """A folder with an index of pictures with hostile names, and a hostile table."""
    home = tmp_path_factory.mktemp("hostile")
    images = home / f"images {HOSTILE}"
    images.mkdir()
    for stem, name in zip((HOSTILE, NEWLINES, "plain", "-k"), CREATURES, strict=False):
        shutil.copy(samples.images / f"{name}.webp", images / f"{stem}.webp")
    (images / f"bad{HOSTILE}.png").write_text("no picture")
    table = home / f"t{HOSTILE}.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Name", f"Kind{HOSTILE}"])
        rows.writerows([["plain", f"cell {HOSTILE}"], [f"nobody{HOSTILE}", "x"]])
    pokesim.build_index(images, home / "index", embedder="compact", metadata=table)
    return home


def invoke(*args):
    done = CliRunner().invoke(app, [*map(os.fspath, args)])
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done


COMMANDS = [
    ["query", "{hostile}", "-k", "9"],
    ["query", "{newlines}", "{newlines}", "{hostile}x.png", "-k", "1"],
    ["query", "{hostile}", "--where", "Kind{hostile_text}=x"],
    ["info"],
    ["info", "--metadata"],
    ["duplicates", "--threshold", "1"],
    ["evaluate", "{images}"],
    ["check"],
    ["remove", "{hostile_text}"],
    ["add", "{hostile}x.png"],
    ["build-index", "{images}", "--rebuild", "--embedder", "compact"],
    ["build-index", "nowhere{hostile_text}"],
    ["fetch-dataset", "{hostile_text}"],
    ["cache", "clear", "{hostile_text}"],
    ["{hostile_text}"],
]


@pytest.mark.parametrize("form", ["table", "json"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words)[:30])
def test_nothing_printed_controls_the_terminal(home, tmp_path, monkeypatch, command, form):
    shutil.copytree(home, tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    (images,) = (path for path in (tmp_path / "home").iterdir() if "images" in path.name)
    places = {
        "images": images,
        "hostile": images / f"{HOSTILE}.webp",
        "newlines": images / f"{NEWLINES}.webp",
        "hostile_text": HOSTILE,
    }
    args = [word.format(**places) for word in command]
    if command[0] in ("query", "info", "duplicates", "evaluate", "check"):
        args += ["--format", form]
    if command[0] not in ("fetch-dataset", "cache", "{hostile_text}"):
        args += ["-i", "index"]
    done = invoke("--verbose", *args)
    assert done.output
    assert not CONTROLS.search(done.output), done.output
    assert "\nlines" not in done.output
    if form == "json" and "--format" in args and done.exit_code == 0:
        json.loads(done.stdout)


def test_data_is_unchanged_in_a_pipe_and_escaped_on_a_terminal(home):
    (images,) = (path for path in home.iterdir() if "images" in path.name)
    query = ["query", os.fspath(images / f"{HOSTILE}.webp"), "-i", os.fspath(home / "index")]
    query += ["-k", "1", "--format"]
    assert invoke(*query, "paths").stdout == f"{images / f'{HOSTILE}.webp'}\n"
    (row,) = csv.DictReader(io.StringIO(invoke(*query, "csv").stdout))
    assert row["label"] == HOSTILE
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pokesim", *query, "paths"]
    subprocess.run(command, stdout=theirs, stderr=theirs, check=True)
    shown = os.read(ours, 10_000).decode()
    assert shown.strip().endswith("red\\u2066\\x07.webp")
    assert not CONTROLS.search(shown.replace("\r\n", "\n"))


def test_photos_with_odd_names_are_answered_in_their_order(home, monkeypatch):
    (images,) = (path for path in home.iterdir() if "images" in path.name)
    monkeypatch.chdir(images)
    names = [f"{NEWLINES}.webp", "-k.webp", f"{NEWLINES}.webp", "./-k.webp"]
    options = ["-i", home / "index", "-k", "1", "--format", "ndjson"]
    done = invoke("query", *options, "--", *names)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["query"] for answer in answers] == names
    stems = [answer["matches"][0]["label"] for answer in answers]
    assert stems == [NEWLINES, "-k", NEWLINES, "-k"]


def test_a_url_that_is_no_picture_is_named(home, samples):
    from support.dataset_server import serving

    with serving() as server:
        server.files = {"/page": b"<html>"}
        url = f"{server.url}/page"
        done = invoke("query", url, "-i", home / "index")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"pokesim: {url}: ")


def test_what_is_escaped():
    assert plain("a\nb\t\x1b\x9b\x7f\u202e\u2066\u200f\udc9b") == (
        "a\\nb\\t\\x1b\\x9b\\x7f\\u202e\\u2066\\u200f\\udc9b"
    )
    assert plain("Pokémon \udce9 ימין 絵") == "Pokémon \udce9 ימין 絵"
    assert plain_lines("a\x1b\n\nb") == "a\\x1b\n\nb"
    assert json_text({"\x7f\x1b": [float("nan"), 1.5]}) == '{"\\u007f\\u001b": [null, 1.5]}'


def test_no_command_prints_but_through_the_module_that_escapes():
    from pathlib import Path

    import pokesim.cli

    for module in Path(pokesim.cli.__file__).parent.glob("*.py"):
        if module.name != "output.py":
            assert not re.search(r"\bprint\(|sys\.std(out|err)\.write", module.read_text()), module
