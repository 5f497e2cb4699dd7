"""Exact k-NN: FAISS nominates, float64 arithmetic on the few candidates decides and orders.

FAISS computes in float32 and differs from itself in the last digits between single and batched
search, so near-ties and the order of equal pictures would depend on the batch. It is therefore
asked for a few neighbours more than wanted, until all that could belong are among them. Only a
search structure that the user chose as approximate may miss some.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pokesim.cache import sha256_of
from pokesim.clock import lap
from pokesim.embedders import models
from pokesim.embedders.catalog import Precision, Runtime, runtime_named
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.embedders.runtimes import Network, open_network
from pokesim.errors import IndexFolderError, PictureError, UsageError
from pokesim.images import READING, PictureSource, Pixels, in_memory, name_of, pixels_of, read_ahead
from pokesim.index import DEFAULT_INDEX, items, vectors
from pokesim.index.items import Items
from pokesim.index.manifest import Manifest
from pokesim.index.snapshot import Hold, Snapshot, open_snapshot
from pokesim.index.structure import nominations, open_structure
from pokesim.metric import normalized

Result = TypeVar("Result")

# Candidates beyond k at first; doubled until the last is clearly farther than the k-th.
_SPARE = 8
# float32 rounding of a squared distance, relative to the squared lengths that it is made from.
_ROUNDING = 4e-6
# Rows brought to float64 at a time.
_BLOCK = 4096
# Queries searched at a time, and the most neighbours that FAISS is to hold for them.
_QUERIES, _HELD = 256, 1 << 22
# From so many queries on, one scan with matrix products is quicker than Panorama for each.
_MANY = 64


@dataclass(frozen=True, slots=True)
class Match:
    """One neighbour of a photo.

    Attributes:
        rank: 1 is the nearest.
        label: the file's stem.
        path: the picture.
        distance: Euclidean distance of the two vectors, as they are in the index.
        similarity: 100 × the cosine of the two vectors, in percent; 0 where that is negative.
    """

    rank: int
    label: str
    path: Path
    distance: float
    similarity: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a photo got: its matches, or the reason why it could not be read.

    Attributes:
        query: the photo's name, as it was given.
        photo: where it can be read again; bytes, if it came from standard input or a URL.
        matches: nearest first.
        error: why there are none.
    """

    query: str
    photo: PictureSource
    matches: list[Match]
    error: PictureError | None = None


@lap("open the index")
def open_index(
    path: str | Path = DEFAULT_INDEX,
    *,
    runtime: str = Runtime.LITERT,
    precision: str = Precision.FLOAT32,
) -> Index:
    """Open an index for searching; vectors are mapped, not read, whatever their number.

    Args:
        path: the index's folder.
        runtime: what embeds photos, as `build_index` has it; need not be what built the index.
        precision: of its arithmetic.

    Raises:
        IndexFolderError: there is none, or it is damaged, or of a newer format.
        UsageError: there is no such runtime or precision.
    """
    runs = runtime_named(runtime, precision)
    while True:
        snapshot = open_snapshot(Path(path))
        try:
            return Index(snapshot, *runs)
        except (OSError, sqlite3.Error) as error:
            # Two builds may have been published, and this snapshot cleared away, in between.
            if open_snapshot(Path(path)).path == snapshot.path:
                raise IndexFolderError(
                    f"{snapshot.path} cannot be read ({error}); build the index again."
                ) from error


class Index:
    """An opened index: one snapshot, whatever is published or cleared away later.

    Use it in a ``with`` block, or `close` it, where files should not stay open.

    Attributes:
        manifest: what the index is.
        items: the pictures, by id.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        runtime: Runtime = Runtime.LITERT,
        precision: Precision = Precision.FLOAT32,
    ) -> None:
        self._runtime, self._precision = runtime, precision
        self.manifest: Manifest = snapshot.manifest
        self._path = snapshot.path
        self._hold = Hold(snapshot)
        self._faiss: Any = vectors.open_vectors(
            snapshot.file(vectors.FILE), len(self), self.manifest.dimension
        )
        self._projection = snapshot.projection()
        self._structure = open_structure(
            snapshot.path, self.manifest.search, len(self), self.manifest.dimension
        )
        self._lock = threading.Lock()
        self.items = Items(snapshot.file(items.FILE))

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; the index answers no more."""
        self.items.close()
        self._hold.release()

    def refresh(self) -> Index:
        """Return the index as it is now: itself, or what a build has published since, opened.

        This one answers on as before, so that a question in flight is never answered from two.

        Raises:
            IndexFolderError: the index is gone, or damaged.
        """
        home = self._path.parents[1]
        if open_snapshot(home).path == self._path:
            return self
        return open_index(home, runtime=self._runtime, precision=self._precision)

    def __len__(self) -> int:
        return self.manifest.count

    @overload  # a str is a Sequence too, but as a photo it is one path
    def query(  # type: ignore[overload-overlap]
        self, photo: PictureSource, k: int = 5
    ) -> list[Match]: ...
    @overload
    def query(self, photo: Sequence[PictureSource], k: int = 5) -> list[list[Match]]: ...
    def query(
        self, photo: PictureSource | Sequence[PictureSource], k: int = 5
    ) -> list[Match] | list[list[Match]]:
        """Return the ``k`` pictures most like a photo, nearest first; all, if there are fewer.

        Args:
            photo: a path, a URL, bytes, a Pillow image; or a list of these, embedded as one batch,
                for a list of lists.
            k: how many matches.

        Raises:
            PictureError: a photo cannot be read.
            ModelError: the index's own embedder is not on this machine.
            UsageError: k is below 1.
        """
        if isinstance(photo, Sequence) and not isinstance(photo, str | bytes):
            return [_matches_or_raise(answer) for answer in self.answer(photo, k)]
        (answer,) = self.answer([photo], k)
        return _matches_or_raise(answer)

    def answer(self, photos: Sequence[PictureSource], k: int = 5) -> Iterator[Answer]:
        """Yield an Answer for each photo in order; one that cannot be read stops no other.

        Raises:
            ModelError, UsageError: as `query`.
        """
        embedded = zip(photos, self.embed_photos(photos), strict=True)
        while batch := list(islice(embedded, BATCH_SIZE)):
            good = [vector for _, (_, vector) in batch if not isinstance(vector, PictureError)]
            found = iter(self._matches(np.stack(good), k) if good else ())
            for given, (photo, vector) in batch:
                query = given if isinstance(given, str) else name_of(given)
                if isinstance(vector, PictureError):
                    yield Answer(query, photo, [], vector)
                else:
                    yield Answer(query, photo, next(found))

    def embed_photos(
        self, photos: Iterable[PictureSource]
    ) -> Iterator[tuple[PictureSource, NDArray[np.float32] | PictureError]]:
        """Yield each photo with its vector, float32 (d,), or why it could not be read.

        Photos are read in parallel and embedded in batches; one from standard input or a URL comes
        back as bytes. A photo that is in the index, byte by byte, needs no embedder.
        """
        side = self.manifest.embedder.side

        def read(photo: PictureSource) -> tuple[PictureSource, Pixels | int | PictureError]:
            try:
                photo = in_memory(photo)
                known = self._id_of(photo)
                return photo, pixels_of(photo, side) if known is None else known
            except PictureError as error:
                return photo, error

        pictures = read_ahead(read, photos, 2 * BATCH_SIZE)
        while batch := _next_batch(pictures):
            pixels = [one for _, one in batch if isinstance(one, np.ndarray)]
            rows = iter(self.embed(np.stack(pixels)) if pixels else ())
            for photo, one in batch:
                if isinstance(one, np.ndarray):
                    yield photo, next(rows)
                else:
                    yield photo, self.vectors([one])[0] if isinstance(one, int) else one

    def _id_of(self, photo: PictureSource) -> int | None:
        """Return the id of the picture of the index that has a photo's very bytes."""
        try:
            if isinstance(photo, bytes):
                digest = hashlib.sha256(photo).hexdigest()
            elif isinstance(photo, str | Path):
                digest = sha256_of(Path(photo))
            else:
                return None
        except OSError:  # reading it will tell why
            return None
        with self._lock:
            return self.items.find(digest)

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of pixels, uint8 (n, side, side, 3), as indexed."""
        network = self._network
        with lap("embed"):
            rows = network.embed(pixels)
        rows = normalized(rows) if self.manifest.embedder.normalized else rows
        return self._projection.apply(rows) if self._projection else rows

    @lap("search")
    def search(self, xq: ArrayLike, k: int = 5) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Find the k nearest vectors, equal distances in the order of their ids.

        Exact unless the index was built with an approximate search structure.

        Args:
            xq: query vectors, (nq, d), or one of shape (d,).
            k: how many; at most the size of the index is returned.

        Returns:
            D: Euclidean distances, float64 (nq, k), ascending.
            I: ids, int64 (nq, k). An approximate structure may find fewer: infinity and -1 follow.

        Raises:
            UsageError: k is below 1, or the vectors are of another dimension.
        """
        rows = np.atleast_2d(np.ascontiguousarray(xq, dtype=np.float32))
        if rows.ndim != 2 or rows.shape[1] != self.manifest.dimension:
            raise UsageError(
                f"Query vectors must be (n, {self.manifest.dimension}), not {rows.shape}."
            )
        if k < 1:
            raise UsageError(f"k must be at least 1, not {k}.")
        k = min(k, len(self))
        D = np.full((len(rows), k), np.inf)  # (nq, k)
        I = np.full((len(rows), k), -1, dtype=np.int64)  # (nq, k)  # noqa: E741
        size = max(1, min(_QUERIES, _HELD // (k + _SPARE)))
        for start in range(0, len(rows), size):
            for row, ids in enumerate(self._candidates(rows[start : start + size], k), start):
                candidates = ids[ids >= 0]
                distances = self._distances(rows[row], candidates)
                order = np.lexsort((candidates, distances))[:k]
                D[row, : len(order)] = distances[order]
                I[row, : len(order)] = candidates[order]
        return D, I

    def _candidates(self, xq: NDArray[np.float32], k: int) -> Iterator[NDArray[np.int64]]:
        """Yield for each row of (nq, d) ids, among them its true k nearest, ties included.

        An approximate structure gives those it finds, and -1 in the places of those it does not.
        """
        if self._structure and not self._structure.exact:
            yield from self._structure.nominate(xq, min(nominations(k), self._structure.most))[1]
            return
        wanted = k + _SPARE
        if wanted >= len(self):
            yield from [np.arange(len(self))] * len(xq)
            return
        D, I = self._nominated(xq, wanted)  # noqa: E741
        for row, ids in enumerate(I):
            query = xq[row : row + 1]
            yield ids if _clear(query, D[row], k) else self._more_candidates(query, k, 2 * wanted)

    def _nominated(
        self, xq: NDArray[np.float32], wanted: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances and ids, (nq, wanted), of the nearest as float32 sees them."""
        if self._structure and len(xq) < _MANY and wanted <= self._structure.most:
            return self._structure.nominate(xq, wanted)
        D, I = self._faiss.search(xq, wanted)  # noqa: E741
        return D, I

    def _more_candidates(
        self, query: NDArray[np.float32], k: int, wanted: int
    ) -> NDArray[np.int64]:
        """Ask for ever more neighbours of one query (1, d), until no tie is cut."""
        while wanted < len(self):
            (D,), (ids,) = self._nominated(query, wanted)
            if _clear(query, D, k):
                return np.asarray(ids)
            wanted *= 2
        return np.arange(len(self))

    def _distances(self, query: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return Euclidean distances, float64 (len(ids),), from the stored vectors."""
        parts = [
            np.linalg.norm(self.vectors(ids[at : at + _BLOCK]) - query.astype(np.float64), axis=1)
            for at in range(0, len(ids), _BLOCK)
        ]
        return np.concatenate(parts)

    def vectors(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return the stored vectors, float32 (n, d), of some ids (n,)."""
        rows: NDArray[np.float32] = self._faiss.reconstruct_batch(np.asarray(ids, dtype=np.int64))
        return rows

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield all stored vectors in the order of their ids, float32 (≤ 8192, d) at a time."""
        return vectors.rows_of(self._faiss)

    def _matches(self, xq: NDArray[np.float32], k: int) -> Iterator[list[Match]]:
        """Yield the matches of each row of (nq, d)."""
        for query, distances, ids in zip(xq, *self.search(xq, k), strict=True):
            found = ids[ids >= 0]
            cosines = normalized(self.vectors(found)) @ normalized(query[None])[0]
            yield [
                self._match(rank, int(item), float(distance), float(cosine))
                for rank, (item, distance, cosine) in enumerate(
                    zip(found, distances, cosines, strict=False), 1
                )
            ]

    def _match(self, rank: int, item_id: int, distance: float, cosine: float) -> Match:
        item = self.items[item_id]
        similarity = 100 * min(max(cosine, 0.0), 1.0)
        path = Path(self.manifest.images, item.path)
        return Match(rank, item.label, path, distance, similarity)

    @cached_property
    def _network(self) -> Network:
        made_by = self.manifest.embedder
        with lap("load the model"):
            model = models.find(made_by.name, made_by.weights_sha256, made_by.export_version)
            network = open_network(model, self._runtime, self._precision)
        seen = (network.side, READING)
        if seen != (made_by.side, made_by.reading):
            raise IndexFolderError(
                f"This version of pokesim reads pictures for {made_by.name} otherwise than the one "
                "that built the index; build it again."
            )
        return network


@lap("read the photos")
def _next_batch(pictures: Iterator[Result]) -> list[Result]:
    return list(islice(pictures, BATCH_SIZE))


def _clear(query: NDArray[np.float32], D: NDArray[np.float32], k: int) -> bool:
    """Say whether the last of the nominated is farther than the k-th beyond all rounding.

    query is (1, d), D (> k,) its squared distances, ascending.
    """
    length = float(np.linalg.norm(query))
    slack = _ROUNDING * (length**2 + (length + float(np.sqrt(max(D[-1], 0)))) ** 2)
    return bool(D[-1] - D[k - 1] > 2 * slack)


def _matches_or_raise(answer: Answer) -> list[Match]:
    if answer.error:
        raise answer.error
    return answer.matches
