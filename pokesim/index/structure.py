"""How an index is searched: ``vectors.faiss`` decides, and a structure beside it may nominate.

- ``flat``: FAISS scans ``vectors.faiss``; there is no structure.
- ``panorama``: exact; see `panorama`.
- any other FAISS factory string, such as ``IVF1024,Flat`` or ``HNSW32``: approximate, with its
  recall measured when it is built. FAISS's own parameters may follow: ``IVF1024,Flat nprobe=64``.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import IndexFolderError, PokesimError, UsageError
from pokesim.index import panorama, vectors
from pokesim.index.knn import nominations
from pokesim.index.panorama import FILE, ROTATION_FILE, Panorama
from pokesim.index.selection import Selection

FLAT, PANORAMA, AUTO = "flat", "panorama", "auto"

PANORAMA_BYTES = 64 << 20
"""From this size of the vectors on, ``auto`` takes Panorama: `make bench` shows where it wins."""

RECALL_AT = 10

STRUCTURE_FILES = frozenset((FILE, ROTATION_FILE))
"""What `build_structure` makes of the vectors, and can make again."""

_SAMPLE = 50_000  # rows that an approximate structure is trained on at most
_ASKED = 100  # rows that recall is measured with


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """How an index is searched.

    Attributes:
        asked: what the user named: "auto", "flat", "panorama" or a factory string.
        used: what that came to.
        recall: of an approximate structure: share of the true ten nearest that it nominated for
            vectors of the index themselves (the vector itself not counted); None of an exact one.
    """

    asked: str = AUTO
    used: str = FLAT
    recall: float | None = None


class Approximate:
    """An opened FAISS index of any other kind.

    Attributes:
        exact: False; it may miss some of the nearest.
        most: how many neighbours it can be asked for.
    """

    exact = False

    def __init__(self, folder: Path, count: int) -> None:
        """Open it. Raises ValueError or RuntimeError if it is damaged, OSError if missing."""
        import faiss

        with (folder / FILE).open("rb"):
            pass  # FAISS would not tell a missing file from a damaged one
        self.most = count
        self._index: Any = faiss.read_index(os.fspath(folder / FILE), faiss.IO_FLAG_MMAP_IFC)
        if self._index.ntotal != count:
            raise ValueError

    def nominate(
        self, xq: NDArray[np.float32], k: int, among: Selection
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances and ids, (nq, k), of near vectors; id -1 where there is none.

        It is asked for a selection of all only.
        """
        D, I = self._index.search(xq, k)  # noqa: E741
        return D, I


Structure: TypeAlias = Panorama | Approximate


def open_structure(
    folder: Path, record: SearchRecord, count: int, dimension: int
) -> Structure | None:
    """Open the structure of a snapshot, if it has one.

    Raises:
        IndexFolderError: a file is not what was written.
        OSError: a file is missing or cannot be read.
    """
    if record.used == FLAT:
        return None
    try:
        if record.used == PANORAMA:
            return Panorama(folder, count, dimension)
        return Approximate(folder, count)
    except (ValueError, RuntimeError) as error:
        raise IndexFolderError(
            f"{folder / FILE} is not the search structure of {count} vectors of dimension "
            f"{dimension}; build the index again."
        ) from error


def check_asked(asked: str, dimension: int) -> None:
    """Look at what the user named before the long work begins.

    Raises:
        UsageError: FAISS knows no such index.
    """
    if asked not in (AUTO, FLAT, PANORAMA):
        _empty(asked, dimension)


def build_structure(folder: Path, count: int, dimension: int, asked: str) -> SearchRecord:
    """Write the search structure of the vectors in a folder, if they are to have one.

    Raises:
        PokesimError: FAISS cannot build it of these vectors.
        OSError: the disk is full, or cannot be written.
    """
    used = asked
    if asked == AUTO:
        used = PANORAMA if 4 * count * dimension >= PANORAMA_BYTES else FLAT
    record = SearchRecord(asked, used)
    if used == FLAT:
        return record
    flat = vectors.open_vectors(folder / vectors.FILE, count, dimension)
    if used == PANORAMA:
        panorama.write(folder, flat)
        return record
    _write_approximate(folder / FILE, flat, used)
    return replace(record, recall=_recall(Approximate(folder, count), flat))


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
        index.train(vectors.spread(flat, _SAMPLE))
        for rows in vectors.rows_of(flat):
            index.add(rows)
    except RuntimeError as error:
        raise PokesimError(
            f"FAISS cannot build {used} of {flat.ntotal:,} vectors ({_last_words(error)}); "
            "name another --search."
        ) from error
    faiss.write_index(index, os.fspath(path))
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _recall(structure: Approximate, flat: Any) -> float:  # noqa: ANN401
    """Return the share of the true nearest that a structure nominates for vectors of the index."""
    count = int(flat.ntotal)
    k = min(RECALL_AT, count - 1)
    if k < 1:
        return 1.0
    ids = vectors.spread_ids(count, _ASKED)
    xq = flat.reconstruct_batch(ids)
    _, nearest = flat.search(xq, k + 1)
    _, nominated = structure.nominate(xq, min(nominations(k + 1), structure.most), Selection(count))
    found = 0
    for own, true, near in zip(ids, nearest.tolist(), nominated.tolist(), strict=True):
        others = [item for item in true if item != own][:k]
        found += len({*others} & {*near})
    return found / (k * len(ids))


def _last_words(error: Exception) -> str:
    """Cut FAISS's "Error in <C++ signature> at <file>: …" down to what it says."""
    return str(error).splitlines()[-1].rsplit(": ", 1)[-1].strip(" .")
