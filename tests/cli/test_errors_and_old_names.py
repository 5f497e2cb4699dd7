"""Usage errors in one style, and former names of options and arguments."""

import json
import subprocess
import sys

import pytest

from pokesim.analysis import layout
from pokesim.cli import map as map_command


@pytest.mark.parametrize(
    ("args", "usage", "message"),
    [
        ("search x", " ", "No such command 'search'. Did you mean query?"),
        ("qury x", " ", "No such command 'qury'. Did you mean query?"),
        ("frobnicate", " ", "No such command 'frobnicate'."),
        ("cache claer", " cache ", "No such command 'claer'. Did you mean clear?"),
        ("--bad", " ", "No such option --bad."),
        ("query x --labl y", " query ", "No such option --labl. Did you mean --label-by?"),
        ("query x -k many", " query ", "-k: 'many' is not a whole number."),
        ("query x -k 0", " query ", "-k must be at least 1, not 0."),
        ("plan --images many", " plan ", "--images: 'many' is not a number."),
        ("serve --port 65536", " serve ", "--port must be from 0 to 65535, not 65536."),
        ("info x", " info ", "Unexpected argument x."),
        ("evaluate", " evaluate ", "Missing argument 'QUERIES'."),
        ("evaluate x --truth y", " evaluate ", "--truth: 'y' is not one of 'auto', 'stem', 'fold"),
        ("query", " query ", "Give a PHOTO: a path, an http(s) URL, or - for standard input; or"),
        ("map", " map ", "Give --save FILE, such as --save map.html."),
        ("map a.png --save b.png", " map ", "Give either --save b.png or a.png."),
        ("map out.pdf", " map ", "name a file *.html, *.png or *.jpg, not out.pdf."),
        ("cache clear nothing", " cache clear ", "Unknown cache part 'nothing'; choose models"),
        ("query x --index=", " query ", "--index must not be empty."),
        ("query x --max-distance nan", " query ", "--max-distance must be a finite number, not"),
        ("evaluate x -k ²", " evaluate ", "-k takes numbers with commas, such as 1,5,10, not ²."),
        ("build-index x --workers 9999", " build-index ", "Workers are given as a number of proc"),
        ("build-index x --workers h:65536", " build-index ", "Workers are given as a number of"),
        ("pull milvus://h/x milvus://h/y", " pull ", "is a folder here, not the address"),
        ("push milvus://h/x milvus://h/y", " push ", "is a folder here, not the address"),
        ("info -i milvus://h:65536/x", " info ", "a port is at most 65535"),
        ("embedders --weights w.h5", " embedders ", "--weights needs --prepare NAME."),
    ],
)
def test_a_usage_error_has_a_usage_line_and_one_message(run, args, usage, message):
    done = run(*args.split())
    assert (done.returncode, done.stdout) == (2, "")
    shown, error = done.stderr.splitlines()
    assert shown.startswith(f"Usage: pokesim{usage}[OPTIONS]")
    assert error.startswith("pokesim: ")
    assert message in error


def test_without_arguments_the_help_is_printed_as_an_error(run):
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == run("--help").stdout


def test_the_module_is_the_program(run):
    code = "import runpy, sys; sys.argv = ['-', '--help']; runpy.run_module('pokesim')"
    module = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert module.stdout == run("--help").stdout
    assert module.stdout.startswith("Usage: pokesim [OPTIONS] COMMAND")


@pytest.mark.parametrize("how", ["option", "file"])
def test_old_names_of_options_still_work(run, index_path, samples, tmp_path, how):
    def same(command, *args, **names):
        """Run a command with old and new names, on the command line or in the file."""
        outputs = []
        for chosen in ({old: value for old, (_, value) in names.items()}, dict(names.values())):
            if how == "option":
                extra = [word for name, value in chosen.items() for word in (f"--{name}", value)]
            else:
                extra = []
                lines = [f'{name} = "{value}"' for name, value in chosen.items()]
                (tmp_path / "pokesim.toml").write_text("\n".join([f"[{command}]", *lines]))
            done = run(command, *args, "-i", index_path, *extra)
            assert done.returncode == 0, done.stderr
            outputs.append((done.stdout, done.stderr))
        assert outputs[0] == outputs[1]
        return outputs[0]

    photo = sorted(samples.photos.iterdir())[0]
    found, _ = same("query", photo, "--format", "json", label=("label-by", "folder"))
    assert json.loads(found)[0]["matches"][0]["label"] == samples.images.name
    arguments = (samples.photos, "-k", "1")
    _, notes = same("evaluate", *arguments, labels=("truth", "stem"), misses=("save", "m.png"))
    assert "m.png" in notes or "no misses" in notes


def test_old_names_are_not_shown(run):
    for command in ("query", "evaluate", "tune"):
        text = run(command, "--help").stdout
        assert not {"--label", "--labels", "--misses", "OUT"} & {*text.replace(",", " ").split()}
    assert "OUT" not in run("map", "--help").stdout


def test_a_map_still_takes_its_file_as_an_argument(run, index_path, tmp_path):
    done = run("map", "old.png", "-i", index_path, "--most", "10", "--method", "pca")
    assert done.stderr == "Drew 10 of 151 pictures in old.png.\n"
    assert (tmp_path / "old.png").is_file()


def test_the_choices_of_a_map_are_those_of_the_layout():
    assert list(map_command.Method) == list(layout.Method)


def test_a_value_for_every_command_is_ignored_where_it_is_no_choice(run, index_path, tmp_path):
    settings = tmp_path / "pokesim.toml"
    settings.write_text(f'index = "{index_path}"\nformat = "paths"\n')
    assert run("info").stdout.startswith("index ")
    settings.write_text('format = "yaml"\n')
    wrong = run("info")
    assert wrong.returncode == 2
    assert "pokesim.toml: format: 'yaml' is not one of" in wrong.stderr


def test_an_empty_answer_names_the_options_that_nothing_passes(run, index_path, samples):
    photo = sorted(samples.photos.iterdir())[0]
    options = ("--max-distance", "0.01", "--exclude-self", "--format", "paths")
    done = run("query", photo, "-i", index_path, *options)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"{photo}: no picture passes --max-distance 0.01 --exclude-self.\n"
