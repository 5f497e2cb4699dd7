"""``search.faiss`` of an index with ``panorama``: exact, and reads a small part of the vectors.

The vectors are turned by a full-rank PCA, so that their first coordinates tell most, and kept in
FAISS's IndexFlatL2Panorama, which passes over a vector as soon as bounds on the rest of its
distance say that it cannot be among the nearest (Ramani et al. 2025, "Panorama: Fast-Track Nearest
Neighbors", arXiv:2510.00566).

The file is one that `faiss.read_index` opens. FAISS writes it only from memory and reads all of it
into memory, so here it is streamed, and mapped. Layout (little-endian), after
faiss/impl/index_write.cpp, with n rounded up to whole batches in the two arrays:

    "IxFP"  int32 d  int64 levels  int64 batch  int64 n  uint8 trained
    uint64 size  the rows, batch by batch, level by level
    uint64 size  float32 (n, levels + 1), lengths of what follows each level
"""

from __future__ import annotations

import math
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.index.vectors.flat import rows_of, spread
from pokesim.index.vectors.selector import IdSelector
from pokesim.threads import usable_cores

SEARCH_FILE = "search.faiss"

ROTATION_FILE = "rotation.npy"
"""Float32 (d + 1, d): the mean, and the PCA's directions as columns."""

_HEADER = struct.Struct("<4siqqqBQ")

_BATCH = 1024  # rows that are looked at together; no more neighbours than these can be found

_WIDTH = 64  # coordinates of a level

_BLOCK = 8 * _BATCH

_SAMPLE = 20_000  # rows that the PCA is fitted to at most


class Panorama:
    """The opened structure of ``count`` vectors; the files may be removed while it is used.

    Attributes:
        exact: it nominates the true nearest, but for rounding.
        most: how many neighbours it can be asked for.
    """

    exact = True

    def __init__(self, folder: Path, count: int, dimension: int) -> None:
        """Map the files, looked at before FAISS sees a byte of them.

        Raises:
            ValueError: a file is not what `write` wrote for such vectors.
            OSError: a file is missing or cannot be read.
        """
        self.max_k = min(count, _BATCH)
        self._count, self._dimension = count, dimension
        self._map = np.memmap(folder / SEARCH_FILE, mode="r")
        self._rotation = np.load(folder / ROTATION_FILE, mmap_mode="r", allow_pickle=False)
        head = _header(count, dimension)
        rows, lengths = _sizes(count, dimension)
        if (
            bytes(self._map[: len(head)]) != head
            or len(self._map) != len(head) + rows + 8 + 4 * lengths
            or self._rotation.shape != (dimension + 1, dimension)
            or self._rotation.dtype != np.float32
        ):
            raise ValueError

    def candidates(
        self, xq: NDArray[np.float32], k: int, among: IdSelector
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances and ids, (nq, k), of the nearest as float32 sees them.

        The selection has at least k.
        """
        turned = _rotated(xq, self._rotation)
        found = list(self._pool.map(lambda part: part.candidates(turned, k, among), self._parts))
        D = np.concatenate([D for D, _ in found], axis=1)  # (nq, parts · k)
        I = np.concatenate([I for _, I in found], axis=1)  # noqa: E741
        order = np.argsort(D, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(D, order, 1), np.take_along_axis(I, order, 1)

    @cached_property
    def _parts(self) -> list[_Part]:
        """The batches, shared out among the cores: FAISS gives one query to one core only."""
        batches = math.ceil(self._count / _BATCH)
        share = math.ceil(batches / usable_cores()) * _BATCH
        return [
            _Part(self._map, self._count, self._dimension, start, min(start + share, self._count))
            for start in range(0, self._count, share)
        ]

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(usable_cores(), "pokesim-search")


class _Part:
    """FAISS's index around the mapped rows ``start`` to ``stop`` of a file; lengths are read."""

    def __init__(
        self, mapped: NDArray[np.uint8], count: int, dimension: int, start: int, stop: int
    ) -> None:
        import faiss

        size, _ = _sizes(count, dimension)
        skipped_bytes, skipped = _sizes(start, dimension)
        own_bytes, own = _sizes(stop - start, dimension)
        rows = mapped[_HEADER.size + skipped_bytes :][:own_bytes]
        self._start = start
        index: Any = faiss.IndexFlatL2Panorama(dimension, _levels(dimension), _BATCH)
        view: Any = faiss.MaybeOwnedVectorUInt8
        nobody = view().owner  # the map is ours, and outlives the index
        index.codes = view.create_view(faiss.swig_ptr(rows), own_bytes, nobody)
        rests = np.frombuffer(mapped, "<f4", own, _HEADER.size + size + 8 + 4 * skipped)
        faiss.copy_array_to_vector(np.array(rests), index.cum_sums)
        index.ntotal = stop - start
        self._index = index

    def candidates(
        self, xq: NDArray[np.float32], k: int, among: IdSelector
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances and ids, (nq, ≤ k); the largest distance where there is none."""
        D, I = self._index.search(  # noqa: E741
            xq, min(k, self._index.ntotal), params=among.parameters(self._start)
        )
        return D, I + self._start


def write_panorama(folder: Path, flat: Any) -> None:  # noqa: ANN401
    """Write the structure of a flat index's vectors, block by block.

    Memory grows only by the lengths, 4 bytes for each 64 coordinates of a vector.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    import faiss

    rotation = _principal_directions(flat)
    np.save(folder / ROTATION_FILE, rotation, allow_pickle=False)
    rests: list[NDArray[np.float32]] = []
    with (folder / SEARCH_FILE).open("wb") as file:
        file.write(_header(flat.ntotal, flat.d))
        for rows in rows_of(flat, _BLOCK):
            block: Any = faiss.IndexFlatL2Panorama(flat.d, _levels(flat.d), _BATCH)
            block.add(_rotated(rows, rotation))
            file.write(faiss.vector_to_array(block.codes).tobytes())
            rests.append(faiss.vector_to_array(block.cum_sums))
        file.write(struct.pack("<Q", sum(map(len, rests))))
        for part in rests:
            file.write(part.tobytes())
        file.flush()
        os.fsync(file.fileno())


def _principal_directions(flat: Any) -> NDArray[np.float32]:  # noqa: ANN401
    """Return what `ROTATION_FILE` holds; any rotation keeps distances, so a sample will do."""
    x = spread(flat, _SAMPLE)
    mean = x.mean(axis=0)
    x -= mean
    _, directions = np.linalg.eigh((x.T @ x).astype(np.float64))  # in ascending order
    return np.vstack([mean, directions[:, ::-1]]).astype(np.float32)


def _rotated(rows: NDArray[np.float32], rotation: NDArray[np.float32]) -> NDArray[np.float32]:
    turned: NDArray[np.float32] = np.ascontiguousarray((rows - rotation[0]) @ rotation[1:])
    return turned


def _levels(dimension: int) -> int:
    return math.ceil(dimension / _WIDTH)


def _sizes(count: int, dimension: int) -> tuple[int, int]:
    """Return the bytes of the rows, and the number of lengths."""
    padded = math.ceil(count / _BATCH) * _BATCH
    return 4 * padded * dimension, padded * (_levels(dimension) + 1)


def _header(count: int, dimension: int) -> bytes:
    rows, _ = _sizes(count, dimension)
    return _HEADER.pack(b"IxFP", dimension, _levels(dimension), _BATCH, count, 1, rows)
