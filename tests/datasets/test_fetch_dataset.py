"""Data sets from a web server: complete or absent, and resumable."""

import random
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest
from support.dataset_server import sample_pngs, tarred, zipped
from support.fetching import FILES, contents, names_in, refused

import pokesim
from pokesim.errors import DatasetError, UsageError

pytestmark = pytest.mark.usefixtures("tidy")


@pytest.mark.parametrize(
    "pack",
    [
        zipped,
        tarred,
        lambda files: tarred(files, "gz"),
        lambda files: tarred(files, "bz2"),
        lambda files: tarred(files, "xz"),
    ],
    ids=["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"],
)
def test_the_format_of_an_archive_is_detected_from_its_bytes(server, pack):
    server.files["/set"] = pack(FILES)
    reported = []
    found = pokesim.fetch_dataset(
        f"{server.url}/set", "set", progress=lambda *at: reported.append(at)
    )
    assert contents("set") == FILES
    assert (found.is_new, found.files, found.bytes) == (True, 2, 3003)
    size = len(server.files["/set"])
    assert (reported[0], reported[-1]) == ((0, size), (size, size))
    assert names_in() == ["set"]


def test_the_printed_next_command_builds_an_index_of_the_data_set(run, server, tmp_path):
    table = "Name,Type1\n" + "".join(f"{name},grass\n" for name in sample_pngs())
    files = {f"images/images/{name}.png": data for name, data in sample_pngs().items()}
    server.files["/set"] = zipped(files | {"pokemon.csv": table.encode()})
    done = run("fetch-dataset", f"{server.url}/set", "my set")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Fetched 4 files (")
    next_command = done.stderr.splitlines()[-1]
    assert next_command == "Next: pokesim build-index 'my set' --metadata 'my set/pokemon.csv'"
    assert contents("my set") == {
        "pokemon.csv": table.encode(),
        **{name.removeprefix("images/"): data for name, data in files.items()},
    }
    built = run(*shlex.split(next_command)[2:], "--embedder", "compact", "--strict")
    assert built.stdout.startswith("Indexed 3 pictures, skipped 0"), built.stderr
    query = run(
        "query", next(tmp_path.rglob("*.png")), "--where", "Type1=grass", "--format", "paths"
    )
    assert len(query.stdout.splitlines()) == 3
    requests = len(server.requests)
    again = run("fetch-dataset", f"{server.url}/set", "my set")
    assert again.stdout == f"Nothing to do: my set holds {server.url}/set already.\n"
    assert again.stderr.splitlines() == [next_command]
    assert len(server.requests) == requests


def test_only_wrapping_folders_are_removed(server):
    wrapped = {f"set-1.0/data/{name}": data for name, data in FILES.items()}
    clutter = {"__MACOSX/._x": b"", ".git/config": b"x", "set-1.0/.DS_Store": b"", "empty/": b""}
    server.files["/set"] = zipped(clutter | wrapped)
    found = pokesim.fetch_dataset(f"{server.url}/set", "set")
    assert found.files == 2
    assert contents("set") == FILES
    kept = {
        "a/a": b"no folder",
        "train/cat/1.png": b"1",
        "test/cat/2.png": b"2",
        "t.csv": b"",
        "u.TSV": b"",
    }
    server.files["/other"] = tarred(kept)
    found = pokesim.fetch_dataset(f"{server.url}/other", "deep/down/other")
    assert contents("deep/down/other") == kept
    assert [table.name for table in found.tables] == ["t.csv", "u.TSV"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_resumes_if_the_server_supports_ranges(server, ranges):
    big = zipped({"noise.png": random.Random(1).randbytes(2_000_000)})
    server.files["/set"], server.cut, server.ranges = big, 1_200_000, ranges
    for _ in range(2):  # the second request resumes, if the server supports ranges
        with pytest.raises(DatasetError, match=r"broke after .* bytes; run the same command again"):
            pokesim.fetch_dataset(f"{server.url}/set", "set")
        assert not Path("set").exists()
        server.cut = 300_000
    server.cut = 0
    reported = []
    pokesim.fetch_dataset(f"{server.url}/set", "set", progress=lambda *at: reported.append(at))
    assert contents("set")["noise.png"] == random.Random(1).randbytes(2_000_000)
    assert names_in() == ["set"]
    ranges_requested = [byte_range for _, byte_range in server.requests]
    if ranges:
        assert ranges_requested == [None, "bytes=1200000-", "bytes=1500000-"]
        assert reported[0] == (1_500_000, len(big))
    else:
        assert reported[0] == (0, len(big))


def test_a_file_that_has_changed_is_downloaded_from_the_start(server):
    server.files["/set"], server.cut = zipped({"a.png": bytes(range(256)) * 9}), 200
    with pytest.raises(DatasetError):
        pokesim.fetch_dataset(f"{server.url}/set", "set")
    server.files["/set"], server.cut, server.etag = zipped({"b.png": b"new"}), 0, '"two"'
    pokesim.fetch_dataset(f"{server.url}/set", "set")
    assert contents("set") == {"b.png": b"new"}


def test_a_file_shorter_than_the_partial_download_is_downloaded_from_the_start(server):
    server.files["/set"], server.cut = zipped({"a.png": random.Random(2).randbytes(9999)}), 9000
    with pytest.raises(DatasetError):
        pokesim.fetch_dataset(f"{server.url}/set", "set")
    server.files["/set"], server.cut = zipped(FILES), 0  # with the same ETag
    pokesim.fetch_dataset(f"{server.url}/set", "set")
    assert contents("set") == FILES


def test_without_an_etag_a_download_starts_over(server):
    server.etag, server.cut = "", 100
    for _ in range(2):
        with pytest.raises(DatasetError):
            pokesim.fetch_dataset(f"{server.url}/set", "set")
    assert [byte_range for _, byte_range in server.requests] == [None, None]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_fetch_leaves_no_folder_and_resumes(run, server, how):
    server.files["/set"] = zipped({"noise.png": random.Random(1).randbytes(3_000_000)})
    server.cut = 2_000_000
    server.may_break.clear()
    command = [sys.executable, "-m", "pokesim", "fetch-dataset", f"{server.url}/set", "set"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not any(path.stat().st_size for path in Path(".set.part").glob("*.part")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(how)
        stderr = process.communicate()[1]
    assert not Path("set").exists()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert stderr == "pokesim: Interrupted. Run the same command again to resume.\n"
    server.may_break.set()
    server.cut = 0
    assert run("fetch-dataset", f"{server.url}/set", "set").returncode == 0
    assert server.requests[-1][1]
    assert names_in() == ["set"]
    assert len(contents("set")["noise.png"]) == 3_000_000


@pytest.mark.parametrize("url", ["http://h:99999/x", "http://[bad/x", "http:///x", "http://h:²/x"])
def test_a_url_with_a_bad_host_or_port_is_a_usage_error(url):
    with pytest.raises(UsageError, match="is not a valid URL"):
        pokesim.fetch_dataset(url)


def test_a_folder_with_other_files_is_left_alone(server, tmp_path, monkeypatch):
    url = f"{server.url}/set"
    Path("set").mkdir()
    Path("set/mine.png").write_bytes(b"mine")
    assert "set contains other files" in refused(server, "name a new folder")
    assert contents("set") == {"mine.png": b"mine"}
    with pytest.raises(DatasetError, match="contains other files"):
        pokesim.fetch_dataset(url, "set/mine.png")
    pokesim.fetch_dataset(url, "other")
    with pytest.raises(DatasetError, match=f"other holds {url}; name a new folder"):
        pokesim.fetch_dataset(f"{url}?2", "other")
    Path("empty").mkdir()
    monkeypatch.chdir("empty")
    with pytest.raises(DatasetError, match="is the current directory"):
        pokesim.fetch_dataset(url, ".")
    monkeypatch.chdir(tmp_path)
    pokesim.fetch_dataset(url, "empty")
    assert contents("empty") == FILES


def test_only_one_process_at_a_time_fetches_into_a_folder(server):
    Path(".set.part").mkdir()
    with filelock.FileLock(".set.part/lock"), pytest.raises(DatasetError, match="Another process"):
        pokesim.fetch_dataset(f"{server.url}/set", "set")
    pokesim.fetch_dataset(f"{server.url}/set", "set")
    assert names_in() == ["set"]


def test_a_full_disk_is_a_one_line_error(run, server):
    """A limit on the size of a file stands in for a full disk, which only root could create."""
    server.files["/set"] = zipped({"a.png": bytes(2_000_000)})
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, allowed[1]))
    try:
        done = run("fetch-dataset", f"{server.url}/set", "set")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert done.returncode == 1
    assert done.stderr == "pokesim: set cannot be written (File too large); it is unchanged.\n"
    assert not Path("set").exists()
    assert run("fetch-dataset", f"{server.url}/set", "set").returncode == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "match"),
    [
        (401, "the server answered 401 .*; download it in a browser that is logged in"),
        (403, "403"),
        (404, "404 Not Found; check the address"),
        (500, "500"),
    ],
)
def test_an_http_error_is_a_one_line_error(server, status, match):
    server.status = status
    refused(server, match)


def test_an_unreachable_server_is_a_one_line_error(run):
    done = run("fetch-dataset", "http://127.0.0.1:1/set.zip")
    assert done.returncode == 1
    assert done.stderr.startswith("pokesim: http://127.0.0.1:1/set.zip: cannot be fetched (")
    assert not names_in()


@pytest.mark.parametrize("source", ["set.zip", "ftp://x/y", "kaggle:x", "kaggle:../..", "kaggle:"])
def test_a_source_must_be_a_kaggle_data_set_or_a_url(source):
    with pytest.raises(UsageError, match=r"kaggle:OWNER/NAME or an http\(s\) URL"):
        pokesim.fetch_dataset(source)
