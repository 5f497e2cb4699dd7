"""Files that --save, --html and map write: checked before the work, replaced in one step."""

import os
import resource
import threading

import pytest
from PIL import Image

COMMANDS = {
    "query": ["query", "x.png", "-i", "nowhere", "--save"],
    "query --html": ["query", "x.png", "-i", "nowhere", "--html"],
    "map": ["map", "-i", "nowhere", "--save"],
    "duplicates": ["duplicates", "-i", "nowhere", "--save"],
    "evaluate": ["evaluate", "photos", "-i", "nowhere", "--save"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_file_that_cannot_be_written_is_reported_before_the_work(run, tmp_path, command):
    ending = "html" if "--html" in command else "png"
    done = run(*command, f"missing/x.{ending}")
    assert (done.returncode, done.stdout) == (1, "")
    folder = tmp_path / "missing"
    assert done.stderr == (
        f"pokesim: missing/x.{ending} cannot be written (there is no folder {folder}).\n"
    )
    (tmp_path / f"y.{ending}").mkdir()
    assert "(it is a folder)" in run(*command, f"y.{ending}").stderr


def test_a_full_disk_leaves_the_old_files(run, index_path, samples, tmp_path):
    """A limit on the size of a file stands in for a full disk."""
    photo = next(samples.photos.iterdir())
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    commands = {
        "x.png": ["query", photo, "-i", index_path, "--save"],
        "x.html": ["query", photo, "-i", index_path, "--html"],
        "y.html": ["map", "--method", "pca", "-i", index_path, "--save"],
    }
    for name, command in commands.items():
        (tmp_path / name).write_text("old")
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, allowed[1]))
        try:
            done = run(*command, name)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
        assert done.returncode == 1
        assert done.stderr == f"pokesim: {name} cannot be written (File too large).\n"
        assert (tmp_path / name).read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(commands)


def test_a_link_is_followed_and_a_pipe_written_directly(run, index_path, samples, tmp_path):
    photo = next(samples.photos.iterdir())
    (tmp_path / "link.png").symlink_to("target.png")
    assert run("query", photo, "-i", index_path, "--save", "link.png").returncode == 0
    assert (tmp_path / "link.png").is_symlink()
    Image.open(tmp_path / "target.png").verify()
    os.mkfifo(tmp_path / "pipe.html")
    page = []
    reader = threading.Thread(target=lambda: page.append((tmp_path / "pipe.html").read_text()))
    reader.start()
    assert run("query", photo, "-i", index_path, "--html", "pipe.html").returncode == 0
    reader.join()
    assert page[0].endswith("</html>\n")
    assert (tmp_path / "pipe.html").is_fifo()
