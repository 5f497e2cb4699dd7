"""Defaults from files and the environment, completion, quiet, doctor, cache."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pokesim
from pokesim.samples import CREATURES

LABELS = {"auto", "stem", "folder", "path", "Name", "Kind"}


def matches(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[0]["matches"]


def test_defaults_come_from_the_line_then_the_environment_then_the_file(
    run, index_path, samples, tmp_path
):
    photo = sorted(samples.photos.iterdir())[0]
    (tmp_path / "pyproject.toml").write_text("[tool.pokesim]\nindex = 'nowhere'\n")
    assert "There is no index at nowhere" in run("query", photo).stderr
    (tmp_path / "pokesim.toml").write_text(
        f'index = "{index_path}"\nformat = "json"\n[query]\nk = 2\nexclude-self = true\n'
    )
    assert len(matches(run("query", photo))) == 2
    assert len(matches(run("query", photo, "-k", "3"))) == 3
    assert matches(run("query", samples.images / f"{CREATURES[0]}.webp"))[0]["distance"] > 0
    assert json.loads(run("info").stdout)["pictures"] == 151
    assert "There is no index at no" in run("info", POKESIM_INDEX="no").stderr
    there = run("info", "--index", index_path, POKESIM_INDEX="no").stdout
    assert json.loads(there)["pictures"] == 151


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inedx = 1", "no command has the option inedx. Did you mean index?"),
        ("[qury]\nk = 1", "no such command qury. Did you mean query?"),
        ("[query]\nkk = 1", "query has no option kk. Did you mean k?"),
        ("[query]\nk = 'many'", "[query] k: 'many' is not a whole number."),
        ("k =", "pokesim.toml cannot be read"),
        ("k = " + "[" * 5000, "pokesim.toml cannot be read"),
        ("[query]\nk = true", "pokesim.toml: [query] k must be a whole number, not true or false."),
        ("[query]\nk = 1.5", "pokesim.toml: [query] k must be a whole number, not a number with a"),
        ("[query]\nk = 0", "pokesim.toml: [query] k must be at least 1, not 0."),
        ("[query]\nk = 1000000000000000000", "pokesim.toml: [query] k must be at most 1,000,000,"),
        ("[query]\nmax-distance = nan", "[query] max-distance must be a finite number, not nan."),
        ("[query]\nmax-distance = 1e999", "[query] max-distance must be a finite number, not inf."),
        ("[query.save]\nk = 1", "pokesim.toml: [query] save must be text, not a table."),
        ("[query]\nsave = 2026-11-26", "pokesim.toml: [query] save must be text, not a date."),
        ("[query]\ngroup = 2", "pokesim.toml: [query] group must be true or false, not a number."),
        ("[query]\nwhere = [1, [2]]", "pokesim.toml: [query] where must be text, not a list."),
        ("index = ['a']", "pokesim.toml: index must be text, not a list."),
        ("index = ''", "pokesim.toml: index must not be empty."),
        ('index = "a\\u0000b"', "pokesim.toml: index must not contain a null character."),
    ],
)
def test_a_default_that_means_nothing_is_one_message(run, tmp_path, text, message):
    (tmp_path / "pokesim.toml").write_text(text)
    done = run("query", "x.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("pokesim: ") == 1


def test_a_broken_file_of_another_program_is_ignored(run, tmp_path):
    (tmp_path / "pyproject.toml").write_text("broken =")
    assert "There is no index" in run("info").stderr
    (tmp_path / "pyproject.toml").write_text("tool = 3")
    assert "There is no index" in run("info").stderr
    (tmp_path / "pyproject.toml").write_text("[tool]\npokesim = 3")
    assert "pyproject.toml: [tool.pokesim] must be a table." in run("info").stderr


def test_quiet_prints_results_and_errors_only(run, samples, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "bad.png").write_text("no picture")
    picture = samples.images / f"{CREATURES[0]}.webp"
    (tmp_path / "images" / "good.webp").write_bytes(picture.read_bytes())
    loud = run("build-index", "--embedder", "compact")
    assert "skipped bad.png" in loud.stderr
    quiet = run("build-index", "--embedder", "compact", "--rebuild", "--quiet")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert quiet.stdout.startswith("Indexed 1 picture, skipped 1")
    wrong = run("--quiet", "query", "nope.png")
    assert (wrong.returncode, wrong.stderr) == (1, "pokesim: nope.png: no such file.\n")
    verbose = run("query", picture, "--verbose")
    assert len(verbose.stdout.splitlines()) == 3
    assert verbose.stderr.startswith("Opening indexes/default/snapshots/")


def test_a_query_without_a_photo_says_what_to_give(run):
    done = run("query")
    assert done.returncode == 2
    assert "Give a PHOTO: a path, an http(s) URL, or - for standard input; or --w" in done.stderr


@pytest.fixture(scope="module")
def described(samples, tmp_path_factory):
    """A folder with an index at indexes/mine whose table has the columns Name and Kind."""
    home = tmp_path_factory.mktemp("described")
    (home / "images").mkdir()
    rows = ["Name,Kind"]
    for name, kind in zip(CREATURES[:3], ("wet", "warm", "wet"), strict=True):
        (home / "images" / f"{name}.webp").write_bytes(
            (samples.images / f"{name}.webp").read_bytes()
        )
        rows.append(f"{name},{kind}")
    (home / "t.csv").write_text("\n".join(rows))
    mine = home / "indexes" / "mine"
    pokesim.build_index(home / "images", mine, embedder="compact", metadata=home / "t.csv")
    return home


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("pokesim dup", {"duplicates"}),
        ("pokesim build-index --embedder res", {"resnet50", "resnet50-softmax"}),
        ("pokesim query --index ", {"indexes/mine"}),
        ("pokesim query --index indexes/m", {"indexes/mine"}),
        ("pokesim query -i indexes/mine --label-by ", LABELS),
        ("pokesim query -i indexes/mine --label ", LABELS),
        ("pokesim query --lab", {"--label-by"}),
        ("pokesim duplicates -i indexes/mine --where K", {"Kind="}),
        ("pokesim map --method ", {"auto", "pca", "tsne"}),
        ("pokesim query --index indexes/mine --where K", {"Kind="}),
        ("pokesim query --index indexes/mine --where Kind=w", {"Kind=wet", "Kind=warm"}),
        ("pokesim query --index nowhere --where K", set()),
        ("pokesim query --words Golden-", {"Golden-retriever"}),
        ("pokesim cache ", {"clear"}),
    ],
)
def test_a_shell_completes(described, typed, offered):
    words = typed.split(" ")
    done = subprocess.run(
        [Path(sys.executable).with_name("pokesim")],
        env=os.environ
        | {
            "_POKESIM_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        cwd=described,
        check=False,
    )
    assert {line.split(",")[-1] for line in done.stdout.split()} == offered, done.stderr


def test_the_doctor_shows_what_is_ready_and_what_to_do(run, index_path, tmp_path):
    # In a cache of its own: another test may have exported a network to the shared one.
    done = run("doctor", "--index", index_path, POKESIM_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0
    lines = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    assert pokesim.__version__ in lines["pokesim"]
    assert "ready: yes" in lines["embedder: compact"]
    assert "pokesim embedders --prepare convnext_tiny" in lines["embedder: convnext_tiny"]
    assert "151 pictures, compact" in lines["index"]
    assert "make one with" in run("doctor").stdout


def test_clearing_the_cache_removes_what_can_be_made_again(run, tmp_path):
    own = {"POKESIM_CACHE": str(tmp_path / "cache")}
    (tmp_path / "cache" / "models").mkdir(parents=True)
    (tmp_path / "cache" / "copies").mkdir()
    (tmp_path / "cache" / "models" / "a.tflite").write_bytes(bytes(2_000_000))
    (tmp_path / "cache" / "mine.txt").write_text("kept")
    assert "cache: models" in run("doctor", **own).stdout
    done = run("cache", "clear", "models", **own)
    assert done.stdout == f"Removed 2.0 MB of models from {tmp_path / 'cache'}.\n"
    assert (tmp_path / "cache" / "copies").is_dir()
    assert run("cache", "clear", **own).returncode == 0
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["mine.txt"]
    assert run("cache", "clear", **own).stdout.startswith("Removed 0.0 MB")
    wrong = run("cache", "clear", "modles", **own)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Unknown cache part 'modles'; choose models or copies." in wrong.stderr
    assert "Did you mean models?" in wrong.stderr
