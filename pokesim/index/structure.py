"""``search.faiss``: finds candidates faster than a scan of all vectors, where an index has it.

``vectors.faiss`` always holds every vector as it is, and decides; the structure only nominates.

- ``flat``: there is none, FAISS scans ``vectors.faiss``.
- ``panorama``: exact. The vectors are turned by a full-rank PCA, so that the first coordinates tell
  most, and kept in FAISS's IndexFlatL2Panorama, which passes over a vector as soon as bounds on the
  rest of its distance say that it cannot be among the nearest (Ramani et al. 2025, "Panorama: Fast-
  Track Nearest Neighbors", arXiv:2510.00566).
- any other FAISS factory string, such as ``IVF1024,Flat`` or ``HNSW32``: approximate, with its
  recall measured when it is built. FAISS's own parameters may follow: ``IVF1024,Flat nprobe=64``.

``search.faiss`` is a FAISS file like any other. FAISS writes one only from memory; a Panorama file
is streamed here, as `vectors` does with a flat one. Layout (little-endian), after
faiss/impl/index_write.cpp, n rounded up to whole batches in the two arrays:

    "IxFP"  int32 d  int64 levels  int64 batch  int64 n  uint8 trained
    uint64 size  the rows, in batches, level by level    uint64 size  float32 lengths of the rests
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import IndexFolderError, PokesimError, UsageError
from pokesim.index import vectors

FILE = "search.faiss"
ROTATION_FILE = "rotation.npy"
"""Of ``panorama``: float32 (d + 1, d), the mean and the PCA's directions as columns."""

FLAT, PANORAMA, AUTO = "flat", "panorama", "auto"

PANORAMA_BYTES = 64 << 20
"""From this size of the vectors on, ``auto`` takes Panorama: `make bench` shows where it wins."""

RECALL_AT = 10

_HEADER = struct.Struct("<4siqqqB")
_BATCH = 1024  # rows that Panorama looks at together; it finds no more neighbours than these
_LEVELS = 16  # parts that it cuts a vector into
_BLOCK = 8 * _BATCH
_PCA_SAMPLE, _SAMPLE = 20_000, 50_000  # rows a PCA, or another structure, is fitted to at most
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


class Structure:
    """An opened search structure.

    Attributes:
        exact: it nominates the true nearest, but for rounding.
        most: how many neighbours it can be asked for.
    """

    def __init__(self, folder: Path, record: SearchRecord, count: int, dimension: int) -> None:
        """Open the structure of ``count`` vectors by memory map.

        Raises:
            IndexFolderError: a file is not what was written.
            OSError: a file is missing or cannot be read.
        """
        import faiss

        path = folder / FILE
        self.exact = record.used == PANORAMA
        self.most = min(count, _BATCH) if self.exact else count
        self._rotation: NDArray[np.float32] | None = None
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
        try:
            if self.exact:
                self._rotation = np.load(folder / ROTATION_FILE, mmap_mode="r", allow_pickle=False)
                if head != _header(count, dimension):
                    raise ValueError
            self._faiss: Any = faiss.read_index(os.fspath(path), faiss.IO_FLAG_MMAP_IFC)
            if self._faiss.ntotal != count:
                raise ValueError
        except (ValueError, RuntimeError) as error:
            raise IndexFolderError(
                f"{path} is not the search structure of {count} vectors of dimension {dimension}; "
                "build the index again."
            ) from error

    def nominate(
        self, xq: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances and ids, (nq, k), of near vectors; id -1 where there is none."""
        if self._rotation is not None:
            xq = _rotated(xq, self._rotation)
        D, I = self._faiss.search(xq, k)  # noqa: E741
        return D, I


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
    if used == FLAT:
        return SearchRecord(asked, used)
    flat = vectors.open_vectors(folder / vectors.FILE, count, dimension)
    if used == PANORAMA:
        rotation = _principal_directions(flat)
        np.save(folder / ROTATION_FILE, rotation, allow_pickle=False)
        _write_panorama(folder / FILE, flat, rotation)
        return SearchRecord(asked, used)
    _write_approximate(folder / FILE, flat, used)
    record = SearchRecord(asked, used)
    return replace(record, recall=_recall(Structure(folder, record, count, dimension), flat))


def _sample(flat: Any, most: int) -> NDArray[np.float32]:  # noqa: ANN401 - faiss is untyped
    """Return vectors of an index, evenly spread over it, float32 (≤ most, d)."""
    ids = np.linspace(0, flat.ntotal - 1, min(most, flat.ntotal)).astype(np.int64)
    rows: NDArray[np.float32] = flat.reconstruct_batch(ids)
    return rows


def _principal_directions(flat: Any) -> NDArray[np.float32]:  # noqa: ANN401
    """Return what `ROTATION_FILE` holds.

    Any rotation leaves distances as they are, so a sample will do.
    """
    x = _sample(flat, _PCA_SAMPLE)
    mean = x.mean(axis=0)
    x -= mean
    _, directions = np.linalg.eigh((x.T @ x).astype(np.float64))  # ascending
    return np.vstack([mean, directions[:, ::-1]]).astype(np.float32)


def _rotated(rows: NDArray[np.float32], rotation: NDArray[np.float32]) -> NDArray[np.float32]:
    turned: NDArray[np.float32] = np.ascontiguousarray((rows - rotation[0]) @ rotation[1:])
    return turned


def _levels(dimension: int) -> int:
    return min(_LEVELS, dimension)


def _header(count: int, dimension: int) -> bytes:
    return _HEADER.pack(b"IxFP", dimension, _levels(dimension), _BATCH, count, 1)


def _write_panorama(path: Path, flat: Any, rotation: NDArray[np.float32]) -> None:  # noqa: ANN401
    """Stream the file block by block; memory grows only by the lengths, 68 bytes a vector."""
    import faiss

    lengths: list[NDArray[np.float32]] = []
    with path.open("wb") as file:
        # The sizes of both arrays follow from the shape, so nothing has to be put in later.
        batches = math.ceil(flat.ntotal / _BATCH)
        levels = _levels(flat.d)
        file.write(_header(flat.ntotal, flat.d))
        file.write(struct.pack("<Q", 4 * batches * _BATCH * flat.d))
        for rows in vectors.rows_of(flat, _BLOCK):
            block: Any = faiss.IndexFlatL2Panorama(flat.d, levels, _BATCH)
            block.add(_rotated(rows, rotation))
            file.write(faiss.vector_to_array(block.codes).tobytes())
            lengths.append(faiss.vector_to_array(block.cum_sums))
        file.write(struct.pack("<Q", sum(map(len, lengths))))
        for part in lengths:
            file.write(part.tobytes())
        file.flush()
        os.fsync(file.fileno())


def _empty(used: str, dimension: int) -> Any:  # noqa: ANN401
    """Return the untrained FAISS index that a factory string names. Raises UsageError."""
    import faiss

    factory = used.partition(" ")[0]
    try:
        index = faiss.index_factory(dimension, factory, faiss.METRIC_L2)
        _set_parameters(index, used)
    except (RuntimeError, ValueError, TypeError) as error:
        raise UsageError(
            f"--search {used} is neither flat, panorama nor auto, and FAISS makes no index of it "
            f"for vectors of dimension {dimension} ({_last_words(error)})."
        ) from error
    return index


def _set_parameters(index: Any, used: str) -> None:  # noqa: ANN401
    """Set FAISS's own parameters (the file keeps them): what follows the factory string."""
    import faiss

    ivf = faiss.try_extract_index_ivf(index)
    if ivf is not None:  # FAISS's own choice, to look into 1 cell, misses too many
        ivf.nprobe = max(1, round(math.sqrt(ivf.nlist)))
    if parameters := used.partition(" ")[2]:
        space: Any = faiss.ParameterSpace()
        space.set_index_parameters(index, parameters)


def _write_approximate(path: Path, flat: Any, used: str) -> None:  # noqa: ANN401
    import faiss

    index = _empty(used, flat.d)
    try:
        index.train(_sample(flat, _SAMPLE))
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


def _recall(structure: Structure, flat: Any) -> float:  # noqa: ANN401
    """Return the share of the true nearest that a structure nominates for vectors of the index."""
    k = min(RECALL_AT, flat.ntotal - 1)
    if k < 1:
        return 1.0
    ids = np.linspace(0, flat.ntotal - 1, min(_ASKED, flat.ntotal)).astype(np.int64)
    xq = flat.reconstruct_batch(ids)
    _, nearest = flat.search(xq, k + 1)
    _, nominated = structure.nominate(xq, nominations(k + 1))
    found = total = 0
    for own, true, near in zip(ids, nearest, nominated, strict=True):
        others = [item for item in true if item != own][:k]
        found += len(np.intersect1d(others, near))
        total += len(others)
    return found / total


def nominations(k: int) -> int:
    """Return how many candidates an approximate structure is asked for, of which k remain.

    Their true distances decide, so that what the structure rounds away does no harm.
    """
    return 4 * k + 10


def _last_words(error: Exception) -> str:
    """Cut FAISS's "Error in <C++ signature> at <file>: …" down to what it says."""
    return str(error).splitlines()[-1].rsplit(": ", 1)[-1].strip(" .")
