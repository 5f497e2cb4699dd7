"""Replacing a file: it is the old or the new one, with its permissions; links and devices."""

import os
import stat
import subprocess
import sys

import pytest

from pokesim.files import atomic_path, atomic_write, make_folder, publish_folder, remove


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_the_usual_permissions_and_an_old_one_keeps_its_own(tmp_path):
    (tmp_path / "usual").touch()
    atomic_write(tmp_path / "new", b"1")
    assert mode(tmp_path / "new") == mode(tmp_path / "usual")
    (tmp_path / "new").chmod(0o600)
    atomic_write(tmp_path / "new", b"2")
    assert (mode(tmp_path / "new"), (tmp_path / "new").read_bytes()) == (0o600, b"2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "usual"]


def test_a_file_that_cannot_be_written_completely_leaves_the_old_one(tmp_path):
    (tmp_path / "old.png").write_bytes(b"old")

    def write():
        with atomic_path(tmp_path / "old.png") as part:
            assert part.suffix == ".png"
            part.write_bytes(b"half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("follow", [False, True])
def test_a_link_is_replaced_unless_the_user_named_it(tmp_path, follow):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("below/target")
    with atomic_path(tmp_path / "link", follow_links=follow) as part:
        part.write_bytes(b"new")
    assert (tmp_path / "link").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink() == follow
    assert (tmp_path / "below" / "target").read_bytes() == (b"new" if follow else b"old")


@pytest.mark.parametrize("target", ["/dev/stdout", "/dev/full", "/dev"])
def test_a_device_that_the_user_named_is_written_in_place(target):
    code = (
        "import sys; from pathlib import Path; from pokesim.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1]), follow_links=True) as path: path.write_bytes(b'x')"
    )
    done = subprocess.run([sys.executable, "-c", code, target], capture_output=True, check=False)
    error = {"/dev/full": b"No space left", "/dev": b"Is a directory"}.get(target)
    assert (done.returncode == 0) == (error is None), done.stderr
    assert done.stdout == (b"" if error else b"x")
    assert (error or b"") in done.stderr


def test_a_name_as_long_as_a_file_system_allows_can_be_written(tmp_path):
    name = "n" * 251 + ".png"
    atomic_write(tmp_path / name, b"1")
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208


def test_folders_are_made_published_and_removed_without_following_links(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "file").write_bytes(b"1")
    publish_folder(tmp_path / "a" / "b", tmp_path / "c" / "d")
    assert (tmp_path / "c" / "d" / "file").read_bytes() == b"1"
    (tmp_path / "a" / "link").symlink_to(tmp_path / "c")
    for name in ("a/link", "a", "missing"):
        remove(tmp_path / name)
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "c" / "d" / "file").exists()
