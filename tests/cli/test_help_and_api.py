"""--help is quick and complete, imports are light, the public API is documented and sorted."""

import inspect
import subprocess
import sys

import pytest
from support import paths
from typer.main import get_command

import pokesim
from pokesim.cli import app
from pokesim.cli.commands import SECTIONS
from pokesim.cli.values import OLD_NAMES

EXTRAS = ("watchfiles", "mcp", "pydantic", "starlette", "uvicorn", "onnxruntime", "openvino")
EXTRAS += ("huggingface_hub",)
HEAVY = ("tensorflow", "keras", "faiss", "numpy", "PIL", "ai_edge_litert", "rich", "sqlite3")
HEAVY += EXTRAS
COMMANDS = [
    " ".join([name, *more])
    for name, command in get_command(app).commands.items()
    for more in ([[one] for one in command.commands] if hasattr(command, "commands") else [[]])
]
LISTED = {name: one for section in SECTIONS.values() for name, one in section.items()}
MODULES = {name: f"pokesim.cli.{one.function.split('.')[0]}" for name, one in LISTED.items()}
EXAMPLES = "\n".join(readme.read_text() for readme in paths.READMES)


def modules_after(code: str, *args: str) -> set[str]:
    """Run code in a fresh process and return the modules that it has imported."""
    tail = "finally: print('\\n'.join(sys.modules), file=open(sys.argv.pop(0), 'w'))"
    script = f"import sys\nsys.argv = sys.argv[1:]\ntry:\n {code}\nexcept SystemExit: pass\n{tail}"
    done = subprocess.run(
        [sys.executable, "-c", script, "/dev/stderr", *args],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("args", [["--help"], *([*name.split(), "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(args):
    loaded = modules_after("from pokesim.cli import app; app(args=sys.argv[1:])", *args)
    assert "typer" in loaded
    assert not loaded.intersection(HEAVY)
    assert loaded.intersection(MODULES.values()) == {MODULES[name] for name in args[:-1][:1]}


def test_importing_pokesim_imports_nothing_heavy():
    assert not modules_after("import pokesim").intersection(HEAVY)


def test_a_query_imports_neither_tensorflow_nor_extras(index_path, samples):
    photo = next(samples.photos.iterdir())
    code = "import pokesim; pokesim.open_index(sys.argv[1]).query(sys.argv[2])"
    loaded = modules_after(code, str(index_path), str(photo))
    assert {"numpy", "ai_edge_litert"} <= loaded
    assert not loaded.intersection({"tensorflow", "keras", *EXTRAS})


def test_a_query_of_a_small_index_imports_neither_faiss_nor_other_commands(index_path, samples):
    photo = next(samples.photos.iterdir())
    args = ("query", str(photo), "--index", str(index_path))
    loaded = modules_after("from pokesim.cli import app; app(args=sys.argv[1:])", *args)
    assert {"numpy", "ai_edge_litert"} <= loaded
    assert not loaded.intersection({"faiss", "numpy.ma", "pokesim.index.vectors.ann"})
    assert loaded.intersection(MODULES.values()) == {MODULES["query"]}
    assert [name for name in loaded if name.endswith("ImagePlugin")] == ["PIL.JpegImagePlugin"]


def test_the_public_names_are_sorted_and_documented():
    assert pokesim.__all__ == sorted(pokesim.__all__)
    for name in pokesim.__all__:
        assert inspect.getdoc(getattr(pokesim, name)), name
    assert set(pokesim.__all__) <= set(dir(pokesim))
    with pytest.raises(AttributeError):
        _ = pokesim.nothing


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_an_example_and_a_place_in_a_readme(run, name):
    text = run(*name.split(), "--help").stdout
    assert f"Examples:\n      pokesim {name}" in text
    assert max(map(len, text.splitlines())) <= 80
    assert f"pokesim {name}" in EXAMPLES


def test_the_list_of_commands_fits_a_terminal(run):
    text = run("--help").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) <= 40
    sections = ("Everyday:", "Measure and tune:", "Maintain:", "Scale:")
    assert [line for line in text.splitlines() if line in sections] == list(sections)
    assert "..." not in text.split(sections[0])[1]
    assert all(f"  {name.split()[0]} " in text for name in COMMANDS)


def test_the_list_has_the_first_sentence_of_the_help_of_each_command():
    commands = get_command(app).commands
    assert {name: commands[name].get_short_help_str(1000) for name in commands} == {
        name: one.about for name, one in LISTED.items()
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_has_help_and_an_example(name):
    command = get_command(app)
    for word in name.split():
        command = command.commands[word]
    lines = [
        line for line in f"{EXAMPLES}\n{command.help}".splitlines() if f"pokesim {name}" in line
    ]
    for option in command.params:
        if option.param_type_name == "option" and option.name != "help":
            assert option.help
            shown = {*option.opts, *option.secondary_opts} - OLD_NAMES
            assert any(shown & {*line.split()} for line in lines), f"{name} {option.opts[0]}"


def test_version(run):
    assert run("--version").stdout == f"pokesim {pokesim.__version__}\n"


def test_stats_show_where_the_time_of_a_query_went(run, index_path, samples):
    photo = sorted(samples.photos.iterdir())[0]
    done = run("query", photo, "--index", index_path, "--stats", "--format", "paths")
    assert len(done.stdout.splitlines()) == 5
    head, *rows = done.stderr.splitlines()
    assert head.startswith("where the time went")
    spent = {row[: row.rindex(" ")].strip(): float(row.split()[-1]) for row in rows}
    for name in ("start Python", "open the index", "load the model", "embed", "search"):
        assert spent[name] > 0
    assert list(spent)[-1] == "all"
    assert abs(sum(list(spent.values())[:-1]) - spent["all"]) < 1
    # A picture of the index needs neither model nor its runtime.
    known = run("query", next(samples.images.iterdir()), "--index", index_path, "--stats")
    assert "read the photos" in known.stderr
    for name in ("LiteRT", "model", "embed"):
        assert name not in known.stderr
