"""Kaggle's data sets, fetched with the real kagglehub from a fake Kaggle service on loopback.

In its LOCALHOST environment kagglehub requests http://localhost, through the proxy in HTTP_PROXY,
which is the fake service.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from support import paths
from support.dataset_server import sample_pngs, serving, zipped

import pokesim
from pokesim.datasets import DEFAULT_SOURCE
from pokesim.errors import DatasetError

NAME = DEFAULT_SOURCE.removeprefix("kaggle:")


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def environment(server, tmp_path, monkeypatch):
    """A small copy of the Kaggle data set, and a home folder without credentials."""
    table = "Name,Type1,Type2,Evolution\n" + "".join(f"{name},Grass,,\n" for name in sample_pngs())
    files = {f"images/images/{name}.png": data for name, data in sample_pngs().items()}
    server.files["/3.zip"] = zipped(files | {"pokemon.csv": table.encode()})
    server.versions[NAME] = (3, "/3.zip")
    for name in [name for name in os.environ if name.startswith("KAGGLE")]:
        monkeypatch.delenv(name)
    for name, value in {
        "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
        "HTTP_PROXY": server.url,
        "http_proxy": server.url,
        "NO_PROXY": "",
        "no_proxy": "",
        "HOME": str(tmp_path / "home"),
        "KAGGLEHUB_CACHE": str(tmp_path / "hub"),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def test_the_first_five_minutes(run, server, tmp_path):
    done = run("fetch-dataset")
    images = tmp_path / "images"
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        ["Next: pokesim build-index images --metadata images/pokemon.csv"],
    )
    assert done.stdout.startswith("Fetched 4 files (")
    assert done.stdout.count("\n") == 1
    assert done.stdout.endswith(f"of {DEFAULT_SOURCE} into images.\n")
    built = run(
        "build-index", "images", "--metadata", "images/pokemon.csv", "--embedder", "compact"
    )
    assert built.stdout.startswith("Indexed 3 pictures, skipped 0"), built.stderr
    query = run("query", next(images.rglob("*.png")), "--where", "Type1=Grass", "--format", "paths")
    assert len(query.stdout.splitlines()) == 3
    requests = len(server.requests)
    again = run("fetch-dataset")
    assert again.stdout == f"Nothing to do: images holds {DEFAULT_SOURCE} already.\n"
    assert len(server.requests) == requests


def test_a_cached_data_set_is_copied_into_the_folder_without_a_download(server):
    assert pokesim.fetch_dataset(folder="one").is_new
    assert [path for path, _ in server.requests].count("/3.zip") == 1
    reported = []
    found = pokesim.fetch_dataset(folder="two", progress=lambda *at: reported.append(at))
    assert (found.files, reported) == (4, [])
    assert [path for path, _ in server.requests].count("/3.zip") == 1
    one, two = (
        {path.relative_to(root): path.is_file() and path.read_bytes() for path in root.rglob("*")}
        for root in map(Path, ("one", "two"))
    )
    assert one == two
    # With a version in the source, no network is needed.
    server.status = 500
    assert pokesim.fetch_dataset(f"{DEFAULT_SOURCE}/versions/3", "three").files == 4


def test_a_broken_download_resumes(run, server, tmp_path):
    noise = random.Random(5).randbytes(3_000_000)
    server.files["/3.zip"] = zipped({"noise.png": noise})
    server.cut = 2_000_000
    broken = run("fetch-dataset")
    assert (broken.returncode, broken.stdout) == (1, "")
    assert broken.stderr.startswith("pokesim: Kaggle is unreachable, or the connection broke (")
    assert broken.stderr.endswith("Run the same command again to resume.\n")
    assert broken.stderr.count("\n") == 1
    assert not (tmp_path / "images").exists()
    assert not (tmp_path / ".images.part").exists()
    server.cut = 0
    assert run("fetch-dataset").returncode == 0
    assert server.requests[-1][1].startswith("bytes=")
    assert (tmp_path / "images" / "noise.png").read_bytes() == noise


def test_progress_is_reported_and_kagglehub_is_silent(server, capfd):
    reported = []
    pokesim.fetch_dataset(folder="set", progress=lambda *at: reported.append(at))
    size = len(server.files["/3.zip"])
    assert (reported[0], reported[-1]) == ((0, size), (size, size))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("status", "match"),
    [
        (401, "log in with an API token"),
        (403, "Kaggle refuses .* its licence must be accepted"),
        (404, f"Kaggle has no data set {NAME}; search for it"),
        (500, "Kaggle answered 500"),
    ],
)
def test_an_http_error_of_kaggle_is_a_one_line_error(server, status, match):
    server.status = status
    with pytest.raises(DatasetError, match=match) as caught:
        pokesim.fetch_dataset()
    assert "\n" not in str(caught.value)
    assert not list(Path.cwd().iterdir())


def test_an_unknown_data_set_or_no_network_is_a_one_line_error(run):
    done = run("fetch-dataset", "kaggle:nobody/nothing")
    assert done.returncode == 1
    assert done.stderr.startswith("pokesim: Kaggle has no data set nobody/nothing; ")
    nowhere = "http://127.0.0.1:1"
    done = run("fetch-dataset", HTTP_PROXY=nowhere, http_proxy=nowhere)
    assert done.returncode == 1
    assert done.stderr.startswith("pokesim: Kaggle is unreachable, ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("damaged", [b"<html>Log in</html>", zipped({"a.png": bytes(99999)})[:-50]])
def test_a_damaged_download_is_deleted_and_fetched_again(server, damaged):
    sound, server.files["/3.zip"] = server.files["/3.zip"], damaged
    with pytest.raises(DatasetError, match=r"is unusable .* and was deleted; try again"):
        pokesim.fetch_dataset()
    server.files["/3.zip"] = sound
    assert pokesim.fetch_dataset().files == 4


def test_the_limit_applies_to_the_download_and_to_the_unpacked_files(server):
    server.files["/3.zip"] = zipped({"a.png": bytes(3_000_000)})
    with pytest.raises(DatasetError, match="archive is larger than the limit"):
        pokesim.fetch_dataset(max_bytes=2_000)
    with pytest.raises(DatasetError, match="its files are larger than the limit"):
        pokesim.fetch_dataset(max_bytes=2_000_000)
    assert not list(Path.cwd().iterdir())


def test_a_link_in_kagglehub_s_cache_is_refused(tmp_path):
    pokesim.fetch_dataset(folder="one")
    next((tmp_path / "hub").rglob("pokemon.csv")).with_name("x").symlink_to("/etc/passwd")
    with pytest.raises(DatasetError, match="its entry x is a link"):
        pokesim.fetch_dataset(folder="two")


def test_an_unwritable_cache_is_a_one_line_error(tmp_path):
    (tmp_path / "hub").write_text("no folder")
    with pytest.raises(DatasetError, match=r"kagglehub's cache .*hub cannot be written"):
        pokesim.fetch_dataset()


def test_without_kagglehub_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # as if it were not installed
    with pytest.raises(DatasetError, match=r"pip install 'pokesim\[kaggle\]'"):
        pokesim.fetch_dataset()


def make_article() -> subprocess.CompletedProcess[str]:
    """Run `make article` in the current folder, with the environment of this test run."""
    command = ["make", "--no-print-directory", "-f", paths.ROOT / "Makefile", "article"]
    command += [f"BIN={Path(sys.executable).parent}", "-o", ".venv/installed", "-o", ".venv/kaggle"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_make_article_saves_a_photo_beside_its_match(seeded_weights):
    Path("pokesim.toml").write_text(f'[build-index]\nweights = "{seeded_weights("ResNet50")}"\n')
    done = make_article()
    assert done.returncode == 0, done.stderr
    assert "Indexed 3 pictures, skipped 0" in done.stdout
    with Image.open(".demo/article.png") as picture:
        assert picture.width > picture.height


def test_make_article_without_a_network_says_so_in_one_sentence(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("MAKELEVEL", raising=False)  # under `make test`, make would say make[1]
    done = make_article()
    assert done.returncode == 2, "as make does when a command fails"
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(said) == 1
    assert said[0].startswith("pokesim: Kaggle is unreachable")
