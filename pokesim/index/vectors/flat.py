"""``vectors.faiss``: a plain FAISS IndexFlatL2 file, written row by row, opened by memory map.

FAISS itself writes an index only from memory. The file is a fixed header and the rows, so we
stream the rows and fill in the count at the end; `faiss.read_index` opens it like any other.
Layout (little-endian), after faiss/impl/index_write.cpp:

    "IxF2"  int32 d  int64 n  int64 2**20  int64 2**20  uint8 trained  int32 metric  uint64 n·d
    float32 rows (n, d)
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import IndexFolderError
from pokesim.metric import Projection
from pokesim.timing import span

VECTORS_FILE = "vectors.faiss"

BASE_FILE = "plain.faiss"
"""In a tuned index: the base vectors, before the learned projection, in the same format."""

_HEADER = struct.Struct("<4siqqqBiQ")

_METRIC_L2 = 1


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


def open_vectors(path: Path, count: int, dimension: int) -> Any:
    """Memory-map a flat index; its header is checked before FAISS reads the file.

    Raises:
        IndexFolderError: the file is not a flat L2 index of ``count`` × ``dimension``.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
    size = _HEADER.size + 4 * count * dimension
    if head != header(dimension, count) or path.stat().st_size != size:
        raise IndexFolderError(
            f"{path} is not a FAISS flat index of {count} vectors of dimension {dimension}; "
            "build the index again."
        )
    with span("import FAISS"):
        import faiss

    return faiss.read_index(os.fspath(path), faiss.IO_FLAG_MMAP_IFC)


def rows_of(index: Any, size: int = 8192) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors of an opened index in blocks, float32 (≤ size, d)."""
    for start in range(0, index.ntotal, size):
        yield index.reconstruct_n(start, min(size, index.ntotal - start))


def spread(index: Any, limit: int) -> NDArray[np.float32]:
    """Return an evenly spaced sample of an index's vectors, float32 (≤ limit, d)."""
    rows: NDArray[np.float32] = index.reconstruct_batch(spread_ids(index.ntotal, limit))
    return rows


def spread_ids(count: int, limit: int) -> NDArray[np.int64]:
    """Return evenly spaced ids of an index of ``count`` vectors, (≤ limit,)."""
    return np.linspace(0, count - 1, min(limit, count)).astype(np.int64)


def project_file(base: Path, out: Path, count: int, projection: Projection) -> None:
    """Write the projected vectors of one file to another; memory does not grow with them."""
    source = open_vectors(base, count, projection.base_dimension)
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
