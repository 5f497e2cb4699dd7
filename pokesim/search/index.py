"""An opened index: photos and vectors in, matches out."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence, Set
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pokesim.embedders.catalog import Compute, Precision, Runtime, spec_of
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.errors import IndexFolderError, PictureError, UsageError
from pokesim.files import sha256_of
from pokesim.images import PictureSource, Pixels, in_memory, name_of, pixels_of
from pokesim.index import DEFAULT_INDEX, open_store
from pokesim.index.item import Item, path_in
from pokesim.index.manifest import Manifest
from pokesim.index.store import Metadata, Snapshot, Store
from pokesim.index.vectors.knn import ExactSearcher, VectorView
from pokesim.metric import normalized
from pokesim.search.embedder import IndexEmbedder
from pokesim.search.matcher import Matcher
from pokesim.search.matches import STEM, Answer, Match, QueryOptions, Wanted
from pokesim.threads import read_ahead
from pokesim.timing import span

if TYPE_CHECKING:
    from pokesim.search.explain import Explanation

Result = TypeVar("Result")

log = logging.getLogger(__name__)

_FILTERS = 16
"""Filters of which is kept what passes them."""


@span("open the index")
def open_index(
    path: str | Path = DEFAULT_INDEX,
    *,
    runtime: str = Runtime.LITERT,
    precision: str = Precision.FLOAT32,
) -> Index:
    """Open an index for searching; vectors stay where they are, whatever their number.

    Args:
        path: the index's folder, or its address: ``milvus://HOST:PORT/COLLECTION``.
        runtime: what embeds photos, as `build_index` has it; need not be what built the index.
        precision: of its arithmetic.

    Raises:
        IndexFolderError: there is none, or it is damaged, or of a newer format, or out of reach.
        UsageError: there is no such runtime or precision.
    """
    return _open(open_store(path), Compute.named(runtime, precision))


def _open(store: Store, compute: Compute) -> Index:
    while True:
        snapshot = store.snapshot()
        log.debug("Opening %s.", snapshot.location)
        try:
            return Index(store, snapshot, compute)
        except (OSError, sqlite3.Error) as error:
            # Two builds may have been published, and this snapshot cleared away, in between.
            if store.snapshot().name == snapshot.name:
                raise IndexFolderError(
                    f"{snapshot.location} cannot be read ({error}); build the index again."
                ) from error


class Index:
    """An opened index: one snapshot, whatever is published or cleared away later.

    Use it in a ``with`` block, or `close` it, where files should not stay open.

    Attributes:
        manifest: what the index is.
        items: the pictures, by id.
    """

    def __init__(self, store: Store, snapshot: Snapshot, compute: Compute) -> None:
        self._store, self._name = store, snapshot.name
        self.manifest: Manifest = snapshot.manifest
        self._networks = IndexEmbedder(self.manifest.embedder, compute)
        self._opened = snapshot.open()
        self._neighbours = ExactSearcher(self._opened.vectors)
        self._parts: dict[str, VectorView] = {}
        self._lock = threading.Lock()
        self.items = self._opened.items

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files and connections; the index answers no more."""
        self._opened.close()

    def refresh(self) -> Index:
        """Return the index as it is now: itself, or what a build has published since, opened.

        This one answers on as before, so that a question in flight is never answered from two. Both
        embed with the same network, if the embedder is the same.

        Raises:
            IndexFolderError: the index is gone, or damaged.
        """
        if self._store.snapshot().name == self._name:
            return self
        newer = _open(self._store, self._networks.compute)
        if newer.manifest.embedder == self.manifest.embedder:
            newer._networks = self._networks
        return newer

    def __len__(self) -> int:
        return self.manifest.count

    @overload  # a str is a Sequence too, but as a photo it is one path
    def query(  # type: ignore[overload-overlap]
        self, photo: PictureSource, k: int = 5, **wanted: Unpack[Wanted]
    ) -> list[Match]: ...
    @overload
    def query(
        self, photo: Sequence[PictureSource], k: int = 5, **wanted: Unpack[Wanted]
    ) -> list[list[Match]]: ...
    def query(
        self,
        photo: PictureSource | Sequence[PictureSource],
        k: int = 5,
        **wanted: Unpack[Wanted],
    ) -> list[Match] | list[list[Match]]:
        """Return the ``k`` pictures most like a photo, nearest first; all, if there are fewer.

        Args:
            photo: a path, a URL, bytes, a Pillow image; or a list of these, embedded as one batch,
                for a list of lists.
            k: how many matches.
            wanted: ``where``, ``label``, ``group``, ``max_distance``, ``min_similarity`` and
                ``exclude_self``, as `pokesim.search.matches.QueryOptions` tells them.

        Raises:
            PictureError: a photo cannot be read.
            ModelError: the index's own embedder is not on this machine.
            UsageError: k is below 1, or the filter or the label has no meaning here.
        """
        if isinstance(photo, Sequence) and not isinstance(photo, str | bytes):
            return [_matches_or_raise(answer) for answer in self.answer(photo, k, **wanted)]
        (answer,) = self.answer([photo], k, **wanted)
        return _matches_or_raise(answer)

    def answer(
        self, photos: Sequence[PictureSource], k: int = 5, **wanted: Unpack[Wanted]
    ) -> Iterator[Answer]:
        """Yield an Answer for each photo in order; one that cannot be read stops no other.

        Raises:
            ModelError, UsageError: as `query`.
        """
        question = QueryOptions(_checked_k(k), **wanted)
        self._part(question.where)  # a filter without a meaning is told before work begins
        embedded = zip(photos, self.embed_photos(photos), strict=True)
        while batch := list(islice(embedded, BATCH_SIZE)):
            good = [one for _, one in batch if not isinstance(one[1], PictureError)]
            own = [self._own_ids(photo) if question.exclude_self else set() for photo, _ in good]
            xq = np.array([vector for _, vector in good], np.float32)
            found = self.matches(xq, question, own) if good else iter(())
            for given, (photo, vector) in batch:
                query = given if isinstance(given, str) else name_of(given)
                if isinstance(vector, PictureError):
                    yield Answer(query, photo, [], vector)
                else:
                    yield Answer(query, photo, next(found))

    def matches(
        self,
        xq: NDArray[np.float32],
        question: QueryOptions,
        own: Sequence[Set[int]] | None = None,
    ) -> Iterator[list[Match]]:
        """Yield the matches of each vector of (nq, d), nearest first.

        Args:
            xq: vectors, as `embed` or `vectors` gives them.
            question: what is asked of each; ``exclude_self`` is told by ``own``.
            own: for each vector the ids to leave out, if any.

        Raises:
            UsageError: k is below 1, or the filter or the label has no meaning here.
        """
        _checked_k(question.k)
        among = self._part(question.where)
        return self._matcher.matches(xq, question, among, own or [set()] * len(xq))

    def label_of(self, item: Item, label: str = STEM) -> str:
        """Return what a picture is called; ``label`` is as `Question` has it.

        Raises:
            UsageError: there is no such label.
        """
        return self._matcher.labelled(label)(item)

    def path_of(self, item: Item) -> Path:
        """Return where a picture is."""
        return Path(self.manifest.images) / item.path

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(self._neighbours, self.items, self.metadata, self.manifest)

    def embed_photos(
        self, photos: Iterable[PictureSource]
    ) -> Iterator[tuple[PictureSource, NDArray[np.float32] | PictureError]]:
        """Yield each photo with its vector, float32 (d,), or why it could not be read.

        Photos are read in parallel and embedded in batches; one from standard input or a URL comes
        back as bytes. A photo that is in the index, byte by byte, needs no embedder.
        """

        def read(photo: PictureSource) -> tuple[PictureSource, Pixels | int | PictureError]:
            try:
                photo = in_memory(photo)
                return photo, self.read(photo)
            except PictureError as error:
                return photo, error

        pictures = read_ahead(read, photos, 2 * BATCH_SIZE)
        while batch := _next_batch(pictures):
            good = [one for _, one in batch if not isinstance(one, PictureError)]
            rows = iter(self.embed_read(good))
            for photo, one in batch:
                yield photo, one if isinstance(one, PictureError) else next(rows)

    def read(self, photo: PictureSource) -> Pixels | int:
        """Return a photo's pixels; of one that is in the index, byte by byte, its id.

        Raises:
            PictureError: the photo cannot be read.
        """
        digest = _digest_of(photo)
        with self._lock:
            known = self.items.find(digest) if digest else None
        return pixels_of(photo, self.manifest.embedder.side) if known is None else known

    def embed_read(self, photos: Sequence[Pixels | int]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of photos as `read` gives them, as one batch."""
        pixels = [one for one in photos if isinstance(one, np.ndarray)]
        fresh = iter(self.embed(np.stack(pixels)) if pixels else ())
        rows = [self.vectors([one])[0] if isinstance(one, int) else next(fresh) for one in photos]
        return np.array(rows, np.float32).reshape(len(photos), self.manifest.dimension)

    def _own_ids(self, photo: PictureSource) -> Set[int]:
        """Return the ids of a photo's path, or else of its very bytes."""
        if isinstance(photo, str | Path):
            own = self.items.id_of_path(path_in(Path(self.manifest.images), photo))
            if own is not None:
                return {own}
        digest = _digest_of(photo)
        return frozenset(self.items.ids_of_bytes(digest)) if digest else frozenset()

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of pixels, uint8 (n, side, side, 3), as indexed."""
        network = self._networks.embedder
        with span("embed"):
            rows = network.embed(pixels)
        rows = normalized(rows) if self.manifest.embedder.normalized else rows
        projection = self._opened.projection
        return projection.apply(rows) if projection else rows

    def search(
        self, xq: ArrayLike, k: int = 5, *, where: str | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Find the k nearest vectors, equal distances in the order of their ids.

        Exact unless the index was built with an approximate search structure; with a filter always.

        Args:
            xq: query vectors, (nq, d), or one of shape (d,).
            k: how many; at most as many as there are, or pass the filter, are returned.
            where: a filter on the metadata; see `pokesim.index.metadata.filter_parser`.

        Returns:
            D: Euclidean distances, float64 (nq, k), ascending.
            I: ids, int64 (nq, k). An approximate structure may find fewer: infinity and -1 follow.

        Raises:
            UsageError: k is below 1, the vectors are of another dimension, or the filter has no
                meaning here.
        """
        rows = np.atleast_2d(np.ascontiguousarray(xq, dtype=np.float32))
        if rows.ndim != 2 or rows.shape[1] != self.manifest.dimension:
            raise UsageError(
                f"Query vectors must be (n, {self.manifest.dimension}), not {rows.shape}."
            )
        among = self._part(where)
        return self._neighbours.search(rows, min(_checked_k(k), len(among)), among)

    def select(self, where: str) -> NDArray[np.int64]:
        """Return the ids of the pictures that pass a filter on the metadata, ascending.

        Raises:
            UsageError: the filter has no meaning here.
        """
        return self._part(where).ids

    def _part(self, where: str | None) -> VectorView:
        if where is None:
            return self._all
        found = self._parts.get(where)
        if found is None:
            from pokesim.index.metadata.filter_parser import no_metadata, parse_filter

            if self.metadata is None:
                raise no_metadata(where)
            asked = parse_filter(where, self.metadata.record.columns, self.metadata.alternatives)
            found = self._opened.view(asked)
            with self._lock:
                while len(self._parts) >= _FILTERS:
                    del self._parts[next(iter(self._parts))]
                self._parts[where] = found
        return found

    @cached_property
    def _all(self) -> VectorView:
        return self._opened.view(None)

    @property
    def metadata(self) -> Metadata | None:
        """What a table tells of the pictures, if the index has one."""
        return self._opened.metadata

    def vectors(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return the stored vectors, float32 (n, d), of some ids (n,)."""
        return self._opened.vectors(np.asarray(ids, dtype=np.int64))

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield all stored vectors in the order of their ids, float32 (≤ 8192, d) at a time."""
        return self._opened.blocks()

    def explain(self, photo: PictureSource, picture: PictureSource) -> Explanation:
        """Tell where a photo and a picture, such as a match's path, resemble each other.

        Both are embedded anew, by LiteRT in float32 whatever the index's runtime.

        Raises:
            PictureError: one cannot be read.
            ModelError: the index's own embedder is not on this machine.
            PokesimError: its vector is no sum over places, as class probabilities are none.
        """
        from pokesim.search.explain import explanation

        made_by = self.manifest.embedder
        pixels = np.stack([pixels_of(one, made_by.side) for one in (photo, picture)])
        parts = self._networks.parts_reader.parts(pixels)
        shift = spec_of(made_by.name).shift
        return explanation(parts, made_by.normalized, self._opened.projection, shift)

    @property
    def explains(self) -> bool:
        """Whether `explain` can: the vector of the index's network is a sum over places."""
        return self._networks.explains


@span("read the photos")
def _next_batch(pictures: Iterator[Result]) -> list[Result]:
    return list(islice(pictures, BATCH_SIZE))


def _checked_k(k: int) -> int:
    if k < 1:
        raise UsageError(f"k must be at least 1, not {k}.")
    return k


def _digest_of(photo: PictureSource) -> str | None:
    """Return the SHA-256 of a photo's bytes, None of one that has none."""
    try:
        if isinstance(photo, bytes):
            return hashlib.sha256(photo).hexdigest()
        if isinstance(photo, str | Path):
            return sha256_of(Path(photo))
    except OSError:  # reading it will tell why
        pass
    return None


def _matches_or_raise(answer: Answer) -> list[Match]:
    if answer.error:
        raise answer.error
    return answer.matches
