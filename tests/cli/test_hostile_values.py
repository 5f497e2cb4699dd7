"""Any value of any option of any command: one sentence, never a traceback."""

import shutil
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import pokesim
from pokesim.cli import app
from pokesim.samples import CREATURES

COMMAND = get_command(app)

FLOATS = ("nan", "inf", "-inf", "1e999", "-1", "1e308", "5e-324")
INTEGERS = ("²", "1000000000000", "9" * 5000, "9" * 18, "-1", "1_0", "1.5", "nan")
TEXTS = ("", "²", "nan", "-1", "9" * 5000, "x" * 300, "a" * 300 + "/b", "\x1b[31m", "\udcff", "*")

# Of each command: arguments with which it runs, quickly.
BASES = {
    "build-index": (["images"], ["-i", "index", "--embedder", "compact"]),
    "query": (["images/{0}.webp"], ["-i", "index", "-k", "1"]),
    "serve": ([], ["-i", "nowhere"]),
    "mcp": ([], ["-i", "nowhere"]),
    "watch": (["images"], ["-i", "index"]),
    "add": (["images/{0}.webp"], ["-i", "index"]),
    "remove": (["nobody"], ["-i", "index"]),
    "duplicates": ([], ["-i", "index"]),
    "map": ([], ["-i", "index", "--save", "map.html"]),
    "fetch-dataset": (["http://127.0.0.1:1/x.zip", "fetched"], []),
    "sample-data": (["samples"], []),
    "evaluate": (["images"], ["-i", "index"]),
    "tune": ([], ["--reset", "-i", "index"]),
    "embedders": ([], []),
    "info": ([], ["-i", "index"]),
    "check": ([], ["-i", "index"]),
    "doctor": ([], ["-i", "index"]),
    "plan": ([], ["--images", "1e6"]),
    "push": (["index", "milvus://127.0.0.1:1/x"], []),
    "pull": (["milvus://127.0.0.1:1/x", "pulled"], []),
    "cache clear": (["copies"], []),
}


@pytest.fixture(scope="module")
def home(samples, tmp_path_factory):
    """A folder with an index of three pictures, which have a table."""
    home = tmp_path_factory.mktemp("hostile")
    (home / "images").mkdir()
    for name in CREATURES[:3]:
        shutil.copy(samples.images / f"{name}.webp", home / "images")
    (home / "t.csv").write_text("Name,Kind\n" + "".join(f"{name},a\n" for name in CREATURES[:3]))
    pokesim.build_index(
        home / "images", home / "index", embedder="compact", metadata=home / "t.csv"
    )
    return home


def params_of(name):
    command = COMMAND
    for word in name.split():
        command = command.commands[word]
    return command.params


def options():
    """Return the name of each command with each of its options and arguments."""
    return [
        pytest.param(name, param, id=f"{name} {param.opts[0]}")
        for name in BASES
        for param in params_of(name)
        if not getattr(param, "is_flag", False) and param.name != "help"
    ]


def values_for(param):
    kind = param.type.name
    return FLOATS if "float" in kind else INTEGERS if "int" in kind else TEXTS


def args_with(name, param, value):
    """Return a command's arguments with one of them replaced or added."""
    words, named = BASES[name]
    words = [word.format(CREATURES[0]) for word in words]
    if param.param_type_name == "option":
        return [*name.split(), *words, *named, f"{param.opts[-1]}={value}"]
    arguments = [one.name for one in params_of(name) if one.param_type_name == "argument"]
    at = arguments.index(param.name)
    words[at : at + 1] = [value]
    return [*name.split(), *named, "--", *words]


def test_each_command_is_tried():
    commands = COMMAND.commands
    assert {name.split()[0] for name in BASES} == set(commands)


@pytest.mark.parametrize(("name", "param"), options())
def test_any_value_is_one_sentence_or_a_result(home, monkeypatch, tmp_path, name, param):
    shutil.copytree(home, tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.setenv("POKESIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "watchfiles", None)  # else `watch` does not end
    # Building the command line takes longer than most of these commands.
    monkeypatch.setattr("typer.testing._get_command", lambda _: COMMAND)
    for value in values_for(param):
        done = CliRunner().invoke(app, args_with(name, param, value))
        about = (name, param.opts[0], value[:40], done.output[-600:], done.exception)
        assert isinstance(done.exception, SystemExit | None), about
        assert done.exit_code in (0, 1, 2), about
        assert "--debug shows" not in done.stderr, about
        assert "\x1b" not in done.output, about
        if done.exit_code:
            *_, said = lines = done.stderr.splitlines()
            assert [line for line in lines if line.startswith("pokesim: ")] == [said], about
            assert said.endswith((".", "?")), about
            assert len(said) < 1100, about
        if "float" in param.type.name and value in ("nan", "inf", "-inf", "1e999"):
            assert done.exit_code == 2, about
        if "int" in param.type.name and value in ("²", "9" * 5000, "1.5", "nan"):
            assert done.exit_code == 2, about
