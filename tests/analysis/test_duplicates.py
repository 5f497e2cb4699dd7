"""Find and show the pictures of an index that are the same picture."""

import itertools
import json
import os
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from support.paths import SHARED

import pokesim
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.folder.writer import SnapshotWriter, new_snapshot
from pokesim.index.item import Item
from pokesim.index.manifest import EmbedderRecord, Manifest

COPIES = SHARED / "data/retrieval/imagededup/images"


def pairs_of(groups):
    return {
        frozenset(pair)
        for group in groups
        for pair in itertools.combinations([one.path.name for one in group], 2)
    }


@pytest.fixture(scope="module")
def varied(samples, tmp_path_factory):
    """An index of thirty creatures, each also resized, recompressed and cropped."""
    folder = tmp_path_factory.mktemp("varied")
    (folder / "images").mkdir()
    for path in sorted(samples.images.iterdir())[::5]:
        shutil.copy(path, folder / "images")
        with Image.open(path) as opened:
            picture = Image.new("RGB", opened.size, "white")
            picture.paste(opened, mask=opened.convert("RGBA").split()[3])
        width, height = picture.size
        below = folder / "images" / path.stem
        picture.resize((width // 3, height // 3)).save(f"{below}-small.png")
        picture.save(f"{below}-again.jpg", quality=35)
        x, y = width // 14, height // 14
        picture.crop((x, y, width - x, height - y)).save(f"{below}-crop.webp")
    pokesim.build_index(folder / "images", folder / "index", embedder="compact")
    return folder


@pytest.mark.parametrize("keep", ["largest", "shortest-path"])
def test_resized_recompressed_and_cropped_copies_are_found_and_no_others(varied, keep):
    found = pairs_of(pokesim.find_duplicates(varied / "index", keep=keep))
    names = [path.name for path in (varied / "images").iterdir()]
    true = {
        frozenset(pair)
        for pair in itertools.combinations(names, 2)
        if pair[0].split(".")[0].split("-")[0] == pair[1].split(".")[0].split("-")[0]
    }
    assert found <= true
    assert len(found) / len(true) >= 0.98


@pytest.mark.skipif(not COPIES.exists(), reason="the shared data is missing")
def test_a_flipped_a_resized_a_grey_and_a_turned_photo_are_found_among_others(general, tmp_path):
    pokesim.build_index(COPIES, tmp_path / "index")
    (group,) = pokesim.find_duplicates(tmp_path / "index")
    assert {one.path.stem: one.kind for one in group} == {
        "ukbench00120": "",
        "ukbench00120_hflip": "mirrored",
        "ukbench00120_resize": "copy",
        "ukbench00120_gray": "copy",
        "ukbench00120_rotation": "turned",
    }


def drawing(seed, *, symmetric=False):
    """Draw discs in shades of red; half of a symmetric drawing is the mirror image of the other."""
    numbers = np.random.default_rng(seed)
    picture = Image.new("RGB", (320, 240), "white")
    pen = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y, r = numbers.integers(0, 320), numbers.integers(0, 240), numbers.integers(8, 60)
        colour = (int(numbers.integers(90, 256)), *numbers.integers(0, 90, 2).tolist())
        pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    if symmetric:
        left = picture.crop((0, 0, 160, 240))
        picture.paste(left.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (160, 0))
    return picture


def test_mirrored_turned_grey_and_symmetric_copies_are_found_and_recoloured_ones_are_not(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    picture, even = drawing(1), drawing(2, symmetric=True)
    for name, copy in {
        "a": picture,
        "mirrored": picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "quarter": picture.transpose(Image.Transpose.ROTATE_90),
        "angle": picture.rotate(25, Image.Resampling.BICUBIC),
        "half": picture.transpose(Image.Transpose.ROTATE_180).convert("L"),
        "grey": picture.convert("L"),
        "recoloured": Image.merge("RGB", picture.split()[::-1]),
        "other": drawing(3),
        "white": Image.new("RGB", (320, 240), "white"),
        "red": Image.new("RGB", (320, 240), "red"),
        "even": even,
    }.items():
        copy.save(images / f"{name}.png")
    even.resize((120, 90)).save(images / "even-copy.jpg", quality=40)
    shutil.copy(images / "white.png", images / "white-again.png")
    pokesim.build_index(images, tmp_path / "index", embedder="compact")
    (images / "white.png").write_bytes(b"no longer a picture")
    found = pokesim.find_duplicates(tmp_path / "index", keep="shortest-path")
    assert [{one.path.stem: one.kind for one in group} for group in found] == [
        {"a": "", "mirrored": "mirrored", "grey": "copy"}
        | dict.fromkeys(("quarter", "half", "angle"), "turned"),
        {"even": "", "even-copy": "copy"},
        {"white": "", "white-again": "identical"},
    ]
    near = pokesim.find_duplicates(tmp_path / "index", threshold=99.9)
    assert sorted(one.label for group in near for one in group) == ["white", "white-again"]


def test_the_picture_to_keep_comes_first_and_all_are_copies_of_it(tmp_path):
    images = tmp_path / "images"
    (images / "b").mkdir(parents=True)
    picture = drawing(4)
    picture.save(images / "long.png")
    picture.crop((20, 15, 300, 225)).save(images / "cut.png")
    picture.save(images / "b" / "c.jpg")
    for name, seconds in (("long.png", 3000), ("cut.png", 2000), ("b/c.jpg", 1000)):
        os.utime(images / name, (seconds, seconds))
    pokesim.build_index(images, tmp_path / "index", embedder="compact")
    for keep, first in {
        "largest": max(images.rglob("*.*g"), key=lambda path: path.stat().st_size).name,
        "oldest": "c.jpg",
        "newest": "long.png",
        "first": "c.jpg",
        "shortest-path": "c.jpg",
    }.items():
        (group,) = pokesim.find_duplicates(tmp_path / "index", keep=keep)
        assert (group[0].path.name, group[0].kind, len(group)) == (first, "", 3)


def test_duplicates_as_table_json_and_sheet(run, varied, tmp_path):
    index = ["--index", varied / "index"]
    table = run("duplicates", *index, "--save", "sheet.png")
    assert table.returncode == 0
    assert table.stdout.splitlines()[0].split() == ["similarity", "is", "kB", "picture"]
    groups = json.loads(run("duplicates", *index, "--format", "json").stdout)
    note = f"{len(groups)} groups of {sum(map(len, groups))} pictures that are copies.\n"
    assert table.stderr.endswith(note)
    first = groups[0]
    assert first[0]["similarity"] == 100
    assert first[0]["bytes"] == max(one["bytes"] for one in first)
    assert Path(first[0]["path"]).name in table.stdout
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width * sheet.height > 150 * 150 * sum(map(len, groups))
    strict = run("duplicates", *index, "--threshold", "99.9", "--format", "json")
    assert len(json.loads(strict.stdout)) < len(groups)
    for wrong in (["--threshold", "0"], ["--save", "sheet.gif"]):
        assert run("duplicates", *index, *wrong).returncode == 2


def test_an_index_without_duplicates_has_no_group(run, index_path, tmp_path):
    done = run("duplicates", "--index", index_path, "--save", "none.png")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "0 groups of 0 pictures that are copies.\n"
    assert not (tmp_path / "none.png").exists()
    assert run("duplicates", "--index", index_path, "--format", "json").stdout == "[]\n"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), least=st.sampled_from([30.0, 80.0, 95.0, 99.99, 100.0]))
def test_groups_are_the_connected_components_of_all_similar_pairs(tmp_path_factory, seed, least):
    numbers = np.random.default_rng(seed)
    xb = numbers.integers(-2, 3, (60, 4)).astype(np.float32)
    xb[~xb.any(1)] = 1
    folder = tmp_path_factory.mktemp("groups")
    with (
        new_snapshot(IndexFolder(folder)) as draft,
        closing(SnapshotWriter(draft.path, 4)) as writer,
    ):
        writer.add(xb, [Item(i, f"{i:02}", str(i), i, 1, "") for i in range(60)])
        writer.finish()
        record = EmbedderRecord("compact", "", 1, 8, "", False)
        draft.commit(Manifest("/", record, 4, 60, ()))
    x = xb.astype(np.float64) / np.linalg.norm(xb.astype(np.float64), axis=1, keepdims=True)
    near = (x @ x.T >= least / 100 - 1e-9) | np.eye(60, dtype=bool)
    for _ in range(6):  # paths of up to 2**6 steps connect all 60
        near = near @ near
    expected = {frozenset(np.flatnonzero(row).tolist()) for row in near if row.sum() > 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pokesim.analysis.similar.BLOCK", 16)
        found = pokesim.find_duplicates(folder, threshold=least, similar=True)
    assert {frozenset(int(one.label) for one in group) for group in found} == expected
