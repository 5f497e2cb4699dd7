"""The search is exact: the same ids as brute force in float64, ties in the order of ids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.indexes import index_of

import pokesim
from pokesim.errors import UsageError
from pokesim.index.vectors.knn import merge_nearest


def brute_force(xb: np.ndarray, xq: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    distances = np.stack([np.linalg.norm(xb.astype(np.float64) - row, axis=1) for row in xq])
    ids = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, ids, 1), ids


@pytest.mark.parametrize("search", ["flat", "pca"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_equals_brute_force_with_ties_in_order_of_ids(tmp_path_factory, search, data):
    seed = data.draw(st.integers(0, 2**32 - 1))
    count, dimension = data.draw(st.integers(1, 400)), data.draw(st.integers(1, 40))
    scale = data.draw(st.sampled_from([1.0, 1e-3, 300.0]))
    rng = np.random.default_rng(seed)
    xb = (scale * rng.standard_normal((count, dimension))).astype(np.float32)
    # Copies make ties, at the k-th neighbour and across blocks.
    copies = rng.integers(0, count, data.draw(st.integers(0, count)))
    xb[rng.integers(0, count, len(copies))] = xb[copies]
    xq = np.concatenate([xb[:2], (scale * rng.standard_normal((25, dimension))).astype(np.float32)])
    if data.draw(st.booleans()):  # a spectrum that falls, and a mean far from zero
        decay = np.exp(-np.arange(dimension) / 5) + np.float32(0.01)
        xb, xq = (scale + x * decay.astype(np.float32) for x in (xb, xq))
    index = index_of(tmp_path_factory.mktemp("index"), xb, search)
    assert index.manifest.search.used == search
    k = data.draw(st.integers(1, count + 3))
    with pytest.MonkeyPatch.context() as patch:
        by_faiss = data.draw(st.booleans())
        patch.setattr("pokesim.index.vectors.searcher._SMALL", 0 if by_faiss else 1 << 20)
        D, I = index.search(xq, k)
    expected_d, expected_i = brute_force(xb, xq, k)
    np.testing.assert_allclose(D, expected_d, rtol=1e-6, atol=1e-9 * scale)
    np.testing.assert_array_equal(I, expected_i)
    one_d, one_i = index.search(xq[-1], k)
    np.testing.assert_array_equal(one_i[0], I[-1])
    np.testing.assert_array_equal(one_d[0], D[-1])


def adversarial(kind, count, dimension, rng):
    """Return vectors and queries for which bounds from 8 bits a coordinate tell little."""
    xb = rng.standard_normal((count, dimension))
    xq = rng.standard_normal((6, dimension))
    match kind:
        case "a shell":  # all as far from the first query, up to what float32 tells apart
            xb = xq[0] + xb / np.linalg.norm(xb, axis=1, keepdims=True)
            xb *= 1 + 1e-7 * rng.standard_normal((count, 1))
        case "lengths":  # from tiny to huge, so the step size suits few
            xb *= 10.0 ** rng.uniform(-6, 6, (count, 1))
            xq *= 10.0 ** np.arange(-6, 12, 3)[:, None]
        case "an outlier":
            xb[count // 2] *= 1e4
        case "dropped":  # what differs is in the directions that vary least
            xb[:, :-8] = np.exp(-np.arange(dimension - 8) / 9) * xb[:, :-8].round()
            xb[:, -8:] *= 1e-3
            xq = xb[:6] + 1e-4 * xq
        case "a crowd":  # many closer to each other than two levels of a coordinate
            xb[::3] *= 1e-3
            xq[::2] *= 1e-3
        case "far":  # queries from far away, and among few different vectors
            xb = xb[rng.integers(0, 40, count)]
            xq *= 1e9
    return xb.astype(np.float32), xq.astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["a shell", "lengths", "an outlier", "dropped", "a crowd", "far"]),
    seed=st.integers(0, 2**32 - 1),
    dimension=st.sampled_from([16, 64, 100, 200]),
    k=st.sampled_from([1, 10, 700]),
)
def test_bounds_hold_for_adversarial_vectors(tmp_path_factory, kind, seed, dimension, k):
    xb, xq = adversarial(kind, 1000, dimension, np.random.default_rng(seed))
    with index_of(tmp_path_factory.mktemp("index"), xb, "pca") as index:
        _, found = index.search(xq, k)
    np.testing.assert_array_equal(found, brute_force(xb, xq, k)[1])


@pytest.mark.parametrize("search", ["flat", "pca"])
def test_thousands_of_equal_pictures_are_in_the_order_of_ids(tmp_path, search):
    xb = np.ones((5000, 16), np.float32)
    xb[2500:] *= 2
    index = index_of(tmp_path / "i", xb, search)
    many = np.repeat(xb[:1] * np.float32(1.9), 300, axis=0)
    for xq in (many[:1], many):  # by codes, and by one scan
        _, ids = index.search(xq, 20)
        assert np.all(ids == np.arange(2500, 2520))


def test_merging_keeps_ties_in_the_order_of_the_parts():
    first = (np.array([[1, 2, 2]], np.float32), np.array([[4, 0, 3]]))
    second = (np.array([[0, 2]], np.float32), np.array([[7, 5]]))
    D, I = merge_nearest([first, second], 4)
    assert (D.tolist(), I.tolist()) == ([[0, 1, 2, 2]], [[7, 4, 0, 3]])


@pytest.mark.parametrize(("count", "dimension"), [(1, 1), (1023, 7), (1025, 40), (20_000, 33)])
def test_the_pca_file_is_what_faiss_writes(tmp_path, count, dimension):
    import faiss

    rows = np.random.default_rng(0).standard_normal((count, dimension)).astype(np.float32)
    index_of(tmp_path / "i", rows, "pca")
    (path,) = (tmp_path / "i").glob("snapshots/*/search.faiss")
    read = faiss.read_index(str(path))
    assert (read.ntotal, read.d) == (count, dimension)
    faiss.write_index(read, str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_auto_chooses_pca_only_for_many_vectors(tmp_path, monkeypatch):
    rows = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    assert index_of(tmp_path / "few", rows, "auto").manifest.search.used == "flat"
    monkeypatch.setattr("pokesim.index.vectors.candidates.PCA_BYTES", rows.nbytes)
    assert index_of(tmp_path / "many", rows, "auto").manifest.search.used == "pca"


@pytest.mark.parametrize("search", ["IVF20,Flat", "IVF20,Flat nprobe=20", "HNSW16", "PCA16,Flat"])
def test_an_approximate_search_reports_its_recall(tmp_path, search):
    random = np.random.default_rng(3)
    xb = (random.standard_normal((3000, 24)) * np.exp(-np.arange(24) / 6)).astype(np.float32)
    index = index_of(tmp_path / "i", xb, search)
    recall = index.manifest.search.recall
    xq = (xb[::7] + xb[1::7][: len(xb[::7])]) / 2
    distances, ids = index.search(xq, 10)
    _, true = brute_force(xb, xq, 10)
    found = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(ids, true, strict=True)])
    assert abs(found - recall) < 0.12
    assert recall == 1 if "nprobe" in search else recall > 0.7
    # Each match has its true distance, and the nearest is first.
    own = np.linalg.norm(xb[ids[0]].astype(np.float64) - xq[0], axis=1)
    np.testing.assert_allclose(distances[0], own, rtol=1e-6)
    assert np.all(np.diff(distances) >= 0)


def test_padding_replaces_what_an_approximate_search_does_not_find(tmp_path):
    xb = np.eye(64, dtype=np.float32)
    index = index_of(tmp_path / "i", xb, "IVF8,Flat nprobe=1")
    distances, ids = index.search(xb[:1], 64)
    found = (ids[0] >= 0).sum()
    assert 0 < found < 64
    assert np.all(ids[0][found:] == -1)
    assert np.all(np.isinf(distances[0][found:]))


@pytest.mark.parametrize(
    ("search", "message"),
    [("IVFx", "is neither auto, flat or pca nor a FAISS factory string"),
     ("IVF20,Flat nprob=3", "there is no parameter nprob to set; there is nprobe"),
     ("IVF400,Flat", "FAISS cannot build IVF400,Flat from 300 vectors")],
)  # fmt: skip
def test_a_search_that_faiss_cannot_build_is_an_error(tmp_path, search, message):
    with pytest.raises(pokesim.PokesimError, match=message):
        index_of(tmp_path / "i", np.eye(300, 8, dtype=np.float32), search)


def test_invalid_queries_are_usage_errors(tmp_path):
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


def test_the_search_of_an_index_can_be_shown_kept_and_changed(run, samples):
    build = ("build-index", samples.images, "--embedder", "compact")
    photo = sorted(samples.photos.iterdir())[0]
    run(*build)
    exact = run("query", photo, "--format", "csv")
    assert exact.stderr == ""
    assert "exact (flat)" in run("info").stdout
    assert run(*build, "--search", "pca").returncode == 0
    assert "exact (pca)" in run("info").stdout
    assert run("query", photo, "--format", "csv").stdout == exact.stdout
    assert run("check").returncode == 0
    assert run(*build, "--search", "IVF4,Flat nprobe=4").returncode == 0
    run(*build)
    assert "approximate (IVF4,Flat nprobe=4): recall@10 100.0 % when built" in run("info").stdout
    approximate = run("query", photo, "--format", "csv")
    assert approximate.stdout == exact.stdout
    assert approximate.stderr.startswith(
        "The search is approximate (IVF4,Flat nprobe=4): recall@10 100"
    )
    wrong = run(*build, "--search", "IVF4Flat")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--search IVF4Flat is neither" in wrong.stderr
