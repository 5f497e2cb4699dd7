"""The search is exact: the same ids as brute force in float64, ties in the order of ids."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pokesim
from pokesim.errors import UsageError
from pokesim.index.items import Item
from pokesim.index.snapshot import (
    EmbedderRecord,
    Manifest,
    SnapshotWriter,
    new_snapshot,
    publish,
)


def index_of(home: Path, rows: np.ndarray) -> pokesim.Index:
    """Publish given vectors as an index, and open it."""
    with new_snapshot(home) as folder, closing(SnapshotWriter(folder, rows.shape[1])) as writer:
        for start in range(0, len(rows), 100):
            block = rows[start : start + 100]
            ids = range(start, start + len(block))
            writer.add(block, [Item(i, f"{i}.png", str(i), 1, 1, "") for i in ids])
        writer.finish()
        record = EmbedderRecord("compact", "", 1, 8, "", False)
        publish(folder, home, Manifest(str(home), record, rows.shape[1], len(rows), ()))
    return pokesim.open_index(home)


def brute_force(xb: np.ndarray, xq: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    distances = np.stack([np.linalg.norm(xb.astype(np.float64) - row, axis=1) for row in xq])
    ids = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, ids, 1), ids


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_equals_brute_force_with_ties_in_order_of_ids(tmp_path_factory, data):
    seed = data.draw(st.integers(0, 2**32 - 1))
    count, dimension = data.draw(st.integers(1, 400)), data.draw(st.integers(1, 40))
    scale = data.draw(st.sampled_from([1.0, 1e-3, 300.0]))
    rng = np.random.default_rng(seed)
    xb = (scale * rng.standard_normal((count, dimension))).astype(np.float32)
    # Copies make ties, within reach of the cut and across blocks.
    copies = rng.integers(0, count, data.draw(st.integers(0, count)))
    xb[rng.integers(0, count, len(copies))] = xb[copies]
    xq = np.concatenate([xb[:2], (scale * rng.standard_normal((25, dimension))).astype(np.float32)])
    index = index_of(tmp_path_factory.mktemp("index"), xb)
    k = data.draw(st.integers(1, count + 3))
    D, I = index.search(xq, k)  # noqa: E741
    expected_d, expected_i = brute_force(xb, xq, k)
    np.testing.assert_allclose(D, expected_d, rtol=1e-6, atol=1e-9 * scale)
    np.testing.assert_array_equal(I, expected_i)
    one_d, one_i = index.search(xq[-1], k)
    np.testing.assert_array_equal(one_i[0], I[-1])
    np.testing.assert_array_equal(one_d[0], D[-1])


def test_a_thousand_equal_pictures_come_in_order_of_ids(tmp_path):
    xb = np.ones((1000, 16), np.float32)
    xb[500:] *= 2
    _, ids = index_of(tmp_path / "i", xb).search(xb[0] * 1.9, 20)
    assert ids[0].tolist() == list(range(500, 520))


def test_bad_questions_are_usage_errors(tmp_path):
    index = index_of(tmp_path / "i", np.eye(4, dtype=np.float32))
    with pytest.raises(UsageError, match="k must be at least 1"):
        index.search(np.zeros(4), 0)
    with pytest.raises(UsageError, match=r"\(n, 4\)"):
        index.search(np.zeros((2, 5)), 1)


def test_the_vector_file_is_a_plain_faiss_index(tmp_path):
    import faiss

    rows = np.random.default_rng(0).standard_normal((37, 5)).astype(np.float32)
    index_of(tmp_path / "i", rows)
    (path,) = (tmp_path / "i").glob("snapshots/*/vectors.faiss")
    plain = faiss.read_index(str(path))
    assert (plain.ntotal, plain.d, plain.metric_type) == (37, 5, faiss.METRIC_L2)
    np.testing.assert_array_equal(plain.reconstruct_n(0, 37), rows)
    faiss.write_index(plain, str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
