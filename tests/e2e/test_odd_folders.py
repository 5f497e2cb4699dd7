"""Folders with files that do not belong there: nothing crashes, hangs or gets lost."""

import contextlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.paths import SHARED
from support.pictures import STORED_BY_ORIENTATION, png_of_zeros

import pokesim
from pokesim.images import find_files
from pokesim.samples import CREATURES
from pokesim.threads import read_ahead


@pytest.fixture
def folder(samples, tmp_path):
    """Six good pictures with difficult names, and twelve bad files."""
    folder = tmp_path / "pictures"
    (folder / "folder.png").mkdir(parents=True)
    good = [samples.images / f"{name}.webp" for name in CREATURES[:6]]
    names = [b"two\nlines.png", b"not-\xff\xfe-utf8.png", "ימין-לשמאל\u202e.png".encode()]
    names += [b"x" * 251 + b".png", b"\x1b[31mred.png", b"folder.png/inside.png"]
    for picture, name in zip(good, names, strict=True):
        shutil.copy(os.fsencode(picture), os.fsencode(folder) + b"/" + name)
    (folder / "empty.png").touch()
    (folder / "bomb.png").write_bytes(png_of_zeros(30_000, 30_000))
    (folder / "cut.png").write_bytes(good[0].read_bytes()[:3000])
    (folder / "words.jpg").write_text("words")
    (folder / "lfs.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as bound, contextlib.chdir(folder):  # its path is short
        bound.bind("socket.png")
    (folder / "one.png").symlink_to("other.png")
    (folder / "other.png").symlink_to("one.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "loop.png").symlink_to(".", target_is_directory=True)
    return folder


BAD = ["bomb", "cut", "device", "empty", "gone", "lfs", "loop", "one", "other", "pipe"]
BAD += ["socket", "words"]


def test_bad_files_are_listed_with_a_reason_and_the_others_indexed(run, folder):
    done = run("build-index", folder, "--embedder", "compact")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Indexed 6 pictures, skipped 12,")
    skipped = [line for line in done.stderr.splitlines() if line.startswith("skipped ")]
    named = [line.removeprefix("skipped ").partition(": ") for line in skipped]
    assert [name.removesuffix(".png").removesuffix(".jpg") for name, *_ in named] == BAD
    reasons = {name.partition(".")[0]: reason for name, _, reason in named}
    assert "too many pixels (--max-pixels raises the limit)" in reasons["bomb"]
    assert reasons["empty"] == "empty file"
    assert "a pipe, a socket or a device" in reasons["pipe"]
    assert "Too many levels of symbolic links" in reasons["one"]
    assert run("check").returncode == 0
    assert "Nothing to do" in run("build-index", folder).stdout


def test_difficult_names_are_returned_unchanged(run, folder):
    run("build-index", folder, "--embedder", "compact")
    for path in find_files(folder):
        if path.endswith(("lines.png", "utf8.png", "\u202e.png", "xx.png", "red.png")):
            with pokesim.open_index(folder.parent / "indexes/default") as index:
                assert index.query(folder / path, k=1)[0].path == folder / path
    table = subprocess.run(
        [sys.executable, "-m", "pokesim", "query", os.fspath(folder / "\x1b[31mred.png")],
        cwd=folder.parent,
        capture_output=True,
        check=True,
    )
    assert b"\x1b" not in table.stdout  # a file name must not send escape sequences
    assert len(table.stdout.splitlines()) == 2 + 5


def test_an_unreadable_file_and_folder_are_listed(samples, tmp_path):
    folder = tmp_path / "pictures"
    (folder / "closed").mkdir(parents=True)
    shutil.copy(samples.images / f"{CREATURES[0]}.webp", folder)
    shutil.copy(samples.images / f"{CREATURES[1]}.webp", folder / "secret.webp")
    (folder / "secret.webp").chmod(0)
    (folder / "closed").chmod(0)
    command = [sys.executable, "-m", "pokesim", "build-index", folder, "--embedder", "compact"]
    if os.geteuid() == 0:  # root can read everything unless its capabilities are dropped
        if not shutil.which("setpriv"):
            pytest.skip("root reads everything here")
        powers = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}", *command]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "skipped secret.webp: no permission to read it" in done.stderr
    assert "skipped closed/: the folder cannot be opened (Permission denied)" in done.stderr


def test_strips_and_large_pictures_take_bounded_memory(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "wide.png").write_bytes(png_of_zeros(100_000, 1))
    (folder / "high.png").write_bytes(png_of_zeros(1, 100_000))
    (folder / "large.png").write_bytes(png_of_zeros(9_400, 9_500))
    Image.new("RGB", (9_000, 9_000)).save(folder / "large.jpg", quality=1)
    deep = np.zeros((9_000, 9_000), np.uint16)
    Image.fromarray(deep).save(folder / "deep.tif", compression="tiff_lzw")
    code = (
        "import pokesim, re, sys\n"
        "report = pokesim.build_index(sys.argv[1], sys.argv[2], embedder='compact')\n"
        # getrusage would count what the process that started this one used
        "print(report.indexed, re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder, tmp_path / "index"],
        capture_output=True,
        text=True,
        check=True,
    )
    indexed, peak = map(int, done.stdout.split())
    assert indexed == 5
    assert peak * 1024 < 1.5e9


def test_a_large_file_that_is_not_a_picture_is_not_read(samples, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.copy(samples.images / f"{CREATURES[0]}.webp", folder)
    with (folder / "film.mkv").open("wb") as file:
        file.truncate(1 << 40)  # a sparse file of a terabyte
    assert pokesim.build_index(folder, tmp_path / "index", embedder="compact").indexed == 1
    assert not pokesim.build_index(folder, tmp_path / "index").changed


def test_a_file_that_takes_too_long_is_skipped(run, samples, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "slow.ppm").write_bytes(b"P3 4000 4000 255\n" + b"7 " * 40_000_000)
    for name in CREATURES[:3]:
        shutil.copy(samples.images / f"{name}.webp", folder)
    done = run("build-index", folder, "--embedder", "compact", "--file-seconds", "1")
    assert "skipped slow.ppm: reading it took over 1 s (--file-seconds)" in done.stderr


def test_a_read_that_never_ends_does_not_block_the_others(tmp_path):
    pipes = [tmp_path / f"pipe{number}" for number in range(6)]
    for pipe in pipes:
        os.mkfifo(pipe)  # opening one blocks, as there is no writer

    def read(source: object) -> object:
        if isinstance(source, Path):
            source.open("rb").close()
        return source

    sources: list[object] = [1, *pipes[:3], 2, 3, *pipes[3:], 4]
    before = time.monotonic()
    results = read_ahead(read, sources, 4, seconds=0.2, late=lambda source: "late")
    assert list(results) == [1, *3 * ["late"], 2, 3, *3 * ["late"], 4]
    assert time.monotonic() - before < 10
    for pipe in pipes:  # unblock the threads
        os.close(os.open(pipe, os.O_WRONLY))
    assert threading.active_count() < 50


def test_the_eight_orientations_give_the_same_vector(samples, index_path):
    with pokesim.open_index(index_path) as index:
        for photo in sorted(samples.photos.iterdir())[:5]:
            upright = Image.open(photo).convert("RGB").resize((640, 480))
            turned = []
            for orientation in range(1, 9):
                exif = Image.Exif()
                exif[0x0112] = orientation
                file = io.BytesIO()
                way = STORED_BY_ORIENTATION.get(orientation)
                stored = upright if way is None else upright.transpose(way)
                stored.save(file, "JPEG", quality=95, exif=exif)
                turned.append(file.getvalue())
            rows = np.stack([vector for _, vector in index.embed_photos(turned)])
            cosines = rows @ rows[0] / np.linalg.norm(rows, axis=1) / np.linalg.norm(rows[0])
            assert cosines.min() >= 0.999


@pytest.mark.skipif(not (SHARED / "data/odd").exists(), reason="no odd files here")
def test_files_that_crashed_other_programs(run):
    done = run("build-index", SHARED / "data/odd", "--embedder", "compact", "--strict")
    assert done.returncode == 1  # some are damaged on purpose
    done = run("build-index", SHARED / "data/odd", "--embedder", "compact")
    assert done.returncode == 0, done.stderr
    indexed, skipped = map(int, re.findall(r"[0-9]+", done.stdout)[:2])
    assert indexed > 250
    assert skipped == done.stderr.count("skipped ")
