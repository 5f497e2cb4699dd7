"""The layout of a map: similar pictures together, on a grid, with named clusters."""

import subprocess
import sys

import numpy as np
import pytest
from support.indexes import index_of

from pokesim.analysis.layout import layout_pictures
from pokesim.analysis.layout.grid import on_grid
from pokesim.analysis.layout.names import cluster_names, telling_tags
from pokesim.errors import CorruptIndexError


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_similar_pictures_are_close_and_the_layout_is_reproducible(index_path, method):
    placed = layout_pictures(index_path, method=method).pictures
    assert placed == layout_pictures(index_path, method=method).pictures
    xy = np.array([(one.x, one.y) for one in placed])
    assert np.ptp(xy, axis=0).max() == pytest.approx(1)
    from pokesim import open_index

    with open_index(index_path) as index:
        vectors = index.vectors(np.arange(len(index)))
    near = np.argsort(np.linalg.norm(vectors[:, None] - vectors, axis=2), axis=1)[:, 1:6]
    distances = np.linalg.norm(xy[:, None] - xy, axis=2)
    rows = np.arange(len(xy))[:, None]
    assert distances[rows, near].mean() < 0.6 * distances.mean()


@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.8])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 97, 500, 2000])
def test_no_two_pictures_have_the_same_cell_and_neighbours_stay_neighbours(count, aspect):
    points = np.random.default_rng(count).normal(size=(count, 2))
    grid = on_grid(points, aspect)
    cells = grid.cells
    assert len({*map(tuple, cells.tolist())}) == count
    assert count <= grid.columns * grid.rows < count + grid.columns or not count
    assert (cells >= 0).all()
    assert (cells < (grid.columns, grid.rows)).all()
    if count >= 97:
        assert grid.columns / grid.rows == pytest.approx(aspect, rel=0.25)
        far = np.linalg.norm(cells[:, None] - cells, axis=2)
        near = np.argsort(np.linalg.norm(points[:, None] - points, axis=2), axis=1)[:, 1:5]
        assert far[np.arange(count)[:, None], near].mean() < 0.3 * far.mean()


def test_equal_points_have_cells_of_their_own():
    cells = on_grid(np.full((50, 2), 0.5), 1.5).cells
    assert len({*map(tuple, cells.tolist())}) == 50


def test_clusters_have_the_name_that_most_of_them_share():
    random = np.random.default_rng(0)
    kinds = np.repeat(["cats", "dogs", "birds"], 60)
    middles = {"cats": (0, 0), "dogs": (9, 0), "birds": (4, 9)}
    points = np.array([middles[kind] for kind in kinds]) + random.normal(size=(180, 2))
    grid = on_grid(points, 1.5)
    sources = {
        "folder": ["photos"] * 180,
        "label": [f"IMG_{number:04}" for number in range(180)],
        "mood": random.choice(["calm", "wild"], 180).tolist(),
        "kind": kinds.tolist(),
    }
    tags = telling_tags(sources, grid)
    assert tags == sources["kind"]
    names = cluster_names(tags, grid)
    assert sorted(name.text for name in names[:3]) == ["birds", "cats", "dogs"]
    assert sum(name.size for name in names[:3]) > 150
    for name in names[:3]:
        middle = grid.cells[kinds == name.text].mean(axis=0)
        assert np.hypot(*(middle - (name.x, name.y))) < 1
    del sources["kind"]
    assert telling_tags(sources, grid) is None


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
    placed = layout_pictures(tmp_path / "same", method=method).pictures
    assert {(one.x, one.y) for one in placed} == {(0.5, 0.5)}


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize(
    "rows",
    [np.arange(12)[:, None], np.repeat([[0, 1], [1, 0]], 6, axis=0), np.eye(9, 1), np.eye(1, 3)],
)
def test_few_directions_are_enough(tmp_path, rows, method):
    index_of(tmp_path / "i", rows.astype(np.float32)).close()
    placed = layout_pictures(tmp_path / "i", method=method).pictures
    assert len(placed) == len(rows)
    assert all(0 <= one.x <= 1 and 0 <= one.y <= 1 for one in placed)


def test_vectors_that_are_not_finite_are_one_message(tmp_path):
    rows = np.eye(5, dtype=np.float32)
    rows[2, 2] = np.nan
    index_of(tmp_path / "i", rows).close()
    with pytest.raises(CorruptIndexError, match="vectors that are not finite"):
        layout_pictures(tmp_path / "i")
