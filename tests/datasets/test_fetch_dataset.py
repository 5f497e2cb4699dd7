"""Data sets from a web server: whole or not at all, resumed, and safe from hostile archives."""

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
import zipfile
from pathlib import Path

import filelock
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.dataset_server import drawn, serving, tarred, zipped

import pokesim
from pokesim.errors import DatasetError, UsageError

FILES = {"a.png": b"one", "b/c.jpg": b"two" * 1000}


@pytest.fixture(scope="module")
def shelf():
    with serving() as one:
        yield one


@pytest.fixture(autouse=True)
def tidy(shelf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shelf.files = {"/set": zipped(FILES)}
    shelf.etag, shelf.ranges, shelf.cut, shelf.status = '"one"', True, 0, 0
    shelf.held.set()
    shelf.asked.clear()


def names_in(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


def contents(folder):
    """What stands below a folder, but for the record of what it is."""
    folder = Path(folder)
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {name: p.read_bytes() for name, p in found.items() if p.is_file() and name[0] != "."}


def refused(shelf, match, **options):
    """Fetch what must not be had, see that nothing is left of it, and return the sentence."""
    before = sorted(Path.cwd().parent.rglob("*"))
    with pytest.raises(DatasetError, match=match) as caught:
        pokesim.fetch_dataset(f"{shelf.url}/set", "set", **options)
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
def test_each_kind_of_archive_is_told_by_its_bytes(shelf, pack):
    shelf.files["/set"] = pack(FILES)
    told = []
    found = pokesim.fetch_dataset(f"{shelf.url}/set", "set", progress=lambda *at: told.append(at))
    assert contents("set") == FILES
    assert (found.is_new, found.files, found.bytes) == (True, 2, 3003)
    size = len(shelf.files["/set"])
    assert (told[0], told[-1]) == ((0, size), (size, size))
    assert names_in() == ["set"]


def test_a_newcomer_fetches_and_builds_by_the_command_that_is_printed(run, shelf, tmp_path):
    table = "Name,Type1\n" + "".join(f"{name},grass\n" for name in drawn())
    files = {f"images/images/{name}.png": data for name, data in drawn().items()}
    shelf.files["/set"] = zipped(files | {"pokemon.csv": table.encode()})
    done = run("fetch-dataset", f"{shelf.url}/set", "my set")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Fetched 4 files (")
    told = done.stderr.splitlines()[-1]
    assert told == "Next: pokesim build-index 'my set' --metadata 'my set/pokemon.csv'"
    assert contents("my set") == {
        "pokemon.csv": table.encode(),
        **{name.removeprefix("images/"): data for name, data in files.items()},
    }
    built = run(*shlex.split(told)[2:], "--embedder", "compact", "--strict")
    assert built.stdout.startswith("Indexed 3 pictures, skipped 0"), built.stderr
    asked = run(
        "query", next(tmp_path.rglob("*.png")), "--where", "Type1=grass", "--format", "paths"
    )
    assert len(asked.stdout.splitlines()) == 3
    asked = len(shelf.asked)
    again = run("fetch-dataset", f"{shelf.url}/set", "my set")
    assert again.stdout == f"Nothing to do: my set holds {shelf.url}/set already.\n"
    assert again.stderr.splitlines() == [told]
    assert len(shelf.asked) == asked


def test_wrapping_folders_are_left_out_and_no_other(shelf):
    wrapped = {f"set-1.0/data/{name}": data for name, data in FILES.items()}
    clutter = {"__MACOSX/._x": b"", ".git/config": b"x", "set-1.0/.DS_Store": b"", "empty/": b""}
    shelf.files["/set"] = zipped(clutter | wrapped)
    found = pokesim.fetch_dataset(f"{shelf.url}/set", "set")
    assert found.files == 2
    assert contents("set") == FILES
    kept = {"train/cat/1.png": b"1", "test/cat/2.png": b"2", "t.csv": b"", "u.TSV": b""}
    shelf.files["/other"] = tarred(kept)
    found = pokesim.fetch_dataset(f"{shelf.url}/other", "deep/down/other")
    assert contents("deep/down/other") == kept
    assert [table.name for table in found.tables] == ["t.csv", "u.TSV"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on_where_the_server_can(shelf, ranges):
    big = zipped({"noise.png": random.Random(1).randbytes(2_000_000)})
    shelf.files["/set"], shelf.cut, shelf.ranges = big, 1_200_000, ranges
    for _ in range(2):  # the second brings what is left up to the cut, if the server has ranges
        with pytest.raises(DatasetError, match=r"broke after .* bytes; when it can"):
            pokesim.fetch_dataset(f"{shelf.url}/set", "set")
        assert not Path("set").exists()
        shelf.cut = 300_000
    shelf.cut = 0
    told = []
    pokesim.fetch_dataset(f"{shelf.url}/set", "set", progress=lambda *at: told.append(at))
    assert contents("set")["noise.png"] == random.Random(1).randbytes(2_000_000)
    assert names_in() == ["set"]
    asked = [wanted for _, wanted in shelf.asked]
    if ranges:
        assert asked == [None, "bytes=1200000-", "bytes=1500000-"]
        assert told[0] == (1_500_000, len(big))
    else:
        assert told[0] == (0, len(big))


def test_a_file_that_has_changed_meanwhile_is_begun_anew(shelf):
    shelf.files["/set"], shelf.cut = zipped({"a.png": bytes(range(256)) * 9}), 200
    with pytest.raises(DatasetError):
        pokesim.fetch_dataset(f"{shelf.url}/set", "set")
    shelf.files["/set"], shelf.cut, shelf.etag = zipped({"b.png": b"new"}), 0, '"two"'
    pokesim.fetch_dataset(f"{shelf.url}/set", "set")
    assert contents("set") == {"b.png": b"new"}


def test_a_file_that_became_shorter_than_what_has_come_is_begun_anew(shelf):
    shelf.files["/set"], shelf.cut = zipped({"a.png": random.Random(2).randbytes(9999)}), 9000
    with pytest.raises(DatasetError):
        pokesim.fetch_dataset(f"{shelf.url}/set", "set")
    shelf.files["/set"], shelf.cut = zipped(FILES), 0  # under the same ETag
    pokesim.fetch_dataset(f"{shelf.url}/set", "set")
    assert contents("set") == FILES


def test_without_a_word_for_its_state_a_download_is_begun_anew(shelf):
    shelf.etag, shelf.cut = "", 100
    for _ in range(2):
        with pytest.raises(DatasetError):
            pokesim.fetch_dataset(f"{shelf.url}/set", "set")
    assert [wanted for _, wanted in shelf.asked] == [None, None]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_fetch_leaves_no_folder_and_goes_on(run, shelf, how):
    shelf.files["/set"] = zipped({"noise.png": random.Random(1).randbytes(3_000_000)})
    shelf.cut = 2_000_000
    shelf.held.clear()
    command = [sys.executable, "-m", "pokesim", "fetch-dataset", f"{shelf.url}/set", "set"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not any(path.stat().st_size for path in Path(".set.part").glob("*.part")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(how)
        told = process.communicate()[1]
    assert not Path("set").exists()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert told == "pokesim: Interrupted. Run the same command again to resume.\n"
    shelf.held.set()
    shelf.cut = 0
    assert run("fetch-dataset", f"{shelf.url}/set", "set").returncode == 0
    assert shelf.asked[-1][1]
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


def locked():
    """A zip whose entries say that they are encrypted."""
    data = bytearray(zipped({"a.png": b"secret"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


NOISE = random.Random(3).randbytes(30_000)
TAR = tarred({"a.png": NOISE, "b.png": NOISE})
HOSTILE = {
    "above": (zipped({"../evil.png": b"x"}), "../evil.png in it would be written outside"),
    "inside, above": (zipped({"a/../../evil": b"x"}), "outside"),
    "absolute": (zipped({"/tmp/evil.png": b"x"}), "outside"),
    "drive": (zipped({"C:/evil.png": b"x"}), "outside"),
    "backslash": (zipped({"..\\evil.png": b"x"}), "outside"),
    "tar above": (tarred({"../evil.png": b"x"}), "outside"),
    "tar absolute": (tarred({"/tmp/evil.png": b"x"}, "gz"), "outside"),
    "late": (tarred(FILES | {"../evil.png": b"x"}), "outside"),
    "zip link": (zipped_link(), "away in it is a link"),
    "tar link": (tarred(FILES, "", link("x.png", "/etc/passwd")), "x.png in it is a link"),
    "hard link": (tarred(FILES, "", link("x.png", "a.png", tarfile.LNKTYPE)), "is a link"),
    "device": (tarred(FILES, "", link("x.png", "", tarfile.CHRTYPE)), "device"),
    "pipe": (tarred(FILES, "", link("x.png", "", tarfile.FIFOTYPE)), "device"),
    "encrypted": (locked(), "encrypted"),
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
    "page": (b"<html>Log in</html>" * 99, "no zip or tar archive"),
    "nothing": (b"", "no zip or tar archive"),
    "empty zip": (zipped({}), "no files"),
    "only hidden": (zipped({".a.png": b"x"}), "no files"),
    "gz of no tar": (b"\x1f\x8b nonsense", "damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_archive_is_one_sentence_and_leaves_nothing(shelf, name):
    shelf.files["/set"], match = HOSTILE[name]
    told = refused(shelf, match)
    assert told.startswith(f"{shelf.url}/set: ")
    assert told.endswith("; set is as it was.")


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
def test_nothing_is_ever_written_elsewhere(shelf, tmp_path, names, pack):
    home = tmp_path / "home"
    shelf.files["/set"] = pack(dict.fromkeys(names, b"x"))
    try:
        pokesim.fetch_dataset(f"{shelf.url}/set", home / "set")
        assert contents(home / "set")
        assert names_in(home) == ["set"]
    except DatasetError:
        assert not home.exists() or not names_in(home)
    finally:
        assert names_in(tmp_path) in ([], ["home"])
        shutil.rmtree(home, ignore_errors=True)


def lying_zip():
    """A zip of a megabyte that says it is of 10 bytes."""
    data = zipped({"a.png": bytes(1_000_000)})
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + (10).to_bytes(4, "little") + data[at + 4 :]


def long_header():
    """A few bytes of gzip whose first header, of 100 MB, is to be read at once."""
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
            r"more than is allowed \(0.001 GB\); --max-gb",
        ),
        (tarred({"a.png": bytes(50_000_000)}, "gz"), "holds more than is allowed"),
        (tarred({f"{at}.png": b"" for at in range(300)}, "xz"), "holds more than is allowed"),
        (tarred({f"{at}/": b"" for at in range(300)}, "xz"), "holds more than is allowed"),
        (tarred({".a": bytes(2_000_000)}, "bz2"), "holds more than is allowed"),
        (random.Random(4).randbytes(2_000_000), "its archive is larger than is allowed"),
        (lying_zip(), "damaged"),
        (long_header(), "header of more than"),
    ],
    ids=["zip", "gz", "many", "folders", "hidden", "archive", "lie", "header"],
)
def test_a_bomb_is_stopped_by_the_bytes_that_come_out(shelf, archive, match):
    shelf.files["/set"] = archive
    with pytest.raises(DatasetError, match=match):
        pokesim.fetch_dataset(f"{shelf.url}/set", "set", max_bytes=1_000_000)
    assert not Path("set").exists()
    assert not list(Path.cwd().rglob("*.png"))


def test_what_was_too_large_is_not_downloaded_again(run, shelf):
    shelf.files["/set"] = zipped({"a.png": bytes(2_000_000)})
    done = run("fetch-dataset", f"{shelf.url}/set", "set", "--max-gb", "0.001")
    assert (done.returncode, done.stdout) == (1, "")
    assert "--max-gb allows more.\n" in done.stderr
    assert run("fetch-dataset", f"{shelf.url}/set", "set", "--max-gb", "0.1").returncode == 0
    assert len(shelf.asked) == 1
    assert names_in() == ["set"]


def test_a_folder_with_other_things_in_it_is_left_alone(shelf, tmp_path, monkeypatch):
    url = f"{shelf.url}/set"
    Path("set").mkdir()
    Path("set/mine.png").write_bytes(b"mine")
    assert "set has other things in it" in refused(shelf, "name a folder")
    assert contents("set") == {"mine.png": b"mine"}
    with pytest.raises(DatasetError, match="has other things in it"):
        pokesim.fetch_dataset(url, "set/mine.png")
    pokesim.fetch_dataset(url, "other")
    with pytest.raises(DatasetError, match=f"other holds {url}; name a folder"):
        pokesim.fetch_dataset(f"{url}?2", "other")
    Path("empty").mkdir()
    monkeypatch.chdir("empty")
    with pytest.raises(DatasetError, match="is the folder that you are in"):
        pokesim.fetch_dataset(url, ".")
    monkeypatch.chdir(tmp_path)
    pokesim.fetch_dataset(url, "empty")
    assert contents("empty") == FILES


def test_two_that_fetch_into_one_folder_do_not_meet(shelf):
    Path(".set.part").mkdir()
    with filelock.FileLock(".set.part/lock"), pytest.raises(DatasetError, match="Another process"):
        pokesim.fetch_dataset(f"{shelf.url}/set", "set")
    pokesim.fetch_dataset(f"{shelf.url}/set", "set")
    assert names_in() == ["set"]


def test_a_disk_that_takes_no_more_is_one_sentence(run, shelf):
    """A limit on the size of a file stands for a full disk, which it takes root to make."""
    shelf.files["/set"] = zipped({"a.png": bytes(2_000_000)})
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, allowed[1]))
    try:
        done = run("fetch-dataset", f"{shelf.url}/set", "set")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert done.returncode == 1
    assert done.stderr == "pokesim: set cannot be written (File too large); it is as it was.\n"
    assert not Path("set").exists()
    assert run("fetch-dataset", f"{shelf.url}/set", "set").returncode == 0
    assert len(shelf.asked) == 1


@pytest.mark.parametrize(
    ("status", "match"),
    [
        (401, "the server answered 401 .*; fetch it with a browser that is logged in"),
        (403, "403"),
        (404, "404 Not Found; look whether the address is right"),
        (500, "500"),
    ],
)
def test_what_a_server_refuses_is_one_sentence(shelf, status, match):
    shelf.status = status
    refused(shelf, match)


def test_offline_is_one_sentence(run):
    done = run("fetch-dataset", "http://127.0.0.1:1/set.zip")
    assert done.returncode == 1
    assert done.stderr.startswith("pokesim: http://127.0.0.1:1/set.zip: cannot be fetched (")
    assert not names_in()


@pytest.mark.parametrize("source", ["set.zip", "ftp://x/y", "kaggle:x", "kaggle:../..", "kaggle:"])
def test_a_source_is_kaggle_s_or_a_url(source):
    with pytest.raises(UsageError, match=r"kaggle:OWNER/NAME or an http\(s\) URL"):
        pokesim.fetch_dataset(source)
