"""An opened index: photos and vectors in, matches out."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pokesim.arguments import choice, iterable, shown, text, whole_number
from pokesim.embedders.catalog import Compute, Precision, Runtime
from pokesim.errors import IndexFolderError, PictureError, UsageError
from pokesim.images import CropArgument, PictureSource, as_crop, cropped
from pokesim.index import DEFAULT_INDEX, open_store
from pokesim.index.item import Item
from pokesim.index.manifest import Manifest
from pokesim.index.store import Items, Metadata, Snapshot, Store
from pokesim.index.vectors.checks import checked_queries
from pokesim.search import DEFAULT_K
from pokesim.search.combine import Example, Weighted, WordsArgument, all_examples
from pokesim.search.embedder import IndexModels, LoadedPhoto
from pokesim.search.matches import (
    AUTO,
    Answer,
    Match,
    Matches,
    QueryKeywords,
    QueryOptions,
    WordKeywords,
)
from pokesim.search.opened import OpenedSnapshot
from pokesim.search.picture import Pictures
from pokesim.search.query import OnError, as_list, matches_of
from pokesim.search.shared import Shared
from pokesim.timing import span

if TYPE_CHECKING:
    from pokesim.search.explain import Explanation

log = logging.getLogger(__name__)


@span("open the index")
def open_index(
    path: str | Path = DEFAULT_INDEX,
    *,
    runtime: str = Runtime.LITERT,
    precision: str = Precision.FLOAT32,
) -> Index:
    """Open an index for searching, without loading its vectors into memory.

    Args:
        path: the index's folder, or its address: ``milvus://HOST:PORT/COLLECTION``.
        runtime: what embeds photos; see `build_index`. It may differ from the one that built the
            index.
        precision: arithmetic of the runtime.

    Raises:
        IndexFolderError: the index is missing, damaged, of a newer format, or unreachable.
        UsageError: the runtime or precision is unknown.
    """
    return _open(open_store(path), Compute.named(runtime, precision))


def _open(store: Store, compute: Compute, loaded: IndexModels | None = None) -> Index:
    """Open the current snapshot, with the models loaded already if they are those it needs."""
    while True:
        snapshot = store.snapshot()
        log.debug("Opening %s.", snapshot.location)
        record = snapshot.manifest.embedder
        models = loaded if loaded and loaded.record == record else IndexModels(record, compute)
        try:
            return Index(store, snapshot, models)
        except (OSError, sqlite3.Error) as error:
            # Two builds may have been published meanwhile, and this snapshot removed.
            if store.snapshot().name == snapshot.name:
                raise IndexFolderError(
                    f"{snapshot.location} cannot be read ({error}); build the index again."
                ) from error


class Index(Pictures):
    """An opened index: one snapshot, even if others are published or removed later.

    Use it in a ``with`` block, or call `close`, to close its files. It is safe to use from several
    threads. Every method raises UsageError for arguments that it cannot use, and once the index is
    closed.

    Attributes:
        manifest: description of the index.
    """

    # Opening and closing

    def __init__(self, store: Store, snapshot: Snapshot, models: IndexModels) -> None:
        self._store, self._name, self._models = store, snapshot.name, models
        self.manifest: Manifest = snapshot.manifest
        opened = OpenedSnapshot(self.manifest, snapshot.open(), models)
        name = f"The index {snapshot.location}"
        self._shared = Shared(name, opened, OpenedSnapshot.close)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close files and connections; the index cannot be used afterwards.

        Calls in progress in other threads, and iterations that have begun, can finish first.
        """
        self._shared.close()

    def refresh(self) -> Index:
        """Return this index if it is current, else the newly published snapshot, opened.

        This object keeps answering from its own snapshot, so no query mixes two. If the embedder is
        the same, both share the loaded model.

        Raises:
            IndexFolderError: the index is gone or damaged.
        """
        self._shared.check()
        if self._store.snapshot().name == self._name:
            return self
        return _open(self._store, self._models.compute, self._models)

    def __len__(self) -> int:
        return self.manifest.count

    def __repr__(self) -> str:
        name = self.manifest.embedder.name
        return f"<pokesim.Index: {len(self):,} pictures by {name} in {self._store.location}>"

    # Photos and words → matches

    @overload  # a str is a Sequence too, but as a photo it is one path
    def query(  # type: ignore[overload-overlap]
        self, photo: PictureSource, k: int = DEFAULT_K, **options: Unpack[QueryKeywords]
    ) -> Matches: ...
    @overload
    def query(
        self, photo: Sequence[PictureSource], k: int = DEFAULT_K, **options: Unpack[QueryKeywords]
    ) -> list[Matches]: ...
    @overload
    def query(
        self,
        photo: None = None,
        k: int = DEFAULT_K,
        *,
        words: WordsArgument,
        **options: Unpack[WordKeywords],
    ) -> Matches: ...
    def query(
        self,
        photo: PictureSource | Sequence[PictureSource] | None = None,
        k: int = DEFAULT_K,
        *,
        words: WordsArgument = None,
        where: str | None = None,
        label: str = AUTO,
        group: bool = False,
        max_distance: float | None = None,
        min_similarity: float | None = None,
        exclude_self: bool = False,
        crop: CropArgument = None,
        positive: Iterable[Weighted] = (),
        negative: Iterable[Weighted] = (),
        negative_words: WordsArgument = None,
        errors: Literal["raise", "skip"] = "raise",
    ) -> Matches | list[Matches]:
        """Return the ``k`` pictures most like a photo, nearest first; fewer if there are no more.

        Or, with ``words`` in place of a photo, those nearest to what words say; with both, those
        that are like the photo and near to the words.

        Args:
            photo: a path, a URL, bytes, a Pillow image or an array of RGB pixels, uint8 (height,
                width, 3); or a list or an array of these, which is embedded in batches and gives a
                list of lists.
            k: number of matches.
            words: any words if the index's embedder has a part for text, such as "two parrots on a
                branch"; else a name that it knows, such as "golden retriever"; see
                `pokesim.embedders.words.vocabulary`. Or a pair of words and a weight, or a list.
                Without a photo, crop and exclude_self do not go with them.
            where: a filter on the metadata, such as ``"Type1=grass"``.
            label: name of a match: "auto", "stem", "folder", "path" or a column of the metadata;
                see `QueryOptions`.
            group: return the k best labels, each with its best picture.
            max_distance: drop matches beyond this Euclidean distance.
            min_similarity: drop matches less similar than this, in percent.
            exclude_self: drop the photo itself if it is in the index, and those of the next two.
            crop: search with this part of the upright photo: x, y, width and height in pixels, such
                as ``(40, 80, 200, 200)``, or in percent, ``"10%,20%,50%,50%"``.
            positive: photos that matches should be like as well, or pairs of a photo and a weight.
                One vector is searched with: the weighted sum, of the photo with weight 1.
            negative: photos that matches should be unlike: they are subtracted from the sum.
            negative_words: words that matches should be unlike, as ``words``.
            errors: "raise" an error for a photo that cannot be read, or "skip" it: it has no
                matches.

        Raises:
            PictureError: a photo cannot be read, has no such part (CropError), or is the same as
                another or cancelled out by others (CombinationError).
            ModelError: the model of the index's embedder is not on this machine.
            UsageError: k is below 1, the filter or the label is not valid for this index, or the
                word or the embedder has no vector.
        """
        options = QueryOptions(k, where, label, group, max_distance, min_similarity, exclude_self)
        part, others = as_crop(crop), all_examples(words, negative_words, positive, negative)
        if photo is None:
            if part or exclude_self:
                raise UsageError("crop and exclude_self are about a photo; give one.")
            return self._answer_to_words(others, options).matches
        on_error = choice("errors", errors, OnError)
        photos, several = as_list(photo)
        answers = self._answers([cropped(one, part) for one in photos], options, others)
        found = [matches_of(answer, on_error) for answer in answers]
        return found if several else found[0]

    def answer(
        self,
        photos: Sequence[PictureSource],
        k: int = DEFAULT_K,
        *,
        where: str | None = None,
        label: str = AUTO,
        group: bool = False,
        max_distance: float | None = None,
        min_similarity: float | None = None,
        exclude_self: bool = False,
        crop: CropArgument = None,
        positive: Iterable[Weighted] = (),
        negative: Iterable[Weighted] = (),
        words: WordsArgument = None,
        negative_words: WordsArgument = None,
    ) -> Iterator[Answer]:
        """Yield an Answer for each photo in order; an unreadable photo does not stop the others.

        The options are those of `query`.

        Raises:
            ModelError, UsageError: as `query`.
        """
        options = QueryOptions(k, where, label, group, max_distance, min_similarity, exclude_self)
        part, others = as_crop(crop), all_examples(words, negative_words, positive, negative)
        parts = [cropped(photo, part) for photo in iterable("photos", photos)]
        return self._answers(parts, options, others)

    def answer_words(
        self,
        words: WordsArgument,
        k: int = DEFAULT_K,
        *,
        where: str | None = None,
        label: str = AUTO,
        group: bool = False,
        max_distance: float | None = None,
        min_similarity: float | None = None,
        positive: Iterable[Weighted] = (),
        negative: Iterable[Weighted] = (),
        negative_words: WordsArgument = None,
    ) -> Answer:
        """Return the answer to words: the pictures nearest to what they say.

        A broad word of the vocabulary, such as "dog", stands for several classes, and a picture is
        as near to it as to the nearest of them; combined with others it is the mean of its classes.
        The options are those of `query`.

        Raises:
            ModelError, UsageError: as `query`.
        """
        options = QueryOptions(k, where, label, group, max_distance, min_similarity)
        given = all_examples(words, negative_words, positive, negative)
        return self._answer_to_words(given, options)

    def _answer_to_words(self, given: Sequence[Example], options: QueryOptions) -> Answer:
        if not given or given[0].photo is not None or given[0].weight < 0:
            raise UsageError("Give a photo, or words.")
        with self._shared.call() as opened:
            return opened.answer_to_words(given, options)

    def _answers(
        self, photos: Sequence[PictureSource], options: QueryOptions, others: Sequence[Example]
    ) -> Iterator[Answer]:
        return self._shared.iterate(lambda opened: opened.answers(photos, options, others))

    def mixed(
        self,
        name: str,
        vector: NDArray[np.float32],
        others: Sequence[tuple[Example, NDArray[np.float32]]],
        words: Sequence[Example],
    ) -> NDArray[np.float32]:
        """Return the vector of a photo, (d,), combined with others and with words, (d,).

        Raises:
            CombinationError: two are the same, or all together cancel each other out.
            ModelError, UsageError: as `query`, about the words.
        """
        with self._shared.call() as opened:
            return opened.mixed(name, vector, others, words)

    def matches(
        self,
        xq: NDArray[np.float32],
        options: QueryOptions,
        own: Sequence[Set[int]] | None = None,
    ) -> Iterator[list[Match]]:
        """Yield the matches of each vector of (nq, d), nearest first.

        Args:
            xq: vectors, from `embed` or `vectors`.
            options: options of each query; ``own`` holds the ids that ``exclude_self`` drops.
            own: ids to drop for each vector, if any.

        Raises:
            UsageError: the vectors have another dimension or are not finite, or the filter or the
                label is not valid for this index.
        """
        if not isinstance(options, QueryOptions):
            raise UsageError(f"options must be QueryOptions, not {shown(options)}.")
        rows = checked_queries(xq, self.manifest.dimension)
        return self._shared.iterate(lambda opened: opened.matches(rows, options, own))

    # Photos → vectors

    def embed_photos(
        self, photos: Iterable[PictureSource]
    ) -> Iterator[tuple[PictureSource, NDArray[np.float32] | PictureError]]:
        """Yield each photo with its vector, float32 (d,), or the error if it could not be read.

        Photos are read in parallel and embedded in batches. A photo from standard input or a URL is
        returned as bytes. A photo whose bytes are in the index needs no embedder.
        """
        photos = iterable("photos", photos)
        return self._shared.iterate(lambda opened: opened.embedder.embed_photos(photos))

    def load(self, photo: PictureSource) -> LoadedPhoto:
        """Read a photo, unless it is whole and the index holds a picture with the same bytes.

        Raises:
            PictureError: the photo cannot be read.
        """
        with self._shared.call() as opened:
            return opened.embedder.load(photo)

    def embed_loaded(self, photos: Sequence[LoadedPhoto]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of photos from `load`, embedded as one batch."""
        with self._shared.call() as opened:
            return opened.embedder.embed_loaded(photos)

    def embed(self, photos: PictureSource | Sequence[PictureSource]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of a photo or a list of photos; see `query`.

        Raises:
            PictureError: a photo cannot be read.
            ModelError: the model of the index's embedder is not on this machine.
        """
        given, _ = as_list(photos)
        with self._shared.call() as opened:
            return opened.embedder.embed_all(given)

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of pixels, uint8 (n, side, side, 3).

        Raises:
            UsageError: the pixels have another shape or type.
        """
        with self._shared.call() as opened:
            return opened.embedder.embed(pixels)

    # Vectors and filters → pictures

    def search(
        self, xq: ArrayLike, k: int = DEFAULT_K, *, where: str | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Find the k nearest vectors; equal distances come in the order of their ids.

        Exact unless the index was built with an approximate search; always exact with a filter.

        Args:
            xq: query vectors, (nq, d), or one of shape (d,).
            k: number of neighbours; fewer are returned if fewer exist or pass the filter.
            where: a filter on the metadata; see `pokesim.index.metadata.filter_parser`.

        Returns:
            D: Euclidean distances, float64 (nq, k), ascending.
            I: ids, int64 (nq, k). If an approximate search finds fewer, infinity and -1 follow.

        Raises:
            UsageError: k is below 1, the vectors have another dimension or are not finite, or the
                filter is not valid for this index.
        """
        rows, k = checked_queries(xq, self.manifest.dimension), whole_number("k", k)
        with self._shared.call() as opened:
            nearest = opened.nearest(rows, k, where)
        return nearest.distances, nearest.ids

    def select(self, where: str) -> NDArray[np.int64]:
        """Return the ids of the pictures that pass a filter on the metadata, ascending.

        Raises:
            UsageError: the filter is not valid for this index.
        """
        with self._shared.call() as opened:
            return opened.views.of(text("where", where)).ids.copy()

    def count(self, where: str | None) -> int:
        """Return the number of pictures that pass a filter on the metadata; None means all.

        Raises:
            UsageError: the filter is not valid for this index.
        """
        with self._shared.call() as opened:
            return len(opened.views.of(where))

    # What the index holds; `Pictures` makes a sequence of it

    @property
    def items(self) -> Items:
        """The pictures, by id."""
        with self._shared.call() as opened:
            return opened.reader.items

    @property
    def metadata(self) -> Metadata | None:
        """The table that describes the pictures, if the index has one."""
        with self._shared.call() as opened:
            return opened.reader.metadata

    def label_of(self, item: Item, label: str = AUTO) -> str:
        """Return the label of a picture; ``label`` is that of `QueryOptions`.

        Raises:
            UsageError: there is no such label.
        """
        with self._shared.call() as opened:
            return opened.matcher.labeller(text("label", label))(item)

    def path_of(self, item: Item) -> Path:
        """Return the path of a picture."""
        self._shared.check()
        return Path(self.manifest.images) / item.path

    @property
    def labels(self) -> list[str]:
        """The labels of the pictures, by id; see `QueryOptions`."""
        with self._shared.call() as opened:
            return [*map(opened.matcher.labeller(AUTO), opened.reader.items)]

    def vectors(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return the stored vectors, float32 (n, d), of ids (n,).

        Raises:
            UsageError: there is no such id.
        """
        with self._shared.call() as opened:
            return opened.reader.vectors(ids)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield all stored vectors in the order of their ids, float32 (≤ 8192, d) at a time."""
        return self._shared.iterate(lambda opened: opened.reader.blocks())

    # Why

    def explain(
        self, photo: PictureSource, picture: PictureSource, *, crop: CropArgument = None
    ) -> Explanation:
        """Show where a photo and a picture, such as a match's path, resemble each other.

        Both are embedded again, by LiteRT in float32 regardless of the index's runtime. ``crop`` is
        that of `query`.

        Raises:
            PictureError: one of them cannot be read, or the photo has no such part.
            ModelError: the model of the index's embedder is not on this machine.
            PokesimError: the vector is not a sum over positions; class probabilities are not, nor
                is the first token of a transformer.
        """
        with self._shared.call() as opened:
            return opened.explain(cropped(photo, as_crop(crop)), picture)

    @property
    def explains(self) -> bool:
        """Whether `explain` works: the vector of the index's model is a sum over positions."""
        self._shared.check()
        return self._models.explains
