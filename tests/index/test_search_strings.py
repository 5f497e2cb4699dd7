"""FAISS factory strings: those that work, and those that are refused before FAISS sees them."""

import numpy as np
import pytest
from support.indexes import index_of

import pokesim
from pokesim.errors import UsageError
from pokesim.index.vectors.candidates import checked_search

ROWS = np.random.default_rng(5).standard_normal((600, 16)).astype(np.float32)


@pytest.mark.parametrize(
    "search",
    [
        "Flat",
        "SQ4",
        "SQfp16",
        "PQ4",
        "PQ8x6",
        "IVF8,Flat",
        "IVF8,SQ8 nprobe=8",
        "IVF8,PQ4x4",
        "IVF8_HNSW4,Flat nprobe=4,quantizer_efSearch=32",
        "OPQ4,IVF8,PQ4x6",
        "OPQ4_8,PQ4x6",
        "PCA8,IVF8,SQ6",
        "PCAR16,Flat",
        "RR16,L2norm,PQ4x6",
        "HNSW8",
        "HNSW16,Flat efSearch=64",
        "HNSW16,SQ8",
        "HNSW16,PQ4",
    ],
)
def test_an_index_can_be_built_and_searched(tmp_path, search):
    with index_of(tmp_path / "i", ROWS, search) as index:
        assert 0 < index.manifest.search.recall <= 1
        distances, ids = index.search(ROWS[:20] + 0.01, 3)
        assert distances.shape == (20, 3)
        assert np.mean(ids[:, 0] == np.arange(20)) > 0.7


@pytest.mark.parametrize(
    "search",
    [
        # FAISS aborts, crashes, or builds what it cannot search.
        "HNSW0",
        "HNSW1",
        "IVF0,Flat",
        "IVF16,Flat nprobe=-1",
        "IVF16,Flat nprobe=0",
        "PCA0,Flat",
        "PQ0",
        # Too large for a machine, or for FAISS's numbers.
        "IVF99999999999,Flat",
        "IVF50001,Flat",
        "HNSW1000000",
        "HNSW16 efSearch=99999999",
        "IVF8_HNSW9999,Flat",
        "PQ4x24",
        # More than the vectors have, or what does not divide them.
        "PCA17,Flat",
        "PCA8,RR9,Flat",
        "PQ3",
        "PCA8,PQ16",
        "OPQ3,PQ4",
        "HNSW16,PQ5",
        # Other kinds, and no kinds.
        "",
        " ",
        "IVF8",
        "IVF8,",
        ",Flat",
        "Flat,Flat",
        "IVF8,Flat,RFlat",
        "PQ4x4fs",
        "IMI2x4,Flat",
        "NSG32",
        "PCA8,HNSW16",
        "L2norm," * 5 + "Flat",
        "L2norm," * 10_000 + "Flat",
        "IVF8,Flat nprob=3",
        "IVF8,Flat efSearch=3",
        "IVF8,Flat nprobe=9",
        "IVF8,Flat nprobe",
        "IVF8,Flat ",
        "IVF8,Flat  nprobe=1",
        "IVF8,Flat\n",
        "IVF8,Flat\0",
        "IVF٨,Flat",
        "IVF08,Flat",
        "/etc/passwd",
    ],
)  # fmt: skip
def test_a_string_that_faiss_cannot_use_is_a_usage_error(search):
    with pytest.raises(UsageError, match=r"^--search .*is neither auto, flat") as raised:
        checked_search(search, 16)
    assert len(str(raised.value)) < 400
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("search", [None, 5, b"flat", ["flat"]])
def test_a_search_is_a_string(search):
    with pytest.raises(UsageError, match="search must be a string"):
        checked_search(search, 16)


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e30])
def test_a_vector_that_is_too_large_for_faiss_is_an_error(tmp_path, number):
    rows = ROWS.copy()
    rows[7, 3] = number
    with pytest.raises(pokesim.PokesimError, match="not finite or above 1e\\+15"):
        index_of(tmp_path / "i", rows, "IVF2,SQ8")


def test_the_command_line_refuses_what_would_end_the_process(run, samples):
    done = run("build-index", samples.images, "--embedder", "compact", "--search", "HNSW0")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Unexpected" not in done.stderr
    assert "--search HNSW0 is neither" in done.stderr
