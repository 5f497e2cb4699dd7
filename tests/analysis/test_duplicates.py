"""Find and show near-identical pictures in an index."""

import itertools
import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
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
    """An index of fifty creatures, each also resized, recompressed and cropped."""
    folder = tmp_path_factory.mktemp("varied")
    (folder / "images").mkdir()
    for path in sorted(samples.images.iterdir())[::3]:
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


@pytest.mark.parametrize("embedder", ["compact", "general"])
def test_the_default_threshold_finds_resized_recompressed_and_cropped_copies(
    varied, general, tmp_path, embedder
):
    pokesim.build_index(varied / "images", tmp_path / "index", embedder=embedder)
    found = pairs_of(pokesim.find_duplicates(tmp_path / "index"))
    names = [path.name for path in (varied / "images").iterdir()]
    true = {
        frozenset(pair)
        for pair in itertools.combinations(names, 2)
        if pair[0].split(".")[0].split("-")[0] == pair[1].split(".")[0].split("-")[0]
    }
    assert len(found & true) / len(found) >= 0.95
    assert len(found & true) / len(true) >= 0.9


@pytest.mark.skipif(not COPIES.exists(), reason="the shared data is missing")
def test_a_flipped_and_a_resized_photo_are_found_among_others(general, tmp_path):
    pokesim.build_index(COPIES, tmp_path / "index")
    (group,) = pokesim.find_duplicates(tmp_path / "index")
    names = {one.path.stem for one in group}
    assert names == {"ukbench00120", "ukbench00120_hflip", "ukbench00120_resize"}


def test_duplicates_as_table_json_and_sheet(run, varied, tmp_path):
    index = ["--index", varied / "index"]
    table = run("duplicates", *index, "--save", "sheet.png")
    assert table.returncode == 0
    assert table.stdout.splitlines()[0].split() == ["similarity", "kB", "picture"]
    groups = json.loads(run("duplicates", *index, "--format", "json").stdout)
    assert (
        table.stderr
        == f"{len(groups)} groups of {sum(map(len, groups))} near-identical pictures.\n"
    )
    first = groups[0]
    assert first[0]["similarity"] == 100
    assert first[0]["bytes"] == max(one["bytes"] for one in first)
    assert Path(first[0]["path"]).name in table.stdout
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height > 150 * len(groups)
    strict = run("duplicates", *index, "--threshold", "99.9", "--format", "json")
    assert len(json.loads(strict.stdout)) < len(groups)
    for wrong in (["--threshold", "0"], ["--save", "sheet.gif"]):
        assert run("duplicates", *index, *wrong).returncode == 2


def test_an_index_without_duplicates_has_no_group(run, index_path, tmp_path):
    done = run("duplicates", "--index", index_path, "--save", "none.png")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "0 groups of 0 near-identical pictures.\n"
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
        patch.setattr("pokesim.analysis.duplicates._BLOCK", 16)
        found = pokesim.find_duplicates(folder, threshold=least)
    assert {frozenset(int(one.label) for one in group) for group in found} == expected
