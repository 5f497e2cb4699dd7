"""An update of an index keeps the codes of the vectors that stay, and the search stays exact."""

import shutil

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.indexes import index_of

import pokesim


def nearest(xb: np.ndarray, xq: np.ndarray, k: int) -> np.ndarray:
    distances = np.linalg.norm(xb[None].astype(np.float64) - xq[:, None], axis=2)
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


def rotation_of(folder):
    name = (folder / "CURRENT").read_text().strip()
    return (folder / "snapshots" / name / "rotation.npy").read_bytes()


def codes_of(folder):
    name = (folder / "CURRENT").read_text().strip()
    return (folder / "snapshots" / name / "search.faiss").read_bytes()[81:]


KINDS = {"alike": 1.0, "larger": 30.0, "smaller": 1e-3}


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    dimension=st.sampled_from([1, 8, 70, 130]),
    steps=st.lists(
        st.tuples(st.sampled_from(sorted(KINDS)), st.floats(0, 0.6), st.integers(0, 150)),
        min_size=1,
        max_size=4,
    ),
)
@example(seed=1, dimension=70, steps=[("smaller", 0.0, 42)])  # queries between two codes
def test_a_chain_of_updates_equals_brute_force(tmp_path_factory, seed, dimension, steps):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("index")
    decay = np.exp(-np.arange(dimension) / 9)

    def some(count, scale=1.0):
        return (scale * decay * rng.standard_normal((count, dimension))).astype(np.float32)

    xb = some(200)
    index_of(folder, xb, "pca").close()
    for kind, dropped, added in steps:
        stay = np.flatnonzero(rng.random(len(xb)) >= dropped)
        kept = np.concatenate([stay, np.full(added + 1, -1)])
        order = rng.permutation(len(kept))  # the new ones come among the others
        xb, kept = np.concatenate([xb[stay], some(added + 1, KINDS[kind])])[order], kept[order]
        xq = np.concatenate([xb[:3], some(3), some(1, 50.0)])
        with index_of(folder, xb, "pca", kept=kept) as index:
            k = min(12, len(xb))
            np.testing.assert_array_equal(index.search(xq, k)[1], nearest(xb, xq, k))
            np.testing.assert_array_equal(index.vectors(np.arange(len(xb))), xb)


@pytest.fixture
def grown(tmp_path):
    """An index of 1,000 vectors, and how to append more to it; returns whether codes are kept."""
    rows = np.random.default_rng(3).standard_normal((4000, 70)).astype(np.float32)
    rows[0] = rows[:1000][np.abs(rows[:1000]).max(axis=1).argmax()] * 2  # none is farther out
    index_of(tmp_path, rows[:1000], "pca").close()
    had = [1000]

    def append(new: np.ndarray) -> bool:
        before, codes = rotation_of(tmp_path), codes_of(tmp_path)
        xb = np.concatenate([rows[: had[0]], new])
        kept = np.concatenate([np.arange(had[0]), np.full(len(new), -1)])
        index_of(tmp_path, xb, "pca", kept=kept).close()
        had[0] = len(xb)
        same = rotation_of(tmp_path) == before
        assert codes_of(tmp_path).startswith(codes) == same
        return same

    return rows, append


def test_codes_are_kept_until_there_are_half_as_many_again(grown):
    rows, append = grown
    assert append(rows[:1] * np.float32(0.5))
    assert append(np.repeat(rows[:1], 499, axis=0))
    assert not append(rows[:1])
    assert append(rows[:1])


def test_a_vector_of_another_kind_has_the_rotation_fitted_anew(grown):
    rows, append = grown
    assert not append(rows[1000:1001] * np.float32(100))


def test_pictures_that_go_leave_the_codes_of_the_others(tmp_path, samples):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in sorted(samples.images.glob("*.webp"))[:40]:
        shutil.copy(path, folder)
    index = tmp_path / "index"
    pokesim.build_index(folder, index, embedder="compact", search="pca")
    before = rotation_of(index)
    pokesim.remove_pictures([next(iter(folder.iterdir())).stem], index)
    assert rotation_of(index) == before
    pokesim.add_pictures([sorted(samples.images.glob("*.webp"))[50]], index)
    with pokesim.open_index(index) as opened:
        xb = opened.vectors(np.arange(len(opened)))
        np.testing.assert_array_equal(opened.search(xb, 5)[1], nearest(xb, xb, 5))


def test_opening_reads_no_rotation_but_the_first_search_does(tmp_path):
    rows = np.random.default_rng(3).standard_normal((300, 70)).astype(np.float32)
    index_of(tmp_path / "i", rows, "pca").close()
    (path,) = (tmp_path / "i").glob("snapshots/*/rotation.npy")
    good = path.read_bytes()
    path.write_bytes(good[:-4] + np.float32(np.nan).tobytes())
    with pokesim.open_index(tmp_path / "i") as index:
        assert len(index) == 300
        for _ in range(2):
            with pytest.raises(pokesim.PokesimError, match="is not the rotation of the codes"):
                index.search(rows[:1], 3)
