"""A map of a collection, as a page and as a picture."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support.indexes import index_of

from pokesim.analysis.layout import layout_pictures
from pokesim.errors import CorruptIndexError, UsageError
from pokesim.samples import CREATURES

ODD = "</script><script>alert(1)&amp;"


def test_a_map_is_one_self_contained_page(run, samples, tmp_path):
    folder = tmp_path / "few"
    folder.mkdir()
    for name in CREATURES[:6]:
        shutil.copy(samples.images / f"{name}.webp", folder)
    (folder / f"{CREATURES[0]}.webp").rename(folder / f"{ODD.replace('/', '∕')}.webp")
    assert run("build-index", folder, "--embedder", "compact").returncode == 0
    (folder / f"{CREATURES[1]}.webp").unlink()  # deleted since; left blank
    done = run("map", "--save", "out.html")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "Drew 6 pictures in out.html.\n"
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.count("<script>") == page.count("</script>") == 1
    assert "{{" not in page
    assert not re.search(r"https?://|src=\"[^\"]", page), "the page fetches nothing"
    pictures = json.loads(re.search(r"^const pictures = (.*);$", page, re.MULTILINE)[1])
    assert {one["label"] for one in pictures} == {*CREATURES[1:6], ODD.replace("/", "∕")}
    for one in pictures:
        assert 0 <= one["x"] <= 1
        assert 0 <= one["y"] <= 1
        data = base64.b64decode(one["src"].removeprefix("data:image/webp;base64,"))
        with Image.open(io.BytesIO(data)) as small:
            assert max(small.size) == 112


def test_a_map_as_a_picture(run, index_path, tmp_path):
    done = run("map", "--save", "out.png", "--index", index_path, "--most", "40", "--method", "pca")
    assert done.stderr == "Drew 40 pictures in out.png.\n"
    with Image.open(tmp_path / "out.png") as drawn:
        assert drawn.size == (2000, 2000)
        assert len(drawn.convert("RGB").getcolors(1 << 22)) > 5000
    for args, message in {
        ("out.gif",): "name a file *.html, *.png or *.jpg, not out.gif",
        ("out.png", "--method", "umap"): "'umap' is not one of 'auto', 'pca', 'tsne'",
        ("no/out.html", "--method", "pca"): "no/out.html cannot be written",
    }.items():
        wrong = run("map", "--save", *args, "--index", index_path)
        assert wrong.returncode
        assert message in wrong.stderr
    with pytest.raises(UsageError, match="method must be one of auto, pca, tsne"):
        layout_pictures(index_path, method="umap")


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_similar_pictures_are_close_and_the_layout_is_reproducible(index_path, method):
    placed = layout_pictures(index_path, method=method)
    assert placed == layout_pictures(index_path, method=method)
    xy = np.array([(one.x, one.y) for one in placed])
    assert np.ptp(xy, axis=0).max() == pytest.approx(1)
    from pokesim import open_index

    with open_index(index_path) as index:
        vectors = index.vectors(np.arange(len(index)))
    near = np.argsort(np.linalg.norm(vectors[:, None] - vectors, axis=2), axis=1)[:, 1:6]
    distances = np.linalg.norm(xy[:, None] - xy, axis=2)
    rows = np.arange(len(xy))[:, None]
    assert distances[rows, near].mean() < 0.6 * distances.mean()


def test_without_opentsne_auto_uses_pca_and_tsne_says_what_to_install(index_path):
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'openTSNE' else real(name, *a)\n"
        "from pokesim.analysis.layout import layout_pictures\n"
        "assert layout_pictures(sys.argv[1]) == layout_pictures(sys.argv[1], method='pca')\n"
        "try: layout_pictures(sys.argv[1], method='tsne')\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(index_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "t-SNE needs openTSNE: pip install 'pokesim[map]'.\n"


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_equal_pictures_are_in_the_middle(tmp_path, method):
    index_of(tmp_path / "same", np.full((9, 4), 0.1, np.float32)).close()
    placed = layout_pictures(tmp_path / "same", method=method)
    assert {(one.x, one.y) for one in placed} == {(0.5, 0.5)}


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize(
    "rows",
    [np.arange(12)[:, None], np.repeat([[0, 1], [1, 0]], 6, axis=0), np.eye(9, 1), np.eye(1, 3)],
)
def test_few_directions_are_enough(tmp_path, rows, method):
    index_of(tmp_path / "i", rows.astype(np.float32)).close()
    placed = layout_pictures(tmp_path / "i", method=method)
    assert len(placed) == len(rows)
    assert all(0 <= one.x <= 1 and 0 <= one.y <= 1 for one in placed)


def test_vectors_that_are_not_finite_are_one_message(tmp_path):
    rows = np.eye(5, dtype=np.float32)
    rows[2, 2] = np.nan
    index_of(tmp_path / "i", rows).close()
    with pytest.raises(CorruptIndexError, match="vectors that are not finite"):
        layout_pictures(tmp_path / "i")
