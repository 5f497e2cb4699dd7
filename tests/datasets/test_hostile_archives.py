"""Archives from strangers: refused in one line, within bounds, and never outside the folder."""

import io
import random
import shutil
import stat
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.dataset_server import tarred, zipped
from support.fetching import FILES, contents, names_in, refused

import pokesim
from pokesim.datasets import archives
from pokesim.errors import DatasetError

pytestmark = pytest.mark.usefixtures("tidy")


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
