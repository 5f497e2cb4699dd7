"""What `pokesim query` does with its matches: copies, links, a viewer; folders of photos."""

import os
import resource
import shutil
from pathlib import Path

import pytest

import pokesim
from pokesim.samples import PHOTOGRAPHED


@pytest.fixture
def own_index(samples, tmp_path):
    """An index of four pictures that a test may change."""
    (tmp_path / "images").mkdir()
    for name in PHOTOGRAPHED[:4]:
        shutil.copy(samples.images / f"{name}.webp", tmp_path / "images")
    pokesim.build_index(tmp_path / "images", tmp_path / "index", embedder="compact")
    return tmp_path / "index"


def matched(name: str, path: Path, rank: int = 1) -> pokesim.Match:
    return pokesim.Match(rank, name, path, 0.5, 80.0, rank, resembles=True)


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_matches_are_copied_by_rank_and_no_file_is_overwritten(run, own_index, tmp_path):
    photo, gone = tmp_path / "images" / f"{PHOTOGRAPHED[0]}.webp", PHOTOGRAPHED[1]
    (tmp_path / "images" / f"{gone}.webp").unlink()
    query = ("query", photo, "-i", own_index, "--format", "paths", "--copy-to", "new/found")
    done = run(*query, "-k", "4")
    paths = [Path(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert f"{gone}.webp was not copied: No such file or directory.\n" in done.stderr
    assert done.stderr.endswith("Copied 3 pictures to new/found.\n")
    expected = [
        (f"{rank:02} {path.name}", path.read_bytes())
        for rank, path in enumerate(paths, 1)
        if path.stem != gone
    ]
    found = sorted((tmp_path / "new/found").iterdir())
    assert [(path.name, path.read_bytes()) for path in found] == expected
    found[0].write_text("mine")
    again = run(*query, "-k", "1")
    assert (again.returncode, found[0].read_text()) == (1, "mine")
    assert again.stderr == (
        f"pokesim: {paths[0]} was not copied: new/found/{found[0].name} exists already.\n"
        "Copied 0 pictures to new/found.\n"
    )


def test_several_photos_have_a_folder_each_and_links_lead_to_the_pictures(
    run, index_path, samples, tmp_path
):
    photos = [samples.photos / f"{name}.jpg" for name in PHOTOGRAPHED[:2]]
    options = ("-k", "2", "-i", index_path, "--link-to", "links", "--format", "paths")
    done = run("query", photos[0], "missing.jpg", photos[1], *options)
    paths = [Path(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert done.stderr.endswith("Linked 4 pictures to links.\n")
    places = [f"01 {photos[0].stem}"] * 2 + [f"03 {photos[1].stem}"] * 2
    links = [
        tmp_path / "links" / place / f"{rank:02} {path.name}"
        for place, rank, path in zip(places, (1, 2, 1, 2), paths, strict=True)
    ]
    assert [link.readlink() for link in links] == paths
    assert len(tree(tmp_path / "links")) == 6


def test_a_full_disk_leaves_no_half_file(run, own_index, tmp_path):
    photo = tmp_path / "images" / f"{PHOTOGRAPHED[0]}.webp"
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, allowed[1]))
    try:
        done = run("query", photo, "-i", own_index, "--copy-to", "found")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert done.returncode == 1
    assert done.stderr.endswith("(File too large).\n")
    assert tree(tmp_path / "found") == []


def test_new_names_are_valid_on_every_system(samples, tmp_path):
    picture = shutil.copy(samples.images / "brumbel.webp", tmp_path / "a.webp")
    odd = [
        'a/b\\c:d*e?f"g<h>i|j',
        "..",
        "x" * 300,
        "é" * 300,
        "\x1b[2J\u202egnp",
        "\udcff",
        "dot. ",
    ]
    matches = pokesim.Matches(
        matched(name, Path(picture), rank) for rank, name in enumerate(odd, 99)
    )
    copies = matches.copy_to(tmp_path / "found")
    assert copies.skipped == []
    names = [path.name for path in copies.files]
    assert names[:2] == ["099 a-b-c-d-e-f-g-h-i-j.webp", "100 .webp"]
    assert names[4:] == ["103 -[2J-gnp.webp", "104 -.webp", "105 dot.webp"]
    assert [len(name.encode()) for name in names[2:4]] == [200, 199]
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == sorted(names)
    odd_ending = shutil.copy(picture, tmp_path / "b.w:p ")
    (named,) = pokesim.Matches([matched("b", Path(odd_ending))]).link_to(tmp_path / "more").files
    assert named.name == "01 b.w-p"
    with pytest.raises(pokesim.PokesimError, match="cannot be written"):
        matches.copy_to(picture)


def test_options_that_cannot_be_followed_are_reported_before_the_work(run, tmp_path):
    (tmp_path / "file").touch()
    query = ("query", "a.jpg", "-i", "nowhere")
    assert run(*query, "--copy-to", "file").stderr == (
        "pokesim: file is not a folder; name one, or a new name.\n"
    )
    both = run(*query, "--copy-to", "a", "--link-to", "b")
    assert (both.returncode, "--copy-to or --link-to, not both" in both.stderr) == (2, True)
    several = run(*query, "b.jpg", "--open")
    assert (several.returncode, "needs --save or --html" in several.stderr) == (2, True)


def test_open_shows_what_was_saved_or_the_best_match(run, index_path, samples, tmp_path):
    viewer = tmp_path / "bin" / "xdg-open"
    viewer.parent.mkdir()
    path = f"{viewer.parent}:{os.environ['PATH']}"

    def shown_by(script: str, *options: str, path: str = path):
        viewer.write_text(f"#!/bin/sh\n{script}\n")
        viewer.chmod(0o755)
        photo = samples.photos / "brumbel.jpg"
        query = ("query", photo, "-i", index_path, "-k", "1", "--format", "paths", "--open")
        return run(*query, *options, PATH=path)

    record = f'printf %s "$1" > {tmp_path}/shown'
    done = shown_by(record)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "shown").read_text() == done.stdout.rstrip("\n")
    assert shown_by(record, "--save", "-x.png").returncode == 0
    assert (tmp_path / "shown").read_text() == str(tmp_path / "-x.png")
    failed = shown_by("exit 3")
    assert (failed.returncode, failed.stdout) == (1, done.stdout)
    assert "(xdg-open failed); open it yourself.\n" in failed.stderr
    none = shown_by(record, path=str(tmp_path / "nothing"))
    assert none.returncode == 1
    assert none.stderr.startswith("pokesim: There is no viewer here (xdg-open is missing); open ")


def test_open_does_not_run_a_match(run, samples, tmp_path):
    (tmp_path / "images").mkdir()
    shutil.copy(samples.images / "brumbel.webp", tmp_path / "images" / "run-me.desktop")
    pokesim.build_index(tmp_path / "images", tmp_path / "index", embedder="compact")
    done = run("query", samples.photos / "brumbel.jpg", "-i", "index", "--open")
    assert done.returncode == 1
    assert done.stderr.endswith("as its name does not end like a picture's.\n")


def test_a_folder_is_searched_with_only_on_request(run, index_path, samples, tmp_path):
    (tmp_path / "mine" / "more").mkdir(parents=True)
    shutil.copy(samples.photos / "brumbel.jpg", tmp_path / "mine" / "more" / "a.jpg")
    shutil.copy(samples.photos / "anguro.jpg", tmp_path / "mine" / "b.jpg")
    (tmp_path / "mine" / "list.txt").write_text("milk")
    options = ("-i", index_path, "-k", "1", "--format", "paths")
    refused = run("query", "mine", *options)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "pokesim: mine: a folder, not a picture; --folder-as-query searches with each picture in "
        "it.\n"
    )
    done = run("query", "mine", "--folder-as-query", *options, "--copy-to", "found")
    assert done.returncode == 0
    assert [Path(line).stem for line in done.stdout.splitlines()] == ["anguro", "brumbel"]
    assert done.stderr == (
        "skipped mine/list.txt: not an image pokesim can read\nCopied 2 pictures to found.\n"
    )
    files = ["01 b", "01 b/01 anguro.webp", "02 a", "02 a/01 brumbel.webp"]
    assert tree(tmp_path / "found") == files
    (tmp_path / "empty").mkdir()
    empty = run("query", "empty", "--folder-as-query", *options)
    assert empty.stderr == "pokesim: The folder empty has no pictures.\n"


def test_copies_inside_the_picture_folder_are_noted(run, own_index, samples):
    photo = samples.photos / f"{PHOTOGRAPHED[0]}.jpg"
    done = run("query", photo, "-i", own_index, "-k", "1", "--link-to", "images/found")
    assert done.returncode == 0
    assert "images/found is inside the picture folder" in done.stderr
