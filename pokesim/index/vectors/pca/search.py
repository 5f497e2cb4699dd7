"""The search with codes: the nearest codes, then the vectors of those that may be near enough."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import CorruptIndexError
from pokesim.index.vectors.flat import FlatVectors
from pokesim.index.vectors.knn import merge_nearest
from pokesim.index.vectors.mapped_file import MappedFile
from pokesim.index.vectors.pca import ROTATION_FILE, SEARCH_FILE
from pokesim.index.vectors.pca.codes import (
    FLOAT16,
    HEADER_SIZE,
    INT8,
    Kind,
    Quantizer,
    Rows,
    header,
    parse_quantizer,
)
from pokesim.index.vectors.selector import IdSelector
from pokesim.threads import usable_cores

_MAX_K = 1024

_NOMINEES = 512  # codes that are looked at; eight times as many if these may not be all

_FIRST = 32  # vectors that are compared first

_MORE = 8  # times as many nominees, if the first ones do not suffice

_TOO_MANY = 0.05  # share of the vectors from which on all are scanned instead

Ids = NDArray[np.int64]


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
        head = bytes(self._file.held()[:HEADER_SIZE])
        self._width = width = int.from_bytes(head[4:8], "little")
        heads = {header(flat.ntotal, width, kind): kind for kind in (INT8, FLOAT16)}
        kind = heads.get(head)
        if not kind or not 1 <= width <= flat.d:
            raise ValueError("its header differs")
        if len(self._file.held()) != HEADER_SIZE + flat.ntotal * width * kind.bytes:
            raise ValueError("its size differs")
        self.kind = kind

    def close(self) -> None:
        """Close the files."""
        self._rotation.close()
        self._file.close()

    @property
    def stored(self) -> NDArray[np.uint8]:
        """The bytes of the codes, (n, bytes of a code). Raises CorruptIndexError if truncated."""
        return self._file.held()[HEADER_SIZE:].reshape(self._flat.ntotal, -1)

    @property
    def rotation(self) -> bytes:
        """The bytes of the rotation's file. Raises CorruptIndexError if it is truncated."""
        return self._rotation.held().tobytes()

    @cached_property
    def quantizer(self) -> Quantizer:
        """The map from vectors to codes. Raises CorruptIndexError if its file is damaged."""
        path = self._rotation.path
        try:
            return parse_quantizer(path.name, self.rotation, self._flat.d, self._width)
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
        codes = (np.rint(limited) if self.kind is INT8 else limited).astype(np.float32)
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

    def __init__(self, codes: NDArray[np.uint8], start: int, share: int, kind: Kind) -> None:
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
