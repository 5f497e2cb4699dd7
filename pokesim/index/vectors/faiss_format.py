"""Check a file of FAISS before FAISS reads it.

FAISS trusts the numbers in a file: a wrong size or id makes it read foreign memory. Each function
here reads one structure, as faiss/impl/index_write.cpp writes it, and compares every size with the
rest of the file and every id with the number of vectors. All numbers are little-endian. Values that
cannot do harm, such as the vectors themselves, are not looked at.

Known are the kinds that `factory` can name, and some more that earlier versions could build: Flat,
SQ and PQ, IVF and HNSW of these, behind transforms and before a refinement.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RESERVED = 1 << 20  # stands twice in the header of each index

_METRIC_L2 = 1

_MAX_PQ_BITS = 12

_MAX_TRANSFORMS, _MAX_DIMENSION = 8, 1 << 16

_MAX_LEVELS = 64

_MAX_EF = 1 << 20
"""The most candidates of an HNSW search; FAISS allocates memory for as many."""

_MAX_K_FACTOR = 64

_BITS = {0: 8, 1: 4, 4: 16, 6: 6, 7: 16}
"""Bits for each coordinate, by `faiss.ScalarQuantizer.QuantizerType`: 8, 4, fp16, 6, bf16."""

_FITTED = frozenset((0, 1, 6))
"""Types of scalar quantizer with a range for each coordinate."""

_CHUNK = 1 << 20


class FormatError(ValueError):
    """A file is not one that FAISS writes for such vectors."""


class _Cursor:
    """A position in a file's bytes, which cannot leave them."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data, self._at = data, 0

    def skip(self, size: int) -> int:
        """Move past ``size`` bytes; return where they begin."""
        start = self._at
        _require(0 <= size <= len(self._data) - start, "it is too short")
        self._at += size
        return start

    def unpack(self, layout: str) -> tuple[Any, ...]:
        """Read little-endian values, as `struct` names them, without padding."""
        size = struct.calcsize("<" + layout)
        start = self.skip(size)
        return struct.unpack("<" + layout, self._data[start : start + size].tobytes())

    def one(self, layout: str) -> Any:
        """Read a value."""
        return self.unpack(layout)[0]

    def array(self, dtype: str, count: int) -> NDArray[Any]:
        """Return a view of ``count`` values, which need not be aligned."""
        start = self.skip(count * np.dtype(dtype).itemsize)
        return np.frombuffer(self._data, dtype, count, start)

    def vector(self, dtype: str, count: int | None = None) -> NDArray[Any]:
        """Read a vector, whose length precedes it and must be ``count``."""
        found = int(self.one("Q"))
        _require(count is None or found == count, "a list has another length")
        return self.array(dtype, found)

    def at_end(self) -> bool:
        return self._at == len(self._data)


def check_file(data: NDArray[np.uint8], count: int, dimension: int) -> None:
    """Check the bytes of a file, uint8 (size,), that FAISS wrote for ``count`` vectors.

    Raises:
        FormatError: they are not an L2 index of ``count`` vectors of this dimension, or not of a
            supported kind.
    """
    cursor = _Cursor(data)
    _index(cursor, dimension, count, _ANY)
    _require(cursor.at_end(), "it is too long")


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise FormatError(reason)


def _index(cursor: _Cursor, d: int, n: int, kinds: Set[bytes]) -> None:
    """Check an index of n vectors of dimension d, whose kind is one of ``kinds``."""
    kind = cursor.one("4s")
    _require(kind in kinds, f"{kind!r} is not a supported kind of index here")
    expected = (d, n, _RESERVED, _RESERVED, 1, _METRIC_L2)
    _require(cursor.unpack("iqqqBi") == expected, "it is an index of other vectors")
    _KINDS[kind](cursor, d, n)


def _flat(cursor: _Cursor, d: int, n: int) -> None:
    cursor.vector("<f4", n * d)


def _pq(cursor: _Cursor, d: int, n: int) -> None:
    cursor.vector("u1", n * _product_quantizer(cursor, d))
    # Another type of search, or codes of signs, would need what is not checked.
    search_type, encodes_signs, _hamming_threshold = cursor.unpack("iBi")
    _require((search_type, encodes_signs) == (0, 0), "its PQ search is not supported")


def _sq(cursor: _Cursor, d: int, n: int) -> None:
    cursor.vector("u1", n * _scalar_quantizer(cursor, d))


def _ivf_flat(cursor: _Cursor, d: int, n: int) -> None:
    cells = _cells(cursor, d)
    _inverted_lists(cursor, cells, 4 * d, n)


def _ivf_sq(cursor: _Cursor, d: int, n: int) -> None:
    cells = _cells(cursor, d)
    size = _scalar_quantizer(cursor, d)
    _require(cursor.unpack("QB") in ((size, 0), (size, 1)), "its codes have another size")
    _inverted_lists(cursor, cells, size, n)


def _ivf_pq(cursor: _Cursor, d: int, n: int) -> None:
    cells = _cells(cursor, d)
    by_residual, size = cursor.unpack("BQ")
    _require(by_residual in (0, 1), "a flag is neither 0 nor 1")
    _require(size == _product_quantizer(cursor, d), "its codes have another size")
    _inverted_lists(cursor, cells, size, n)


def _hnsw_flat(cursor: _Cursor, d: int, n: int) -> None:
    _graph(cursor, n)
    _index(cursor, d, n, {b"IxF2"})


def _hnsw_pq(cursor: _Cursor, d: int, n: int) -> None:
    _graph(cursor, n)
    _index(cursor, d, n, {b"IxPq"})


def _hnsw_sq(cursor: _Cursor, d: int, n: int) -> None:
    _graph(cursor, n)
    _index(cursor, d, n, {b"IxSQ"})


def _pre_transform(cursor: _Cursor, d: int, n: int) -> None:
    length = cursor.one("i")
    _require(1 <= length <= _MAX_TRANSFORMS, "it has too many transforms")
    for _ in range(length):
        d = _transform(cursor, d)
    _index(cursor, d, n, _SEARCHED)


def _refine(cursor: _Cursor, d: int, n: int) -> None:
    _index(cursor, d, n, _SEARCHED | {b"IxPT"})
    _index(cursor, d, n, _STORED)
    _require(1 <= cursor.one("f") <= _MAX_K_FACTOR, "its k_factor is out of range")


_KINDS: dict[bytes, Callable[[_Cursor, int, int], None]] = {
    b"IxF2": _flat,
    b"IxPq": _pq,
    b"IxSQ": _sq,
    b"IwFl": _ivf_flat,
    b"IwSq": _ivf_sq,
    b"IwPQ": _ivf_pq,
    b"IHNf": _hnsw_flat,
    b"IHNp": _hnsw_pq,
    b"IHNs": _hnsw_sq,
    b"IxPT": _pre_transform,
    b"IxRF": _refine,
}

# What each kind may contain; so the depth is bounded.
_ANY = frozenset(_KINDS)
_SEARCHED = _ANY - {b"IxPT", b"IxRF"}
_STORED = frozenset((b"IxF2", b"IxPq", b"IxSQ"))
_QUANTIZERS = frozenset((b"IxF2", b"IHNf"))


def _product_quantizer(cursor: _Cursor, d: int) -> int:
    """Check a product quantizer; return the size of a code in bytes."""
    dimension, m, bits = cursor.unpack("QQQ")
    _require(dimension == d and 1 <= m <= d and d % m == 0, "its PQ is of another dimension")
    _require(1 <= bits <= _MAX_PQ_BITS, "its PQ codes have too many bits")
    cursor.vector("<f4", d << bits)
    return int(m * bits + 7) // 8


def _scalar_quantizer(cursor: _Cursor, d: int) -> int:
    """Check a scalar quantizer; return the size of a code in bytes."""
    kind, range_kind, _argument, dimension, size = cursor.unpack("iifQQ")
    _require(kind in _BITS and range_kind in range(4), "its SQ type is not supported")
    expected = (_BITS[kind] * d + 7) // 8
    _require((dimension, size) == (d, expected), "its SQ is of another dimension")
    cursor.vector("<f4", 2 * d if kind in _FITTED else 0)
    return expected


def _cells(cursor: _Cursor, d: int) -> int:
    """Check the head of an inverted file; return the number of its cells."""
    cells, probes = cursor.unpack("QQ")
    _require(cells >= 1 and 1 <= probes < 1 << 31, "it has no cells, or searches none")
    _index(cursor, d, cells, _QUANTIZERS)
    _require(cursor.unpack("BQ") == (0, 0), "it has a direct map")
    return int(cells)


def _inverted_lists(cursor: _Cursor, cells: int, code_size: int, n: int) -> None:
    """Check inverted lists in the file itself; together they hold each id once."""
    _require(cursor.unpack("4sQQ") == (b"ilar", cells, code_size), "it has other inverted lists")
    form = cursor.one("4s")
    if form == b"full":
        sizes = cursor.vector("<u8", cells)
    else:
        _require(form == b"sprs", "its inverted lists are of an unknown form")
        pairs = cursor.vector("<u8")
        _require(len(pairs) % 2 == 0, "an inverted list has no size")
        numbers, sizes = pairs[::2], pairs[1::2]
        _require(bool(np.all(numbers < cells)), "an inverted list has no cell")
        _require(bool(np.all(numbers[1:] > numbers[:-1])), "a cell has two lists")
    _require(bool(np.all(sizes <= n)) and int(sizes.sum()) == n, "it has another number of ids")
    found = np.zeros(n, np.bool_)
    for size in sizes[sizes > 0].tolist():
        cursor.skip(size * code_size)
        ids = cursor.array("<i8", size)
        _require(bool(ids.min() >= 0 and ids.max() < n), "an id is not that of a vector")
        found[ids] = True
    _require(bool(found.all()), "an id occurs twice")


def _graph(cursor: _Cursor, n: int) -> None:
    """Check the graph of an HNSW index; a link leads to a node of its own level.

    The links of node i are in ``links[offsets[i] : offsets[i + 1]]``, level by level; those of
    level l begin at ``starts[l]`` there. -1 is the absence of a link.
    """
    chances = cursor.vector("<f8")
    _require(1 <= len(chances) <= _MAX_LEVELS, "its graph has too many levels")
    starts = cursor.vector("<i4", len(chances) + 1).astype(np.int64)
    widths = np.diff(starts)
    _require(starts[0] == 0 and bool(np.all(widths > 0)), "its levels overlap")
    _require(bool(np.all(widths[1:] == widths[-1])), "its levels have different links")
    levels = cursor.vector("<i4", n).astype(np.int64)
    _require(bool(levels.min() >= 1 and levels.max() < len(starts)), "a node has no such level")
    offsets = cursor.vector("<u8", n + 1).astype(np.int64)
    _require(offsets[0] == 0, "its first node has no links")
    _require(bool(np.array_equal(np.diff(offsets), starts[levels])), "a node has other links")
    links = cursor.vector("<i4", int(offsets[-1]))
    for start in range(0, len(links), _CHUNK):
        # As unsigned numbers, -1 becomes 0 and what is below -1 very large.
        shifted = (links[start : start + _CHUNK] + np.int32(1)).view(np.uint32)
        _require(bool(shifted.max() <= n), "a link leads to no node")
    for level in range(1, int(levels.max())):
        nodes = np.flatnonzero(levels > level)
        width = np.arange(starts[level], starts[level + 1])
        targets = links[offsets[nodes, None] + width]
        _require(bool(np.all(levels[targets[targets >= 0]] > level)), "a link leads too low")
    entry, top, ef_construction, ef_search, _upper_beam = cursor.unpack("iiiii")
    _require(0 <= entry < n and levels[entry] == top + 1, "it begins at no node")
    _require(1 <= ef_search <= _MAX_EF and 1 <= ef_construction <= _MAX_EF, "its ef is too large")


def _transform(cursor: _Cursor, d: int) -> int:
    """Check a transform of vectors of dimension d; return the dimension of what it makes."""
    kind = cursor.one("4s")
    if kind == b"VNrm":
        _require(cursor.one("f") == 2, "it normalizes by another norm")
        _require(cursor.unpack("iiB") == (d, d, 1), "a transform is of another dimension")
        return d
    _require(kind in (b"rrot", b"Pcam", b"LTra"), f"{kind!r} is not a supported transform")
    if kind == b"Pcam":
        _power, _epsilon, random_rotation, _bins = cursor.unpack("ffBi")
        _require(random_rotation in (0, 1), "a flag is neither 0 nor 1")
        for _ in ("mean", "eigenvalues", "directions"):
            cursor.vector("<f4")
    has_bias = cursor.one("B")
    matrix, bias = cursor.vector("<f4"), cursor.vector("<f4")
    d_in, d_out, is_trained = cursor.unpack("iiB")
    _require((d_in, is_trained) == (d, 1), "a transform is of another dimension")
    _require(1 <= d_out <= _MAX_DIMENSION, "a transform is of another dimension")
    _require(len(matrix) == d * d_out, "a transform has another matrix")
    _require(
        has_bias in (0, 1) and len(bias) == (d_out if has_bias else 0),
        "a transform has another offset",
    )
    return int(d_out)
