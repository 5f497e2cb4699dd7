"""Every example of the README's "Use" runs, in its order, on the sample pictures."""

import csv
import http.server
import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
from functools import partial
from pathlib import Path

import pytest

from pokesim.samples import CREATURES, PHOTOGRAPHED

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
USE = README[README.index("## Use\n") : README.index("## Embedders\n")]
BLOCKS = re.findall(r"(?:^    .*\n|^\n(?=    ))+", USE, re.MULTILINE)

# What is not run here, and where it is.
ELSEWHERE = {
    "pip install .": "make setup",
    "--embedder mobilenet_v2": "tests/test_models.py",
    "--runtime": "tests/test_runtimes.py",
    "tune": "tests/test_tune.py",
}
IN_SMALL = {"IVF1024": "IVF4"}  # ten pictures are too few for a thousand cells


def shell_lines() -> list[str]:
    lines = [line.strip() for block in BLOCKS for line in block.splitlines()]
    lines = [line.removeprefix("$ ") for line in lines]
    commands = [line for line in lines if re.match("(pokesim|curl) ", line)]
    return [line for line in commands if not re.search("|".join(map(re.escape, ELSEWHERE)), line)]


@pytest.fixture(scope="module")
def world(samples, tmp_path_factory):
    """A folder and a home in which all that the README names is there."""
    home = tmp_path_factory.mktemp("readme")
    for folder, names in {"images": CREATURES[:60], "Pictures": PHOTOGRAPHED}.items():
        (home / folder).mkdir()
        for name in {*names, "brumbel"}:
            shutil.copy(samples.images / f"{name}.png", home / folder)
    shutil.copytree(samples.photos, home / "photos")
    for name in ("me.jpg", "photo.jpg", "new.jpg", "cat.jpg", "Pictures/blurred.jpg"):
        shutil.copy(samples.photos / "brumbel.jpg", home / name)
    with (home / "pokemon.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Name", "Type1", "Type2", "HP", "Sp. Atk"])
        for at, name in enumerate(CREATURES):
            types = ("grass", "poison", "water")[at % 3], ("", "flying")[at % 2]
            table.writerow([name, *types, 80 + at, 90])
    return home


@pytest.fixture(scope="module")
def server(world):
    """The address of a server of this folder, in place of example.org."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=world)
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def test_every_shell_example_runs(world, server):
    lines = shell_lines()
    assert len(lines) > 40
    programs = Path(sys.executable).parent
    env = os.environ | {
        "HOME": str(world),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "POKESIM_CACHE": str(world / "cache"),  # one example clears it
    }
    for line in lines:
        if " jq " in line and not shutil.which("jq"):
            continue
        command = line.replace("https://example.org", server)
        for large, small in IN_SMALL.items():
            command = command.replace(large, small)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=world,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    for drawn in ("match.png", "groups.png", "map.html", "map.png"):
        assert (world / drawn).stat().st_size > 1000


def test_the_python_example_runs(world, monkeypatch):
    code = next(textwrap.dedent(block) for block in BLOCKS if "    import pokesim" in block)
    monkeypatch.chdir(world)
    code = "import numpy\nvectors = numpy.zeros((2, 256), 'f4')\n" + code
    subprocess.run([sys.executable, "-c", code], cwd=world, check=True, capture_output=True)


def test_the_file_of_defaults_is_one(world, run, tmp_path):
    text = next(textwrap.dedent(block) for block in BLOCKS if "[query]" in block)
    (tmp_path / "pokesim.toml").write_text(text)
    assert "There is no index at indexes/mine" in run("info").stderr
