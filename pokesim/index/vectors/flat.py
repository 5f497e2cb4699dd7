"""``vectors.faiss``: a plain FAISS IndexFlatL2 file, written row by row, opened by memory map.

FAISS itself writes an index only from memory. The file is a fixed header and the rows, so we
stream the rows and fill in the count at the end; `faiss.read_index` opens it like any other. Single
rows are read without FAISS, which takes longer to import than a small index to search.
Layout (little-endian), after faiss/impl/index_write.cpp:

    "IxF2"  int32 d  int64 n  int64 2**20  int64 2**20  uint8 trained  int32 metric  uint64 n·d
    float32 rows (n, d)
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import CorruptIndexError
from pokesim.index.vectors.mapped_file import MappedFile
from pokesim.metric import Projection

VECTORS_FILE = "vectors.faiss"

BASE_FILE = "plain.faiss"
"""In a tuned index: the base vectors, before the learned projection, in the same format."""

SEARCH_FILE = "search.faiss"
"""Their candidate index, if they have one; see `candidates`."""

_HEADER = struct.Struct("<4siqqqBiQ")

_METRIC_L2 = 1

_BLOCK = 8192


class VectorWriter:
    """Streams float32 rows into a FAISS flat file; memory does not grow with the rows."""

    def __init__(self, path: Path, dimension: int) -> None:
        self.dimension = dimension
        self.count = 0
        self._file: IO[bytes] = path.open("wb")
        self._file.write(header(dimension, 0))

    def add(self, rows: NDArray[np.float32]) -> None:
        """Append rows, float32 (n, dimension)."""
        if rows.shape[1:] != (self.dimension,):
            raise ValueError(f"rows of shape {rows.shape}, not (n, {self.dimension})")
        self._file.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
        self.count += len(rows)

    def finish(self) -> None:
        """Write the count into the header, and close the file."""
        self._file.seek(0)
        self._file.write(header(self.dimension, self.count))
        self._file.close()

    def close(self) -> None:
        """Close the file without finishing it."""
        self._file.close()


class FlatVectors:
    """The opened vectors of an index, memory-mapped; the file may be removed while they are used.

    Attributes:
        ntotal, d: their number and dimension, called as FAISS calls them.
    """

    def __init__(self, path: Path, count: int, dimension: int) -> None:
        """Map a file, and check its header and its size.

        Raises:
            CorruptIndexError: the file is not a flat L2 index of ``count`` × ``dimension``.
            OSError: it is missing, cannot be read, or is not a regular file.
        """
        self.ntotal, self.d = count, dimension
        expected = header(dimension, count)
        try:
            self._file = MappedFile(path)
        except ValueError:
            size, head = 0, b""
        else:
            data = self._file.held()
            size, head = len(data), bytes(data[: _HEADER.size])
        if head != expected or size != _HEADER.size + 4 * count * dimension:
            raise CorruptIndexError(
                f"{path} is not a FAISS flat index of {count} vectors of dimension {dimension}; "
                "build the index again."
            )

    @cached_property
    def _index(self) -> Any:
        return self._file.read_faiss()

    def _rows(self) -> NDArray[np.uint8]:
        """Return the bytes of the vectors, (n, 4 * d): in the file, numbers are not aligned."""
        return self._file.held()[_HEADER.size :].reshape(self.ntotal, 4 * self.d)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def search(
        self, xq: NDArray[np.float32], k: int, params: Any = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances and ids, both (nq, k), of the nearest vectors of (nq, d).

        ``params`` are FAISS's search parameters. Raises CorruptIndexError if the file is truncated.
        """
        _held = self._file.held()
        if params is None and len(xq) == 1:
            params = _one_thread()
        D, I = self._index.search(xq, k, params=params)
        return D, I

    def reconstruct_batch(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of ids (n,).

        Raises:
            CorruptIndexError: there is no such id, or the file is truncated.
        """
        if len(ids) and not 0 <= ids.min() <= ids.max() < self.ntotal:
            raise CorruptIndexError(
                f"{self._file.path} has {self.ntotal} vectors, but another file of the index "
                "refers to more; build the index again."
            )
        return self._rows().take(ids, axis=0).view(np.float32)

    def distances(self, query: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the squared distances of a query (d,) to the vectors of ids (n,), float32 (n,).

        Raises CorruptIndexError as `reconstruct_batch`.
        """
        distances = np.empty(len(ids), np.float32)
        for start in range(0, len(ids), _BLOCK):
            rows = self.reconstruct_batch(ids[start : start + _BLOCK])
            rows -= query
            np.einsum("nd,nd->n", rows, rows, out=distances[start : start + _BLOCK])
        return distances

    def reconstruct_n(self, start: int, count: int) -> NDArray[np.float32]:
        """Return ``count`` vectors from ``start`` on, float32 (count, d).

        Raises CorruptIndexError if the file is truncated.
        """
        return self._rows()[start : start + count].copy().view(np.float32)


def _one_thread() -> Any:
    """Return FAISS's parameters for searching all with one thread.

    One thread scans for a query, and with no selector the others wait for it busily, which takes
    twice the time on two cores.
    """
    import faiss

    parameters: Any = faiss.SearchParameters
    return parameters(sel=faiss.IDSelectorAll())


def rows_of(index: FlatVectors, size: int = _BLOCK) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors of an opened index in blocks, float32 (≤ size, d)."""
    for start in range(0, index.ntotal, size):
        yield index.reconstruct_n(start, min(size, index.ntotal - start))


def spread(index: FlatVectors, limit: int) -> NDArray[np.float32]:
    """Return an evenly spaced sample of an index's vectors, float32 (≤ limit, d)."""
    return index.reconstruct_batch(spread_ids(index.ntotal, limit))


def spread_ids(count: int, limit: int) -> NDArray[np.int64]:
    """Return evenly spaced ids of an index of ``count`` vectors, (≤ limit,)."""
    return np.linspace(0, count - 1, min(limit, count)).astype(np.int64)


def project_file(base: Path, out: Path, count: int, projection: Projection) -> None:
    """Write the projected vectors of one file to another; memory does not grow with them."""
    source = FlatVectors(base, count, projection.base_dimension)
    with contextlib.closing(VectorWriter(out, projection.dimension)) as writer:
        for rows in rows_of(source):
            writer.add(projection.apply(rows))
        writer.finish()


def header(dimension: int, count: int) -> bytes:
    """Return the header that precedes the rows of a file."""
    reserved = 1 << 20
    return _HEADER.pack(
        b"IxF2", dimension, count, reserved, reserved, 1, _METRIC_L2, count * dimension
    )
