"""Data sets from a web server: complete or absent, resumable, and safe from hostile archives."""

import io
import random
import resource
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
import warnings
import zipfile
from pathlib import Path

import filelock
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.dataset_server import sample_pngs, serving, tarred, zipped

import pokesim
from pokesim.datasets import archives
from pokesim.errors import DatasetError, UsageError

FILES = {"a.png": b"one", "b/c.jpg": b"two" * 1000}


@pytest.fixture(scope="module")
def server():
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def tidy(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server.files = {"/set": zipped(FILES)}
    server.etag, server.ranges, server.cut, server.status = '"one"', True, 0, 0
    server.may_break.set()
    server.requests.clear()


def names_in(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


def contents(folder):
    """Return the files below a folder as path → bytes, without the record of the data set."""
    folder = Path(folder)
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {name: p.read_bytes() for name, p in found.items() if p.is_file() and name[0] != "."}


def refused(server, match, **options):
    """Check that fetching fails and changes no file, and return the error message."""
    before = sorted(Path.cwd().parent.rglob("*"))
    with pytest.raises(DatasetError, match=match) as caught:
        pokesim.fetch_dataset(f"{server.url}/set", "set", **options)
    assert sorted(Path.cwd().parent.rglob("*")) == before
    assert str(caught.value).count("\n") == 0
    return str(caught.value)


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


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zipped_link():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("away")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
        archive.writestr("away/x.png", b"x")
    return buffer.getvalue()


def encrypted_zip():
    """A zip archive whose entries are marked as encrypted."""
    data = bytearray(zipped({"a.png": b"secret"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def zip_without_a_name():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("a")
        info.filename = ""
        with archive.open(info, "w") as file:
            file.write(b"x")
    return buffer.getvalue()


def zip_of_many(names):
    """A zip archive with several entries of the same name, as no dictionary holds them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


def sparse_tar():
    """A tar archive of 2 kB whose only file declares a petabyte of zeros."""
    body = b"1\n0\n1\n".ljust(512, b"\0") + b"x".ljust(512, b"\0")
    info = tarfile.TarInfo("s.png")
    info.size = len(body)
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    info.pax_headers |= {"GNU.sparse.name": "s.png", "GNU.sparse.realsize": str(10**15)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


def chained_headers():
    """A tar archive whose entry has a thousand extended headers, one for the next."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 12
    record = header.tobuf(tarfile.USTAR_FORMAT) + b"12 path=abc\n".ljust(512, b"\0")
    return record * 1000 + tarred({"a.png": b"x"})


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


NOISE = random.Random(3).randbytes(30_000)
TAR = tarred({"a.png": NOISE, "b.png": NOISE})
HOSTILE = {
    "above": (zipped({"../evil.png": b"x"}), r"its entry \.\./evil.png would be written outside"),
    "inside, above": (zipped({"a/../../evil": b"x"}), "outside"),
    "absolute": (zipped({"/tmp/evil.png": b"x"}), "outside"),
    "drive": (zipped({"C:/evil.png": b"x"}), "outside"),
    "backslash": (zipped({"..\\evil.png": b"x"}), "outside"),
    "tar above": (tarred({"../evil.png": b"x"}), "outside"),
    "tar absolute": (tarred({"/tmp/evil.png": b"x"}, "gz"), "outside"),
    "late": (tarred(FILES | {"../evil.png": b"x"}), "outside"),
    "zip link": (zipped_link(), "its entry away is a link"),
    "tar link": (tarred(FILES, "", link("x.png", "/etc/passwd")), "its entry x.png is a link"),
    "hard link": (tarred(FILES, "", link("x.png", "a.png", tarfile.LNKTYPE)), "is a link"),
    "device": (tarred(FILES, "", link("x.png", "", tarfile.CHRTYPE)), "device"),
    "pipe": (tarred(FILES, "", link("x.png", "", tarfile.FIFOTYPE)), "device"),
    "encrypted": (encrypted_zip(), "encrypted"),
    "file and folder": (zipped({"a": b"x", "a/b.png": b"x"}), "damaged"),
    "zip cut": (zipped({"a.png": NOISE})[:-100], "damaged"),
    "zip damaged": (flipped(zipped({"a.png": NOISE}), 15_000), "damaged"),
    "tar cut in a file": (TAR[:40_000], "damaged"),
    "tar cut between files": (TAR[: TAR.index(b"b.png")], "damaged"),
    "tar header damaged": (flipped(TAR, TAR.index(b"b.png")), "damaged"),
    "gz cut": (tarred({"a.png": NOISE}, "gz")[:20_000], "damaged"),
    "gz damaged": (flipped(tarred({"a.png": NOISE}, "gz"), 15_000), "damaged"),
    "gz checksum": (flipped(tarred({"a.png": NOISE}, "gz"), -6), "damaged"),
    "bz2 damaged": (flipped(tarred({"a.png": NOISE}, "bz2"), 15_000), "damaged"),
    "xz cut": (tarred({"a.png": NOISE}, "xz")[:20_000], "damaged"),
    "page": (b"<html>Log in</html>" * 99, "not a zip or tar archive"),
    "nothing": (b"", "not a zip or tar archive"),
    "empty zip": (zipped({}), "no files"),
    "only hidden": (zipped({".a.png": b"x"}), "no files"),
    "without a name": (zip_without_a_name(), "an entry without a name"),
    "tar file named .": (tarred({".": b"x"}), "damaged"),
    "deep": (zipped({"a/" * 1500 + "x.png": b"x"}), "lies in more than 64 folders"),
    "deep folder": (tarred({"a/" * 1500: b""}), "lies in more than 64 folders"),
    "long": (zipped({"ä" * 128 + ".png": b"x"}), "has too long a name"),
    "long path": (tarred({f"{'a' * 250}/" * 5 + "x.png": b"x"}), "has too long a name"),
    "twice": (zip_of_many(["a.png", "a.png"]), "File exists"),
    "twice in effect": (tarred({"a//b.png": b"x", "a/./b.png": b"x"}), "File exists"),
    "sparse": (sparse_tar(), "a sparse file, which is never unpacked"),
    "chained headers": (chained_headers(), "damaged"),
    "gz of no tar": (b"\x1f\x8b nonsense", "damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_archive_is_a_one_line_error_and_leaves_no_files(server, name):
    server.files["/set"], match = HOSTILE[name]
    message = refused(server, match)
    assert message.startswith(f"{server.url}/set: ")
    assert message.endswith("; set is unchanged.")


def test_a_bad_archive_is_downloaded_again(server):
    server.files["/set"] = zip_without_a_name()
    refused(server, "without a name")
    server.files["/set"] = zipped(FILES)
    pokesim.fetch_dataset(f"{server.url}/set", "set")
    assert contents("set") == FILES


def test_an_archive_of_too_many_entries_is_refused(server, monkeypatch):
    monkeypatch.setattr(archives, "_MAX_ENTRIES", 100)
    server.files["/set"] = zipped({f"{number}.png": b"x" for number in range(101)})
    refused(server, "more than 100 entries")
    server.files["/set"] = zipped({f"{number}.png": b"x" for number in range(100)})
    assert pokesim.fetch_dataset(f"{server.url}/set", "set").files == 100


def test_a_long_list_of_entries_is_not_read_into_memory(server, monkeypatch):
    monkeypatch.setattr(archives, "_DIRECTORY_LIMIT", 100_000)
    server.files["/set"] = zipped({f"{number}.png": b"x" for number in range(2000)})
    refused(server, "headers are too long")


def test_names_that_only_differ_in_case_or_control_a_terminal_are_kept(run, server):
    names = {"a.png": b"1", "A.png": b"2", "\x1b[31m\n.csv": b"3"}
    server.files["/set"] = tarred(names)
    done = run("fetch-dataset", f"{server.url}/set", "set")
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    assert contents("set") == names


@pytest.mark.parametrize("url", ["http://h:99999/x", "http://[bad/x", "http:///x", "http://h:²/x"])
def test_a_url_with_a_bad_host_or_port_is_a_usage_error(url):
    with pytest.raises(UsageError, match="is not a valid URL"):
        pokesim.fetch_dataset(url)


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.lists(st.sampled_from(["..", ".", "", "a", "b.png", "C:", "\\", "…", ".h"]), min_size=1)
        .map("/".join)
        .filter(bool),
        min_size=1,
    ),
    st.sampled_from([zipped, tarred]),
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_no_file_is_ever_written_outside_the_folder(server, tmp_path, names, pack):
    parent = tmp_path / "parent"
    server.files["/set"] = pack(dict.fromkeys(names, b"x"))
    try:
        pokesim.fetch_dataset(f"{server.url}/set", parent / "set")
        assert contents(parent / "set")
        assert names_in(parent) == ["set"]
    except DatasetError:
        assert not parent.exists() or not names_in(parent)
    finally:
        assert names_in(tmp_path) in ([], ["parent"])
        shutil.rmtree(parent, ignore_errors=True)


def lying_zip():
    """A zip archive of a megabyte that declares a size of 10 bytes."""
    data = zipped({"a.png": bytes(1_000_000)})
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + (10).to_bytes(4, "little") + data[at + 4 :]


def long_header():
    """A small gzip file whose first tar header of 100 MB would be read in one piece."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a.png")
        info.pax_headers = {"comment": "x" * 100_000_000}
        archive.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("archive", "match"),
    [
        (
            zipped({"a.png": bytes(50_000_000)}),
            r"its files are larger than the limit \(0.001 GB\); raise it with --max-gb",
        ),
        (tarred({"a.png": bytes(50_000_000)}, "gz"), "its files are larger than the limit"),
        (
            tarred({f"{at}.png": b"" for at in range(300)}, "xz"),
            "its files are larger than the limit",
        ),
        (tarred({f"{at}/": b"" for at in range(300)}, "xz"), "its files are larger than the limit"),
        (tarred({".a": bytes(2_000_000)}, "bz2"), "its files are larger than the limit"),
        (random.Random(4).randbytes(2_000_000), "its archive is larger than the limit"),
        (lying_zip(), "damaged"),
        (long_header(), "its headers are too long"),
    ],
    ids=["zip", "gz", "many", "folders", "hidden", "archive", "lie", "header"],
)
def test_an_archive_bomb_is_stopped_by_its_unpacked_size(server, archive, match):
    server.files["/set"] = archive
    with pytest.raises(DatasetError, match=match):
        pokesim.fetch_dataset(f"{server.url}/set", "set", max_bytes=1_000_000)
    assert not Path("set").exists()
    assert not list(Path.cwd().rglob("*.png"))


def test_an_archive_that_was_too_large_is_not_downloaded_again(run, server):
    server.files["/set"] = zipped({"a.png": bytes(2_000_000)})
    done = run("fetch-dataset", f"{server.url}/set", "set", "--max-gb", "0.001")
    assert (done.returncode, done.stdout) == (1, "")
    assert "raise it with --max-gb.\n" in done.stderr
    assert run("fetch-dataset", f"{server.url}/set", "set", "--max-gb", "0.1").returncode == 0
    assert len(server.requests) == 1
    assert names_in() == ["set"]


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
