"""Approximate candidates from a FAISS index that a factory string names."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import PokesimError
from pokesim.index.vectors.factory import MAX_TRAINING_ROWS, parse_factory
from pokesim.index.vectors.faiss_format import check_file
from pokesim.index.vectors.flat import SEARCH_FILE, FlatVectors, rows_of, spread, spread_ids
from pokesim.index.vectors.knn import candidate_count
from pokesim.index.vectors.mapped_file import MappedFile
from pokesim.index.vectors.selector import IdSelector
from pokesim.metric import LARGEST, within_bounds

RECALL_AT = 10

_RECALL_QUERIES = 100


class ApproximateIndex:
    """An opened FAISS index of any other type.

    Attributes:
        exact: False; it may miss some of the nearest vectors.
        max_k: the most neighbours it can return for a query.
    """

    exact = False

    def __init__(self, folder: Path, count: int, dimension: int) -> None:
        """Memory-map its file, which is checked before FAISS reads it.

        Raises:
            ValueError, RuntimeError: it is not an index of such vectors of a supported kind.
            OSError: it is missing or cannot be read.
        """
        self.max_k = count
        self._file = MappedFile(folder / SEARCH_FILE)
        check_file(self._file.held(), count, dimension)
        self._index: Any = self._file.read_faiss()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def candidates(
        self, xq: NDArray[np.float32], k: int, _selector: IdSelector
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances and ids, (nq, k), of near vectors; id -1 pads a short row.

        Every vector is searched: `FlatSearcher` does not call this with a filter.
        Raises CorruptIndexError if the file is truncated.
        """
        _held = self._file.held()
        D, I = self._index.search(xq, k)
        return D, I


def untrained_index(factory_string: str, dimension: int) -> Any:
    """Return the untrained FAISS index that a factory string names. Raises UsageError."""
    factory = parse_factory(factory_string, dimension)
    import faiss

    index: Any = faiss.index_factory(dimension, factory.description, faiss.METRIC_L2)
    ivf = faiss.try_extract_index_ivf(index)
    if ivf is not None:  # FAISS's default, to probe 1 cell, misses too many
        ivf.nprobe = max(1, round(math.sqrt(ivf.nlist)))
    if factory.parameters:
        space: Any = faiss.ParameterSpace()
        space.set_index_parameters(index, factory.parameters)
    return index


def write_approximate(path: Path, flat: FlatVectors, factory_string: str) -> None:
    """Train and write a FAISS index of a flat index's vectors.

    Raises:
        PokesimError: FAISS cannot build it from these vectors.
        OSError: the disk is full, or the folder is not writable.
    """
    import faiss

    index = untrained_index(factory_string, flat.d)
    # FAISS raises an error from a thread that nothing catches if a distance is not finite.
    if not all(within_bounds(rows) for rows in rows_of(flat)):
        raise PokesimError(
            f"{factory_string} cannot index these vectors: a number in one is not finite or above "
            f"{LARGEST:g}; use --search flat."
        )
    try:
        index.train(spread(flat, MAX_TRAINING_ROWS))
        for rows in rows_of(flat):
            index.add(rows)
    except RuntimeError as error:
        raise PokesimError(
            f"FAISS cannot build {factory_string} from {flat.ntotal:,} vectors "
            f"({last_words(error)}); choose another --search."
        ) from error
    with path.open("wb") as file:  # FAISS's own writing misses an error of its last flush
        writer: Any = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
        faiss.write_index(index, writer)


def measure_recall(index: ApproximateIndex, flat: FlatVectors) -> float:
    """Return the share of the true nearest vectors that are among the candidates.

    The queries are vectors of the index; a query itself is not counted.
    """
    count = int(flat.ntotal)
    k = min(RECALL_AT, count - 1)
    if k < 1:
        return 1.0
    ids = spread_ids(count, _RECALL_QUERIES)
    xq = flat.reconstruct_batch(ids)
    _, nearest = flat.search(xq, k + 1)
    _, candidates = index.candidates(
        xq, min(candidate_count(k + 1), index.max_k), IdSelector(count)
    )
    found = 0
    for own, true, near in zip(ids, nearest.tolist(), candidates.tolist(), strict=True):
        others = [item for item in true if item != own][:k]
        found += len({*others} & {*near})
    return found / (k * len(ids))


def last_words(error: Exception) -> str:
    """Cut FAISS's "Error in <C++ signature> at <file>: …" down to its message."""
    return str(error).splitlines()[-1].rsplit(": ", 1)[-1].strip(" .")
