"""A terminal: `query --show` draws pictures as it understands, and rows are as wide as it is."""

import base64
import io
import os
import re
import shutil
import subprocess
import sys
import termios

import pytest
from PIL import Image
from rich.cells import cell_len

import pokesim

QUERY_SIXELS, QUERY_KITTY = rb"\x1b\[c", rb"\x1b_Gi=(\d+)[^\x1b]*a=q[^\x1b]*\x1b\\"


@pytest.fixture
def show(index_path, samples):
    """A function that queries with five matches, and returns what the terminal gets."""

    def run(answer=lambda asked: None, *, columns=80, index=index_path, options=("--show",)):
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (40, columns))
        photo = samples.photos / "brumbel.jpg"
        command = ["query", photo, "-k", "5", "--index", index, *options]
        process = subprocess.Popen(
            [sys.executable, "-m", "pokesim", *map(str, command)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"COLUMNS": str(columns), "LINES": "40"},
        )
        os.close(theirs)
        drawn, answered = b"", 0
        while chunk := _read(ours):
            drawn += chunk
            if reply := answer(drawn[answered:]):
                os.write(ours, reply)
                answered = len(drawn)
        os.close(ours)
        assert process.wait() == 0
        return drawn.decode()

    return run


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux: the other end is closed
        return b""


def test_half_blocks_for_all_matches_in_rows(show):
    lines = show().splitlines()
    assert sum("▀" in line for line in lines) == 2 * 12  # two rows of three pictures
    captions = [line for line in lines if re.search(r" \d+ %", line) and "▀" not in line]
    assert "your photo" in captions[-2]
    assert sum(len(re.findall(r"\w+ \d+ %", line)) for line in captions[-2:]) == 5
    narrow = show(columns=50).splitlines()
    assert sum("▀" in line for line in narrow) == 3 * 12  # three rows of two


def test_pictures_by_kittys_protocol(show):
    def answer(asked):
        if found := re.search(QUERY_KITTY, asked):
            return b"\x1b_Gi=%s;OK\x1b\\" % found[1]
        return None

    drawn = show(answer)
    assert "▀" not in drawn
    rows = re.findall(
        r"\x1b_Ga=T,f=100,q=2,c=(\d+),r=(\d+),m=1;(.*?m=0;.*?)\x1b\\", drawn, re.DOTALL
    )
    assert [(columns, lines) for columns, lines, _ in rows] == [("76", "12")] * 2
    for _, _, data in rows:
        png = re.sub(r"\x1b\\\x1b_Gm=[01];", "", data)
        with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
            assert picture.size == (76 * 12, 24 * 12)
            assert len(picture.getcolors(1 << 20)) > 1000


def test_pictures_as_sixels(show):
    drawn = show(lambda asked: b"\x1b[?62;4c" if re.search(QUERY_SIXELS, asked) else None)
    assert "▀" not in drawn
    pictures = re.findall(
        r"\x1bP[\d;]*q\"1;1;(\d+);(\d+)((?:#\d+;2;\d+;\d+;\d+)+)(.*?)\x1b\\", drawn
    )
    assert [(width, height) for width, height, _, _ in pictures] == [("760", "240")] * 2
    for _, _, colours, data in pictures:
        defined = set(re.findall(r"#(\d+);", colours))
        assert set(re.findall(r"#(\d+)", data)) <= defined
        assert len(defined) > 100


@pytest.mark.parametrize("note", ["a long note of many words " * 9, "很长的笔记" * 40])
def test_a_row_is_cut_to_the_width_of_a_terminal_only(show, run, samples, tmp_path, note):
    (tmp_path / "some").mkdir()
    shutil.copy(samples.images / "brumbel.webp", tmp_path / "some")
    (tmp_path / "notes.csv").write_text(f"Name,Note\nbrumbel,{note}\n", encoding="utf-8")
    index, table = tmp_path / "index", tmp_path / "notes.csv"
    pokesim.build_index(tmp_path / "some", index, embedder="compact", metadata=table)
    path = str(tmp_path / "some" / "brumbel.webp")
    width = len(path) + 70
    *_, row = show(columns=width, index=index, options=()).splitlines()
    assert row.endswith(f"…  {path}")
    assert note[:7] in row
    assert width - 2 <= cell_len(row) <= width
    assert note.strip() in run("query", samples.photos / "brumbel.jpg", "-i", index).stdout
