"""Forged binary files of an index, with right hashes, end in one sentence or in right ids."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from stress.forged import formats
from stress.forged.databases import sqlite_cases
from stress.forged.runner import in_a_fork
from support.indexes import index_of

import pokesim
from pokesim.errors import CorruptIndexError
from pokesim.index.vectors.faiss_format import FormatError, check_file

EVERY = 70
"""One forgery of as many is tried here; ``python -m stress.forged.formats`` tries all of them."""


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("formats")
    formats.build_bases(home)
    return home


def test_some_forgeries_of_each_file(bases):
    some = list(formats.cases(bases))[::EVERY]
    assert len(some) > 70
    assert not list(filter(None, (formats.attempt(bases, forgery) for forgery in some)))


def test_the_forged_schemas_and_matrices(bases):
    named = [*formats.matrix_cases(), *sqlite_cases()]
    some = [one for one in named if "header at" not in one.name]
    assert not list(filter(None, (formats.attempt(bases, forgery) for forgery in some)))


@pytest.mark.parametrize(
    "factory",
    ["SQ4", "SQ6", "SQ8", "SQfp16", "SQbf16", "IVF4,SQ6", "IVF4,PQ4x6,RFlat", "PCAWR8,Flat",
     "OPQ4_8,IVF4,PQ4x4", "HNSW8_PQ4", "HNSW8_SQ8", "RR8,HNSW8", "IVF4_HNSW8,SQ8", "L2norm,PQ4x4"],
)  # fmt: skip
def test_the_check_knows_what_faiss_writes(factory):
    def check() -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        rows = np.random.default_rng(1).standard_normal((300, 16)).astype(np.float32)
        index = faiss.index_factory(16, factory)
        index.train(rows)
        index.add(rows)
        data = faiss.serialize_index(index)
        check_file(data, 300, 16)
        for count, dimension in ((299, 16), (301, 16), (300, 8), (0, 16)):
            with pytest.raises(FormatError):
                check_file(data, count, dimension)

    assert not in_a_fork(check, seconds=30)


@pytest.mark.parametrize("factory", ["LSH", "NSG8", "IDMap,Flat", "PQ4x4fs", "RQ2x4", "Pad32,Flat"])
def test_other_kinds_of_index_are_refused(factory):
    def check() -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        rows = np.random.default_rng(1).standard_normal((300, 16)).astype(np.float32)
        index = faiss.index_factory(16, factory)
        index.train(rows)
        if factory.startswith("IDMap"):
            index.add_with_ids(rows, np.arange(300))
        else:
            index.add(rows)
        with pytest.raises(FormatError, match="not a supported"):
            check_file(faiss.serialize_index(index), 300, 16)

    assert not in_a_fork(check, seconds=30)


@pytest.mark.parametrize(
    ("search", "name"),
    [("flat", "vectors.faiss"), ("pca", "search.faiss"), ("IVF4,Flat", "search.faiss"),
     ("IVF4,Flat", "vectors.faiss")],
)  # fmt: skip
def test_a_file_truncated_while_the_index_is_open_is_an_error(tmp_path, search, name):
    rows = np.random.default_rng(0).standard_normal((3000, 32)).astype(np.float32)
    done = multiprocessing.get_context("spawn").Process(
        target=_truncate, args=(tmp_path / "i", rows, search, name)
    )
    done.start()
    done.join(60)
    assert done.exitcode == 0


def _truncate(folder: Path, rows: np.ndarray, search: str, name: str) -> None:
    index = index_of(folder, rows, search)
    index.search(rows[:1], 3)
    (path,) = folder.glob(f"snapshots/*/{name}")
    os.truncate(path, 4096)
    with pytest.raises(CorruptIndexError, match="was truncated while it was open"):
        index.search(rows[:1], 3)
    if name == "vectors.faiss":
        with pytest.raises(CorruptIndexError, match="was truncated while it was open"):
            index.vectors([7])
    with pytest.raises(CorruptIndexError):
        pokesim.open_index(folder)


def test_a_journal_of_a_stranger_is_not_replayed(bases):
    some = {one.name: one for one in sqlite_cases()}
    assert not formats.attempt(bases, some["a journal beside it"])
    assert not formats.attempt(bases, some["a write-ahead log"])
