"""Approximate candidates: any FAISS index, by its factory string."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import PokesimError, UsageError
from pokesim.index.vectors.flat import rows_of, spread, spread_ids
from pokesim.index.vectors.knn import candidate_count
from pokesim.index.vectors.panorama import SEARCH_FILE
from pokesim.index.vectors.selector import IdSelector

RECALL_AT = 10

_SAMPLE = 50_000  # rows that an approximate structure is trained on at most

_RECALL_QUERIES = 100  # rows that recall is measured with


class ApproximateIndex:
    """An opened FAISS index of any other kind.

    Attributes:
        exact: False; it may miss some of the nearest.
        most: how many neighbours it can be asked for.
    """

    exact = False

    def __init__(self, folder: Path, count: int) -> None:
        """Open it. Raises ValueError or RuntimeError if it is damaged, OSError if missing."""
        import faiss

        with (folder / SEARCH_FILE).open("rb"):
            pass  # FAISS would not tell a missing file from a damaged one
        self.max_k = count
        self._index: Any = faiss.read_index(os.fspath(folder / SEARCH_FILE), faiss.IO_FLAG_MMAP_IFC)
        if self._index.ntotal != count:
            raise ValueError

    def candidates(
        self, xq: NDArray[np.float32], k: int, among: IdSelector
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances and ids, (nq, k), of near vectors; id -1 where there is none.

        It is asked for a selection of all only.
        """
        D, I = self._index.search(xq, k)  # noqa: E741
        return D, I


def _empty(used: str, dimension: int) -> Any:  # noqa: ANN401 - faiss is untyped
    """Return the untrained FAISS index that a factory string names. Raises UsageError."""
    import faiss

    factory, _, parameters = used.partition(" ")
    try:
        index = faiss.index_factory(dimension, factory, faiss.METRIC_L2)
        ivf = faiss.try_extract_index_ivf(index)
        if ivf is not None:  # FAISS's own choice, to look into 1 cell, misses too many
            ivf.nprobe = max(1, round(math.sqrt(ivf.nlist)))
        if parameters:
            space: Any = faiss.ParameterSpace()
            space.set_index_parameters(index, parameters)
    except (RuntimeError, ValueError, TypeError) as error:
        raise UsageError(
            f"--search {used} is neither flat, panorama nor auto, and FAISS makes no index of it "
            f"for vectors of dimension {dimension} ({_last_words(error)})."
        ) from error
    return index


def _write_approximate(path: Path, flat: Any, used: str) -> None:  # noqa: ANN401
    import faiss

    index = _empty(used, flat.d)
    try:
        index.train(spread(flat, _SAMPLE))
        for rows in rows_of(flat):
            index.add(rows)
    except RuntimeError as error:
        raise PokesimError(
            f"FAISS cannot build {used} of {flat.ntotal:,} vectors ({_last_words(error)}); "
            "name another --search."
        ) from error
    faiss.write_index(index, os.fspath(path))
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _recall(structure: ApproximateIndex, flat: Any) -> float:  # noqa: ANN401
    """Return the share of the true nearest that a structure nominates for vectors of the index."""
    count = int(flat.ntotal)
    k = min(RECALL_AT, count - 1)
    if k < 1:
        return 1.0
    ids = spread_ids(count, _RECALL_QUERIES)
    xq = flat.reconstruct_batch(ids)
    _, nearest = flat.search(xq, k + 1)
    _, nominated = structure.candidates(
        xq, min(candidate_count(k + 1), structure.max_k), IdSelector(count)
    )
    found = 0
    for own, true, near in zip(ids, nearest.tolist(), nominated.tolist(), strict=True):
        others = [item for item in true if item != own][:k]
        found += len({*others} & {*near})
    return found / (k * len(ids))


def _last_words(error: Exception) -> str:
    """Cut FAISS's "Error in <C++ signature> at <file>: …" down to what it says."""
    return str(error).splitlines()[-1].rsplit(": ", 1)[-1].strip(" .")
