"""Every example in the READMEs and in `--help` runs, in order, on the sample pictures."""

import csv
import http.server
import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest
from support import paths
from typer.main import get_command

import pokesim
from pokesim.cli import app
from pokesim.samples import CREATURES, PHOTOGRAPHED

DOCUMENTS = [str(path.relative_to(paths.ROOT)) for path in paths.READMES]

# Examples that are not run here → what runs them.
ELSEWHERE = {
    "milvus://": "tests/distributed/test_milvus.py",
    "pip install": "make setup",
    "mobilenet_v2": "tests/embedders/test_embedders.py",
    "dinov2_small": "tests/embedders/test_hub.py",
    "./clip": "tests/embedders/test_network_files.py",
    "two parrots": "tests/embedders/test_text_parts.py",
    "--weights": "tests/embedders/test_embedders.py",
    "--runtime": "tests/embedders/test_runtimes.py",
    "tcp://": "tests/distributed",
    "pokesim serve": "tests/web/test_server.py",
    "pokesim mcp": "tests/mcp/test_tools.py",
    "pokesim watch": "tests/build/test_watch.py",
    "localhost:8000": "tests/web/test_server.py",
    "fetch-dataset  ": "tests/datasets/test_kaggle.py",
    "fetch-dataset kaggle:": "tests/datasets/test_kaggle.py",
    "--review": "tests/cli/test_duplicates_moved.py",
    "--open": "tests/cli/test_query_results.py",
    "--undo": "tests/cli/test_duplicates_moved.py",
    "tune": "tests/analysis/test_tune.py",
}
SCALED_DOWN = {"IVF1024": "IVF4"}  # ten pictures are too few for a thousand cells


def blocks_of(document: str) -> list[str]:
    """Return the indented blocks of a document: commands, configuration, Python."""
    text = (paths.ROOT / document).read_text(encoding="utf-8")
    return re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE)


def lines_of(document: str) -> list[str]:
    return runnable(line for block in blocks_of(document) for line in block.splitlines())


def help_lines() -> list[str]:
    commands = get_command(app).commands.values()
    commands = [
        command for group in commands for command in getattr(group, "commands", {0: group}).values()
    ]
    return runnable(
        line for command in commands for line in command.help.split("Examples:\n")[1].splitlines()
    )


def runnable(lines: Iterable[str]) -> list[str]:
    commands = [re.match(r"\s*(?:\$ )?((?:pokesim|curl) .*)", line) for line in lines]
    lines = [command[1] for command in commands if command]
    return [line for line in lines if not any(word in line for word in ELSEWHERE)]


@pytest.fixture(scope="module")
def pristine(samples, general, tmp_path_factory):
    """A home folder with every file that the examples name."""
    home = tmp_path_factory.mktemp("examples")
    (home / "cache/models").mkdir(parents=True)
    exported = general.parts[0].path
    for path in (exported, exported.with_suffix(".json")):
        shutil.copy(path, home / "cache/models")
    some = {*CREATURES[:20], "hootle"}
    shown = {"images": some, "kaggle": some, "scans": PHOTOGRAPHED[:4]}
    for folder, names in (shown | {"Pictures": PHOTOGRAPHED[:12]}).items():
        (home / folder).mkdir()
        for name in names:
            shutil.copy(samples.images / f"{name}.webp", home / folder)
    shutil.copy(samples.images / "brumbel.webp", home / "Pictures/copy.webp")
    for folder in ("photos", "dev"):
        (home / folder).mkdir()
        for name in PHOTOGRAPHED[:5]:
            shutil.copy(samples.photos / f"{name}.jpg", home / folder)
    for kind in PHOTOGRAPHED[:3]:
        (home / "labelled" / kind).mkdir(parents=True)
        shutil.copy(samples.images / f"{kind}.webp", home / "labelled" / kind)
        shutil.copy(samples.photos / f"{kind}.jpg", home / "labelled" / kind)
    for name in ("me.jpg", "photo.jpg", "new.jpg", "cat.jpg", "Pictures/blurred.jpg"):
        shutil.copy(samples.photos / "brumbel.jpg", home / name)
    with (home / "pokemon.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Name", "Type1", "Type2", "HP", "Sp. Atk"])
        for at, name in enumerate(CREATURES):
            types = ("grass", "poison", "water")[at % 3], ("", "flying")[at % 2]
            table.writerow([name, *types, 80 + at, 90])
    shutil.copy(home / "pokemon.csv", home / "images")
    shutil.make_archive(str(home / "pictures"), "zip", home / "photos")
    return home


@pytest.fixture
def world(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "world")


@pytest.fixture
def server(world):
    """The URL of a web server for the home folder, in place of example.org."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=world)
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def run_all(lines: list[str], home: Path, server: str) -> None:
    env = os.environ | {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "POKESIM_CACHE": str(home / "cache"),  # one example clears it
    }
    for line in lines:
        if " jq " in line and not shutil.which("jq"):
            continue
        command = line.replace("https://example.org", server)
        for large, small in SCALED_DOWN.items():
            command = command.replace(large, small)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=home,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_shell_example_runs(world, server, document):
    run_all(lines_of(document), world, server)
    if document == "README.md":
        for output in ("match.png", "report.html", "groups.png", "map.html"):
            assert (world / output).stat().st_size > 1000


def test_there_are_many_examples():
    assert len([line for document in DOCUMENTS for line in lines_of(document)]) > 45


def test_every_help_example_runs(world, server):
    """Those that READMEs show as well run there, except for builds, which others need."""
    shown = {bare(line) for document in DOCUMENTS for line in lines_of(document)}
    lines = [line for line in help_lines() if bare(line) not in shown or "build-index" in line]
    assert len(lines) > 15
    run_all(["pokesim build-index images", *lines], world, server)


def bare(line: str) -> str:
    """Return a command without its comment."""
    return line.partition("  #")[0].strip()


def test_the_python_example_runs(world):
    code = next(
        textwrap.dedent(block) for block in blocks_of("README.md") if "    import pokesim" in block
    )
    pokesim.build_index(world / "images", world / "indexes/default", metadata=world / "pokemon.csv")
    given = "from numpy import zeros\nvectors, pixels = zeros((2, 640)), zeros((9, 9, 3), 'u1')\n"
    code = given + code
    subprocess.run([sys.executable, "-c", code], cwd=world, check=True, capture_output=True)


def test_the_documented_defaults_file_is_read(world, run, tmp_path):
    text = next(textwrap.dedent(block) for block in blocks_of("README.md") if "[query]" in block)
    (tmp_path / "pokesim.toml").write_text(text)
    assert "There is no index at indexes/mine" in run("info").stderr


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_to_a_file_is_valid(document):
    text = (paths.ROOT / document).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert ((paths.ROOT / document).parent / link).is_file(), link


def test_the_readme_is_short_and_links_to_every_other():
    text = paths.README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 260
    for document in DOCUMENTS[1:]:
        assert document in text, document
