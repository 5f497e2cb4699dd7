"""``search.faiss`` of a ``pca`` index: exact, while reading a small part of the vectors' bytes.

Each vector has a code: its first coordinates after a rotation to the principal directions, and the
length of the rest, in 8 bits each, or in 16 where vectors differ by little. Such coordinates make
no distance longer, and the rounding moves no vector by more than a distance r that is measured when
the file is written. So every vector whose code is farther from a query than its k-th nearest vector
by more than r is certainly farther; the few others are compared by the vectors themselves. The
rotation spreads the variance evenly among the coordinates that are kept, since all have one step
size.

The idea of certain bounds from quantised vectors is that of the VA-file (Weber, Schek and Blott,
"A Quantitative Analysis and Performance Study for Similarity-Search Methods in High-Dimensional
Spaces", VLDB 1998).

`faiss.read_index` opens the file. FAISS itself writes it only from memory and reads all of it into
memory, so we stream it when writing and memory-map it when reading. Layout (little-endian), after
faiss/impl/index_write.cpp, of an IndexScalarQuantizer of QT_8bit_direct_signed (8) or QT_fp16 (4):

    "IxSQ"  int32 h  int64 n  int64 2**20  int64 2**20  uint8 trained  int32 metric
    int32 8 or 4  int32 0  float32 0  uint64 h  uint64 bytes of a code  uint64 0  uint64 of all
    codes (n, h): uint8, each more by 128, or float16
"""

from __future__ import annotations

import math
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import CorruptIndexError
from pokesim.index.vectors.flat import ROTATION_FILE, SEARCH_FILE, FlatVectors, spread
from pokesim.index.vectors.knn import merge_nearest
from pokesim.index.vectors.mapped_file import MappedFile
from pokesim.index.vectors.selector import IdSelector
from pokesim.metric import parse_matrix, save_matrix
from pokesim.threads import usable_cores

_HEADER = struct.Struct("<4siqqqBiiifQQQQ")

_METRIC_L2 = 1

_LEVELS = 127  # of a coordinate in 8 bits, in either direction

_WIDTH = 64  # the number of coordinates is a multiple of it: whole cache lines are scanned fastest

_ROOM = 1.1  # for coordinates that are larger than those of the sample

_MAX_K = 1024

_NOMINEES = 512  # codes that are looked at; eight times as many if these may not be all

_FIRST = 32  # vectors that are compared first

_MORE = 8  # times as many nominees, if the first ones do not suffice

_TOO_MANY = 0.05  # share of the vectors from which on all are scanned instead

_BLOCK = 8192

_MAX_SAMPLE = 20_000

_QUERIES, _MAX_BASE = 64, 5_000  # vectors of the index that choose the number of coordinates

# What such a query seeks: the nearest 2 in 5,000. It is turned away from all vectors until this is
# its cosine with what it was, as a photo is only so much like its nearest picture.
_SOUGHT, _LIKE = 0.0004, 0.5

_GROWTH = 1.5  # how much larger the vectors may have become since the rotation was fitted to them

_COMPARING = 40  # how much longer comparing a coordinate takes than scanning a byte

_ROUNDING = 2.0**-23

Rows = NDArray[np.float32]

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A way to store a coordinate.

    Attributes:
        number: FAISS's number of it, a ScalarQuantizer.QuantizerType.
        bytes: bytes of a coordinate.
        largest: the largest one, in steps.
        radius: about how far rounding moves a vector and a query, as a share of the root mean
            square length.
    """

    number: int
    bytes: int
    largest: int
    radius: float


_INT8, _FLOAT16 = _Kind(8, 1, _LEVELS, 0.0175), _Kind(4, 2, 60_000, 0.0005)
"""Whole numbers, and where vectors differ by little, float16 numbers."""


class PcaCodes:
    """The opened codes of an index's vectors; their files may be removed while it is used.

    Attributes:
        exact: True; its candidates are the true nearest, up to float32 rounding.
        max_k: the most neighbours it can return for a query.
        kind: how a coordinate is stored.
    """

    exact = True

    def __init__(self, folder: Path, flat: FlatVectors) -> None:
        """Memory-map the files. The rotation is read by the first search, so opening is quick.

        Raises:
            ValueError: the codes are not what `write_pca` writes for such vectors.
            OSError: a file is missing or cannot be read.
        """
        self._flat, self.max_k = flat, min(flat.ntotal, _MAX_K)
        self._rotation = MappedFile(folder / ROTATION_FILE)
        self._file = MappedFile(folder / SEARCH_FILE)
        self._first = threading.Lock()
        head = bytes(self._file.held()[: _HEADER.size])
        self._width = width = int.from_bytes(head[4:8], "little")
        heads = {_header(flat.ntotal, width, kind): kind for kind in (_INT8, _FLOAT16)}
        kind = heads.get(head)
        if not kind or not 1 <= width <= flat.d:
            raise ValueError("its header differs")
        if len(self._file.held()) != _HEADER.size + flat.ntotal * width * kind.bytes:
            raise ValueError("its size differs")
        self.kind = kind

    def close(self) -> None:
        """Close the files."""
        self._rotation.close()
        self._file.close()

    @property
    def stored(self) -> NDArray[np.uint8]:
        """The bytes of the codes, (n, bytes of a code). Raises CorruptIndexError if truncated."""
        return self._file.held()[_HEADER.size :].reshape(self._flat.ntotal, -1)

    @property
    def rotation(self) -> bytes:
        """The bytes of the rotation's file. Raises CorruptIndexError if it is truncated."""
        return self._rotation.held().tobytes()

    @cached_property
    def quantizer(self) -> _Quantizer:
        """The map from vectors to codes. Raises CorruptIndexError if its file is damaged."""
        path = self._rotation.path
        try:
            return _parse_quantizer(path.name, self.rotation, self._flat.d, self._width)
        except ValueError as error:
            raise CorruptIndexError(
                f"{path} is not the rotation of the codes beside it ({error}); build the index "
                "again."
            ) from error

    def candidates(self, xq: Rows, k: int, selector: IdSelector) -> tuple[Rows, Ids]:
        """Return squared float32 distances, ascending, and ids, both (nq, k), of the nearest.

        ``selector`` must select at least k vectors.
        Raises CorruptIndexError if a file is truncated, or the rotation is damaged.
        """
        _held = self._file.held()
        with self._first:
            quantizer, _, _ = self.quantizer, self._shards, self._pool
        # Limiting a query to a box around all codes makes it no farther from any of them. FAISS may
        # compare codes of whole numbers with whole numbers only, so we round a query, and allow
        # for that.
        limited = quantizer.scaled(xq).clip(-self.kind.largest, self.kind.largest)
        codes = (np.rint(limited) if self.kind is _INT8 else limited).astype(np.float32)
        moved = np.linalg.norm(limited - codes, axis=1)
        nominees = self._nominees(codes, max(_NOMINEES, 2 * k), selector)
        rows = zip(xq, codes, moved, *nominees, strict=True)
        found = [self._refined(*row, k, selector) for row in rows]
        return np.stack([D for D, _ in found]), np.stack([I for _, I in found])

    def _nominees(self, codes: Rows, count: int, selector: IdSelector) -> tuple[Rows, Ids]:
        """Return squared distances, ascending, and ids of the nearest codes, (nq, ≤ count)."""
        count = min(count, len(selector))
        parts = self._pool.map(lambda shard: shard.nearest(codes, count, selector), self._shards)
        return merge_nearest(list(parts), count)

    def _refined(
        self, query: Rows, code: Rows, moved: float, D: Rows, ids: Ids, k: int, selector: IdSelector
    ) -> tuple[Rows, Ids]:
        """Return the k nearest of a query (d,), given its code (h,) and the codes nearest to it.

        ``moved`` is how far its coordinates are from its code, in steps.
        """
        while True:
            # The first ones give a bound, and few of the others are within it.
            first = max(_FIRST, 2 * k)
            distances = self._flat.distances(query, ids[:first])
            bound = self.quantizer.bound(code, moved, np.partition(distances, k - 1)[k - 1])
            if len(ids) == len(selector) or D[-1] > bound:
                ids = ids[: max(first, int(np.searchsorted(D, bound, "right")))]
                distances = np.concatenate([distances, self._flat.distances(query, ids[first:])])
                nearest = np.lexsort((ids, distances))[:k]
                return distances[nearest], ids[nearest]
            if _MORE * len(ids) > _TOO_MANY * len(selector):
                found = self._flat.search(query[None], k, selector.parameters())
                return found[0][0], found[1][0]
            (D,), (ids,) = self._nominees(code[None], _MORE * len(ids), selector)

    @cached_property
    def _shards(self) -> list[_Shard]:
        """The codes, divided among the cores: FAISS searches one query on one core only."""
        data = self.stored
        share = 8 * math.ceil(len(data) / usable_cores() / 8)  # a selector has a bit for each
        return [_Shard(data, start, share, self.kind) for start in range(0, len(data), share)]

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        import faiss

        # FAISS's own threads share queries; for one query, all but one of them wait busily.
        alone: Any = faiss.omp_set_num_threads  # limits the threads of its caller
        return ThreadPoolExecutor(usable_cores(), "pokesim-search", alone, (1,))


class _Shard:
    """A FAISS index over the mapped codes ``start`` to ``start + share``."""

    def __init__(self, codes: NDArray[np.uint8], start: int, share: int, kind: _Kind) -> None:
        import faiss

        rows = codes[start : start + share]
        self._start = start
        width = rows.shape[1] // kind.bytes
        index: Any = faiss.IndexScalarQuantizer(width, kind.number, faiss.METRIC_L2)
        view: Any = faiss.MaybeOwnedVectorUInt8
        no_owner = view().owner  # the memory map is ours, and outlives the index
        index.codes = view.create_view(faiss.swig_ptr(rows), rows.size, no_owner)
        index.ntotal = len(rows)
        self._index = index

    def nearest(self, codes: Rows, count: int, selector: IdSelector) -> tuple[Rows, Ids]:
        """Return squared distances and ids, (nq, ≤ count); the largest float32 pads a short row."""
        D, I = self._index.search(
            codes, min(count, self._index.ntotal), params=selector.parameters(self._start)
        )
        return D, np.where(I < 0, I, I + self._start)


class _Quantizer(NamedTuple):
    """The map from vectors to codes.

    Attributes:
        step: the distance between two levels of a coordinate.
        fitted: the number of vectors that it was fitted to; 0 if it is not known.
        radius: no vector is farther than this from its code, after the rotation.
        mean: float64 (d,).
        directions: float64 (d, h - 1); as a matrix it makes no vector longer.
        origin: float64 (h,), what is subtracted from the coordinates.
    """

    step: float
    fitted: float
    radius: float
    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    origin: NDArray[np.float64]

    @property
    def width(self) -> int:
        """The number of coordinates, h."""
        return len(self.origin)

    def scaled(self, x: Rows) -> NDArray[np.float64]:
        """Return the coordinates of vectors (n, d), in steps, float64 (n, h)."""
        return (_coordinates(x, self.mean, self.directions) - self.origin) / self.step

    def bound(self, code: Rows, moved: float, squared: float) -> float:
        """Return a squared distance in steps that no code of a near enough vector exceeds.

        Args:
            code: the code of a query, (h,).
            moved: how far it is from the query's coordinates, in steps.
            squared: the squared distance of near enough vectors to it.
        """
        # FAISS, and we, add up squares in float32. The length of the rest is a difference of
        # squares, whose float64 rounding counts most if it is small.
        d, h = len(self.directions), self.width
        distance = (math.sqrt(squared) * (1 + d * _ROUNDING) + self.radius) / self.step + moved
        distance += float(np.linalg.norm(code)) * (1 + math.sqrt(d)) * _ROUNDING
        return float(distance * distance * (1 + h * _ROUNDING))


class KeptCodes(NamedTuple):
    """The codes of a previous snapshot, some of whose vectors are kept.

    Attributes:
        codes: the opened codes.
        rows: int64 (n,), for each vector of the new snapshot: the row of the very same one there,
            or -1.
    """

    codes: PcaCodes
    rows: Ids


def write_pca(folder: Path, flat: FlatVectors, kept: KeptCodes | None = None) -> None:
    """Write the codes of a flat index's vectors, block by block.

    Kept codes are copied if their rotation still suits the vectors.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    if kept and _updated(folder, flat, kept):
        return
    quantizer, kind = _fitted(flat)
    radius = _write_codes(folder / SEARCH_FILE, flat, quantizer, kind)
    head = np.zeros((2, quantizer.width), np.float32)
    head[0, :2] = (quantizer.step, quantizer.fitted)[: quantizer.width]
    head[1, 0] = np.nextafter(np.float32(radius), np.float32(np.inf))
    columns = np.column_stack([quantizer.directions, quantizer.mean])
    matrix = np.vstack([head, quantizer.origin, columns])
    save_matrix(folder / ROTATION_FILE, matrix.astype(np.float32))


def _updated(folder: Path, flat: FlatVectors, kept: KeptCodes) -> bool:
    """Write the codes with the rotation of those that are kept, and say whether it suits.

    It does not if the vectors have become many more or fewer since it was fitted, or if a new one
    is farther than r from its code, as one of another kind would be.
    """
    quantizer = kept.codes.quantizer
    counts = quantizer.fitted, int(np.sum(kept.rows >= 0)), flat.ntotal
    if max(counts) > _GROWTH * min(counts):
        return False
    path = folder / SEARCH_FILE
    if _write_codes(path, flat, quantizer, kept.codes.kind, kept) > quantizer.radius:
        return False
    (folder / ROTATION_FILE).write_bytes(kept.codes.rotation)
    return True


def _write_codes(
    path: Path, flat: FlatVectors, quantizer: _Quantizer, kind: _Kind, kept: KeptCodes | None = None
) -> float:
    """Write ``search.faiss``; return how far the farthest vector is from its code, unless kept."""
    radius = 0.0
    rows = kept.rows if kept else np.full(flat.ntotal, -1)
    with path.open("wb") as file:
        file.write(_header(flat.ntotal, quantizer.width, kind))
        for start in range(0, flat.ntotal, _BLOCK):
            block = rows[start : start + _BLOCK]
            codes = np.empty((len(block), quantizer.width * kind.bytes), np.uint8)
            if kept:
                codes[block >= 0] = kept.codes.stored[block[block >= 0]]
            new = np.flatnonzero(block < 0)
            if len(new):
                scaled = quantizer.scaled(flat.reconstruct_batch(start + new))
                rounded = _rounded(scaled, kind)
                radius = max(radius, float(np.linalg.norm(scaled - rounded, axis=1).max()))
                stored = (rounded + 128).astype(np.uint8) if kind is _INT8 else rounded
                codes[new] = stored.view(np.uint8)
            file.write(codes.tobytes())
    return radius * quantizer.step


def _rounded(scaled: NDArray[np.float64], kind: _Kind) -> NDArray[Any]:
    """Return coordinates as they are stored; one beyond the levels of the sample is cut."""
    inside = scaled.clip(-kind.largest, kind.largest)
    return np.rint(inside) if kind is _INT8 else inside.astype("<f2")


def _coordinates(
    x: Rows, mean: NDArray[np.float64], directions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the coordinates of vectors (n, d), and the length of the rest, float64 (n, h)."""
    centred = x - mean
    kept = centred @ directions
    rest = np.einsum("nd,nd->n", centred, centred) - np.einsum("nh,nh->n", kept, kept)
    return np.column_stack([kept, np.sqrt(rest.clip(0))])


def _fitted(flat: FlatVectors) -> tuple[_Quantizer, _Kind]:
    """Return a quantizer for vectors, fitted to a sample, and how to store coordinates.

    Its radius is not known yet.
    """
    x = spread(flat, _MAX_SAMPLE)
    mean = x.mean(axis=0)
    centred = x - mean
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    directions = directions[:, ::-1]  # the strongest first
    width, kind = _chosen(centred @ directions.astype(np.float32))
    mixing, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((width - 1, width - 1)))
    # Shorter by more than rounding to float32 can make a vector longer.
    kept = (directions[:, : width - 1] @ mixing * (1 - 1e-5)).astype(np.float32)
    found = _coordinates(x, mean.astype(np.float64), kept.astype(np.float64))
    origin = np.zeros(width, np.float32)
    origin[-1] = (found[:, -1].min() + found[:, -1].max()) / 2
    step = np.float32(_ROOM * np.abs(found - origin).max(initial=0) / _LEVELS)
    of_codes = (one.astype(np.float64) for one in (mean, kept, origin))
    return _Quantizer(float(step) or 1.0, flat.ntotal, 0.0, *of_codes), kind


def _chosen(x: Rows) -> tuple[int, _Kind]:
    """Return how many coordinates, and which kind of them, make a search the quickest.

    Fewer and smaller ones are scanned faster, but leave more vectors to compare.

    Args:
        x: a sample, (n, d), in the principal directions.
    """
    queries = _LIKE * x[:: math.ceil(len(x) / _QUERIES)]
    base = x[:: math.ceil(len(x) / _MAX_BASE)]
    dimension = x.shape[1]
    whole = _lengths(base)
    away = (1 - _LIKE**2) * float(whole.mean())
    squared = _squared_distances(queries, base)
    limits = np.sqrt(np.quantile(squared, _SOUGHT, axis=1, keepdims=True) + away)
    costs: dict[tuple[int, _Kind], float] = {}
    for width in [*range(_WIDTH, dimension + 1, _WIDTH)] or [dimension]:
        kept = width - 1
        rest_q, rest = (
            np.sqrt((_lengths(some) - _lengths(some[:, :kept]) + more).clip(0))
            for some, more in ((queries, away), (base, 0))
        )
        bounds = _squared_distances(queries[:, :kept], base[:, :kept])
        bounds = np.sqrt(bounds + np.square(rest_q[:, None] - rest))
        length = math.sqrt(max(float(np.mean(whole - np.square(rest))), 0))
        for kind in (_INT8, _FLOAT16) if 2 * width <= dimension else (_INT8,):
            near = float((bounds <= limits + kind.radius * length).mean())
            costs[width, kind] = kind.bytes * width + _COMPARING * dimension * near
    return min(costs, key=lambda option: costs[option])


def _lengths(x: Rows) -> Rows:
    """Return the squared lengths of vectors, (n,)."""
    lengths: Rows = np.einsum("nd,nd->n", x, x)
    return lengths


def _squared_distances(queries: Rows, base: Rows) -> Rows:
    squared: Rows = _lengths(queries)[:, None] + _lengths(base) - 2 * queries @ base.T
    return squared.clip(0)


def _parse_quantizer(name: str, data: bytes, dimension: int, width: int) -> _Quantizer:
    """Return the quantizer in the bytes of a file. Raises ValueError if it is of another shape."""
    matrix = parse_matrix(name, data).astype(np.float64)
    if matrix.shape != (dimension + 3, width):
        raise ValueError("it is of another shape")
    step, radius = matrix[:2, 0]
    if not (step > 0 and radius >= 0):
        raise ValueError("it holds no step size")
    fitted = matrix[0, 1] if width > 1 else 0.0
    return _Quantizer(
        float(step), float(fitted), float(radius), matrix[3:, -1], matrix[3:, :-1], matrix[2]
    )


def _header(count: int, width: int, kind: _Kind) -> bytes:
    reserved, size = 1 << 20, width * kind.bytes
    return _HEADER.pack(
        b"IxSQ", width, count, reserved, reserved, 1, _METRIC_L2, kind.number, 0, 0.0,
        width, size, 0, count * size,
    )  # fmt: skip
