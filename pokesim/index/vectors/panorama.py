"""``search.faiss`` of a ``panorama`` index: exact, while reading only a small part of the vectors.

The vectors are rotated by a full-rank PCA, so that their first coordinates carry most of the
distance, and stored in FAISS's IndexFlatL2Panorama, which skips a vector as soon as bounds on the
rest of its distance show that it cannot be among the nearest (Ramani et al. 2025, "Panorama:
Fast-Track Nearest Neighbors", arXiv:2510.00566).

`faiss.read_index` opens the file. FAISS itself writes it only from memory and reads all of it into
memory, so we stream it when writing and memory-map it when reading. Layout (little-endian), after
faiss/impl/index_write.cpp, with n rounded up to whole batches in the two arrays:

    "IxFP"  int32 d  int64 levels  int64 batch  int64 n  uint8 trained
    uint64 size  the rows, batch by batch, level by level
    uint64 size  float32 (n, levels + 1), norms of what follows each level
"""

from __future__ import annotations

import math
import struct
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.index.vectors.flat import FlatVectors, rows_of, spread
from pokesim.index.vectors.knn import merge_nearest
from pokesim.index.vectors.mapped_file import MappedFile
from pokesim.index.vectors.selector import IdSelector
from pokesim.metric import load_matrix, save_matrix
from pokesim.threads import usable_cores

SEARCH_FILE = "search.faiss"

ROTATION_FILE = "rotation.npy"
"""Float32 (d + 1, d): the mean, then the principal directions as columns."""

_HEADER = struct.Struct("<4siqqqBQ")

_BATCH = 1024  # rows that FAISS processes together; also the most neighbours it can return

_WIDTH = 64  # coordinates per level

_BLOCK = 8 * _BATCH

_MAX_PCA_ROWS = 20_000


class Panorama:
    """The opened candidate index of ``count`` vectors; its files may be removed while it is used.

    Attributes:
        exact: True; its candidates are the true nearest, up to float32 rounding.
        max_k: the most neighbours it can return for a query.
    """

    exact = True

    def __init__(self, folder: Path, count: int, dimension: int) -> None:
        """Memory-map the files; they are checked before FAISS reads them.

        Raises:
            ValueError: a file is not what `write_panorama` writes for such vectors.
            OSError: a file is missing or cannot be read.
        """
        self.max_k = min(count, _BATCH)
        self._count, self._dimension = count, dimension
        self._file = MappedFile(folder / SEARCH_FILE)
        self._rotation = load_matrix(folder / ROTATION_FILE)
        data, head = self._file.held(), _header(count, dimension)
        rows, norms = _sizes(count, dimension)
        norms_at = len(head) + rows
        if (
            bytes(data[: len(head)]) != head
            or len(data) != norms_at + 8 + 4 * norms
            or bytes(data[norms_at : norms_at + 8]) != struct.pack("<Q", norms)
        ):
            raise ValueError("its header or its size differs")
        if self._rotation.shape != (dimension + 1, dimension):
            raise ValueError(f"{ROTATION_FILE} is of another dimension")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def candidates(
        self, xq: NDArray[np.float32], k: int, selector: IdSelector
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared float32 distances, ascending, and ids, both (nq, k), of the nearest.

        ``selector`` must select at least k vectors.
        Raises CorruptIndexError if the file is truncated.
        """
        _held = self._file.held()
        xq = _rotated(xq, self._rotation)
        found = self._pool.map(lambda shard: shard.candidates(xq, k, selector), self._shards)
        return merge_nearest(list(found), k)

    @cached_property
    def _shards(self) -> list[_Shard]:
        """The vectors, divided among the cores: FAISS searches one query on one core only."""
        data = self._file.held()
        batches = math.ceil(self._count / _BATCH)
        share = math.ceil(batches / usable_cores()) * _BATCH
        return [
            _Shard(
                data,
                self._count,
                self._dimension,
                start,
                min(start + share, self._count),
            )
            for start in range(0, self._count, share)
        ]

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(usable_cores(), "pokesim-search")


class _Shard:
    """A FAISS index over the mapped rows ``start`` to ``stop``; its norms are in memory."""

    def __init__(
        self, mapped: NDArray[np.uint8], count: int, dimension: int, start: int, stop: int
    ) -> None:
        import faiss

        size, _ = _sizes(count, dimension)
        bytes_before, norms_before = _sizes(start, dimension)
        own_bytes, own_norms = _sizes(stop - start, dimension)
        rows = mapped[_HEADER.size + bytes_before :][:own_bytes]
        self._start = start
        index: Any = faiss.IndexFlatL2Panorama(dimension, _levels(dimension), _BATCH)
        view: Any = faiss.MaybeOwnedVectorUInt8
        no_owner = view().owner  # the memory map is ours, and outlives the index
        index.codes = view.create_view(faiss.swig_ptr(rows), own_bytes, no_owner)
        norms_at = _HEADER.size + size + 8 + 4 * norms_before
        norms = np.frombuffer(mapped, "<f4", own_norms, norms_at)
        faiss.copy_array_to_vector(np.array(norms), index.cum_sums)
        index.ntotal = stop - start
        self._index = index

    def candidates(
        self, xq: NDArray[np.float32], k: int, selector: IdSelector
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances and ids, (nq, ≤ k); the largest float32 pads a short row."""
        D, I = self._index.search(
            xq, min(k, self._index.ntotal), params=selector.parameters(self._start)
        )
        return D, I + self._start


def write_panorama(folder: Path, flat: FlatVectors) -> None:
    """Write the candidate index of a flat index's vectors, block by block.

    Memory grows only with the norms: 4 bytes for each 64 coordinates of a vector.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    import faiss

    rotation = _principal_directions(flat)
    save_matrix(folder / ROTATION_FILE, rotation)
    norms: list[NDArray[np.float32]] = []
    with (folder / SEARCH_FILE).open("wb") as file:
        file.write(_header(flat.ntotal, flat.d))
        for rows in rows_of(flat, _BLOCK):
            block: Any = faiss.IndexFlatL2Panorama(flat.d, _levels(flat.d), _BATCH)
            block.add(_rotated(rows, rotation))
            file.write(faiss.vector_to_array(block.codes).tobytes())
            norms.append(faiss.vector_to_array(block.cum_sums))
        file.write(struct.pack("<Q", sum(map(len, norms))))
        for block_norms in norms:
            file.write(block_norms.tobytes())


def _principal_directions(flat: FlatVectors) -> NDArray[np.float32]:
    """Return the content of `ROTATION_FILE`, fitted to a sample: any rotation keeps distances."""
    x = spread(flat, _MAX_PCA_ROWS)
    mean = x.mean(axis=0)
    x -= mean
    _, directions = np.linalg.eigh((x.T @ x).astype(np.float64))  # in ascending order
    return np.vstack([mean, directions[:, ::-1]]).astype(np.float32)


def _rotated(rows: NDArray[np.float32], rotation: NDArray[np.float32]) -> NDArray[np.float32]:
    rotated: NDArray[np.float32] = np.ascontiguousarray((rows - rotation[0]) @ rotation[1:])
    return rotated


def _levels(dimension: int) -> int:
    return math.ceil(dimension / _WIDTH)


def _sizes(count: int, dimension: int) -> tuple[int, int]:
    """Return the bytes of the rows, and the number of norms."""
    padded = math.ceil(count / _BATCH) * _BATCH
    return 4 * padded * dimension, padded * (_levels(dimension) + 1)


def _header(count: int, dimension: int) -> bytes:
    rows, _ = _sizes(count, dimension)
    return _HEADER.pack(b"IxFP", dimension, _levels(dimension), _BATCH, count, 1, rows)
