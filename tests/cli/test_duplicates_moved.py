"""`pokesim duplicates` moves copies away, and back, without losing one."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pokesim


def paths_of(index):
    with pokesim.open_index(index) as opened:
        return sorted(item.path for item in opened.items)


def files_in(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


@pytest.fixture
def home(tmp_path):
    """A folder of two pictures, the first present four times, and its index."""
    (tmp_path / "images" / "b").mkdir(parents=True)
    numbers = np.random.default_rng(3)
    for name in ("one", "two"):
        patches = numbers.integers(0, 256, (6, 8, 3), np.uint8)
        picture = Image.fromarray(patches).resize((320, 240))
        picture.save(tmp_path / "images" / f"{name}.png")
    with Image.open(tmp_path / "images" / "one.png") as picture:
        picture.resize((160, 120)).save(tmp_path / "images" / "b" / "small one.png")
        picture.rotate(90, expand=True).save(tmp_path / "images" / "b" / "turned.jpg")
    shutil.copy(tmp_path / "images" / "one.png", tmp_path / "images" / "b" / "one.png")
    pokesim.build_index(tmp_path / "images", tmp_path / "index", embedder="compact")
    return tmp_path


KEPT = ["--keep", "shortest-path", "-i", "index"]


def test_extra_pictures_are_listed(run, home):
    done = run("duplicates", *KEPT, "--list-extra")
    found = [os.path.relpath(line, home) for line in done.stdout.splitlines()]
    assert sorted(found) == ["images/b/one.png", "images/b/small one.png", "images/b/turned.jpg"]


def test_extra_pictures_are_moved_only_with_yes_and_can_be_moved_back(run, home):
    files, paths = files_in(home / "images"), paths_of(home / "index")
    dry = run("duplicates", *KEPT, "--move-to", "extra")
    assert "3 pictures would go to extra; add --yes to move them." in dry.stderr
    assert (files_in(home / "images"), (home / "extra").exists()) == (files, False)
    done = run("duplicates", *KEPT, "--move-to", "extra", "--yes")
    assert done.returncode == 0, done.stderr
    assert files_in(home / "images") == ["one.png", "two.png"]
    moved = [path for path in files_in(home / "extra") if not path.startswith("undo")]
    assert moved == ["b/one.png", "b/small one.png", "b/turned.jpg"]
    assert paths_of(home / "index") == ["one.png", "two.png"]
    assert run("duplicates", *KEPT).stdout == ""
    (undo,) = (home / "extra").glob("undo-*.json")
    assert str(undo.name) in done.stderr
    back = run("duplicates", "--undo", undo)
    assert back.returncode == 0, back.stderr
    assert (files_in(home / "images"), paths_of(home / "index")) == (files, paths)
    assert not undo.exists()


def test_a_picture_that_changed_or_whose_kept_copy_changed_is_not_moved(run, home):
    small = home / "images" / "b" / "small one.png"
    small.write_bytes((home / "images" / "two.png").read_bytes())
    done = run("duplicates", *KEPT, "--move-to", "extra", "--yes")
    assert "has changed since it was indexed" in done.stderr
    assert "Moved 2 pictures" in done.stderr
    assert small.exists()
    assert (home / "images" / "two.png").exists()
    pokesim.build_index(home / "images", home / "index", embedder="compact")
    pokesim.add_pictures([home / "extra" / "b" / "one.png"], home / "index")
    with (home / "images" / "one.png").open("ab") as file:
        file.write(b"more")
    done = run("duplicates", *KEPT, "--move-to", "elsewhere", "--yes")
    assert "one.png, which would be kept, has changed since it was indexed" in done.stderr
    assert (home / "extra" / "b" / "one.png").exists()


def test_two_names_of_one_file_are_no_copies_to_move(run, home):
    shutil.rmtree(home / "images" / "b")
    (home / "images" / "1.png").symlink_to(home / "images" / "one.png")
    pokesim.build_index(home / "images", home / "index", embedder="compact")
    done = run("duplicates", *KEPT, "--move-to", "extra", "--yes")
    assert "it is the same file as" in done.stderr
    assert files_in(home / "images") == ["1.png", "one.png", "two.png"]


def test_the_trash_takes_extra_pictures(run, home):
    done = run(
        "duplicates", *KEPT, "--trash", "--yes", XDG_DATA_HOME=str(home / "data"), HOME=str(home)
    )
    assert done.returncode == 0, done.stderr
    assert files_in(home / "images") == ["one.png", "two.png"]
    assert paths_of(home / "index") == ["one.png", "two.png"]
    assert len(files_in(home / "data" / "Trash" / "files")) == 3


def test_a_review_says_what_goes_and_remembers_what_is_not_the_same(run, home):
    names = {name: str(home / "images" / name) for name in ("one.png", "b/one.png", "b/turned.jpg")}
    review = {
        "remove": [names["one.png"]],
        "different": [[names["one.png"], names["b/turned.jpg"]]],
    }
    (home / "review.json").write_text(json.dumps(review))
    arguments = ["duplicates", *KEPT, "--review", "review.json"]
    done = run(*arguments, "--move-to", "extra", "--yes")
    assert done.returncode == 0, done.stderr
    assert "index remembers 1 pair of pictures that are not the same." in done.stderr
    assert files_in(home / "images") == ["b/one.png", "b/small one.png", "b/turned.jpg", "two.png"]
    listed = run("duplicates", *KEPT, "--list-extra").stdout.splitlines()
    assert [Path(path).name for path in listed] == ["small one.png"]
    pokesim.build_index(home / "images", home / "index", embedder="compact", rebuild=True)
    assert run("duplicates", *KEPT, "--list-extra").stdout.splitlines() == listed
    done = run(*arguments)  # it is in no group any longer
    assert (done.returncode, "is in no group of duplicates" in done.stderr) == (1, True)
    everything = {"remove": [names["b/one.png"], *listed], "different": []}
    (home / "review.json").write_text(json.dumps(everything))
    done = run(*arguments)
    assert (done.returncode, "keeps nothing of the group" in done.stderr) == (1, True)


def test_what_cannot_be_done_is_said(run, home):
    (home / "bad.json").write_text(json.dumps({"index": 1}))
    for args, code, message in (
        (["--move-to", "images/extra"], 2, "is inside the picture folder"),
        (["--move-to", "x", "--trash"], 2, "Give --move-to or --trash, not both."),
        (["--list-extra", "--format", "json"], 2, "Give --list-extra or --format, not both."),
        (["--yes"], 2, "--yes needs --move-to FOLDER or --trash."),
        (["--similar", "--trash"], 2, "copies only"),
        (["--undo", "bad.json"], 1, "does not say what was moved"),
        (["--review", "bad.json"], 1, "is no review"),
        (["--undo", "none.json"], 1, "none.json cannot be read"),
        (["--move-to", "bad.json", "--yes"], 1, "bad.json cannot be written"),
    ):
        done = run("duplicates", *KEPT, *args)
        assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert len(files_in(home / "images")) == 5
