"""Writing into an index folder from somebody else: nothing outside it is written or removed."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from support.indexes import index_of

import pokesim
from pokesim.build.journal import Journal
from pokesim.errors import IndexFolderError
from pokesim.index.folder.lock import SharedLock
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.folder.writer import new_snapshot
from pokesim.index.item import Item

ROWS = np.eye(4, dtype=np.float32)

JOURNAL = (".unfinished", 4, "[]", False)


def write(index):
    """Do all that a build does to an index folder, without an embedder."""
    index_of(index, ROWS).close()
    with new_snapshot(IndexFolder(index)):
        journal = Journal(index / JOURNAL[0], *JOURNAL[1:])
        journal.add(ROWS, [Item(0, f"{at}", "", 1, 1, "") for at in range(4)])
        journal.close()


@pytest.fixture
def canary(tmp_path):
    """A folder outside the index, with a file."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "vectors.f32").write_text("the user's")
    return folder


def unharmed(canary):
    assert [path.name for path in canary.iterdir()] == ["vectors.f32"]
    assert (canary / "vectors.f32").read_text() == "the user's"


TO_A_FILE = ["lock", "lock.holder", "CURRENT", ".building", ".unfinished", "snapshots"]
TO_A_FILE += [f".unfinished/{name}" for name in ("vectors.f32", "journal.sqlite")]
TO_A_FILE += [f".unfinished/journal.sqlite{end}" for end in ("-wal", "-journal", "-shm")]


@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "pipe", "folder link"])
@pytest.mark.parametrize("name", TO_A_FILE)
def test_nothing_is_written_through_an_entry_that_leads_elsewhere(tmp_path, canary, name, kind):
    index = tmp_path / "index"
    entry = index / name
    entry.parent.mkdir(parents=True)
    match kind:
        case "link":
            entry.symlink_to(canary / "vectors.f32")
        case "dangling link":
            entry.symlink_to(canary / "new")
        case "hard link":
            entry.hardlink_to(canary / "vectors.f32")
        case "pipe":
            os.mkfifo(entry)
        case "folder link":
            entry.symlink_to(canary)
    refused = ""
    try:
        write(index)
    except IndexFolderError as error:
        refused = str(error)
    unharmed(canary)
    if refused:
        assert name in ("lock", "snapshots")
        assert "cannot be written (" in refused
        assert "Unexpected" not in refused
    else:
        with pokesim.open_index(index) as opened:
            np.testing.assert_array_equal(opened.vectors(np.arange(4)), ROWS)


@pytest.mark.parametrize("name", ["snapshots", "labelled"])
def test_a_folder_of_the_index_that_is_a_link_is_refused_in_one_sentence(
    run, tmp_path, samples, index_path, canary, name
):
    index = shutil.copytree(index_path, tmp_path / "index")
    shutil.rmtree(index / name, ignore_errors=True)
    (index / name).symlink_to(canary)
    build = ("build-index", samples.images, "--embedder", "compact")
    for command in (build, ("tune", samples.photos)):
        done = run(*command, "--index", index)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        assert "Unexpected" not in done.stderr
    unharmed(canary)


def test_a_link_among_the_snapshots_does_no_harm(tmp_path, canary):
    index = tmp_path / "index"
    index_of(index, ROWS).close()
    (index / "snapshots" / "0").symlink_to(canary)
    index_of(index, ROWS).close()
    unharmed(canary)


def test_a_file_of_the_index_that_is_a_link_is_not_taken_over(tmp_path, canary):
    index = tmp_path / "index"
    (tmp_path / "link").symlink_to(canary / "vectors.f32")
    with new_snapshot(IndexFolder(index)) as draft, pytest.raises(OSError, match="a link"):
        draft.link(tmp_path / "link", "items.sqlite")
    unharmed(canary)


def test_a_journal_with_a_trigger_is_discarded(tmp_path):
    import sqlite3

    folder = tmp_path / "journal"
    journal = Journal(folder, *JOURNAL[1:])
    journal.add(ROWS, [Item(0, f"{at}", "", 1, 1, "") for at in range(4)])
    journal.close()
    for statement, kept in (
        ("SELECT 1", 4),
        ("UPDATE items SET path = '3' WHERE id = 1", 0),
        ("CREATE TRIGGER t AFTER DELETE ON items BEGIN DELETE FROM batches; END", 0),
    ):
        other = shutil.copytree(folder, tmp_path / str(len(statement)))
        db = sqlite3.connect(other / "journal.sqlite")
        with db:
            db.execute(statement)
        db.close()
        journal = Journal(other, *JOURNAL[1:])
        assert journal.count == kept
        journal.close()


def test_a_lock_file_with_content_is_not_truncated(tmp_path):
    index = tmp_path / "index"
    index.mkdir()
    (index / "lock").write_text("of another program")
    with pytest.raises(IndexFolderError, match="lock in it is not an empty file; remove it"):
        write(index)
    assert (index / "lock").read_text() == "of another program"


def test_a_pipe_in_place_of_a_manifest_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(OSError, match="not a regular file"):
        SharedLock(tmp_path / "manifest.json")


def test_who_holds_the_lock_is_said_only_by_a_file(tmp_path):
    index = tmp_path / "index"
    with new_snapshot(IndexFolder(index)):
        (index / "lock.holder").unlink()
        os.mkfifo(index / "lock.holder")
        code = (
            "import sys; from pathlib import Path\n"
            "from pokesim.index.folder.lock import write_lock\n"
            "with write_lock(Path(sys.argv[1])): pass"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, index],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert f"Another build is writing {index}; wait" in done.stderr
