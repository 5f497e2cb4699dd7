"""An opened snapshot: its files, and what embeds photos for it, searches it and ranks matches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.embedder import spec_for
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.errors import CombinationError, PictureError
from pokesim.images import CroppedPicture, PictureSource, name_of, pixels_of, seen_of, whole
from pokesim.index.manifest import Manifest
from pokesim.index.store import Reader
from pokesim.index.vectors.knn import ExactSearcher, Nearest
from pokesim.search.combine import Example, balanced, combined
from pokesim.search.embedder import IndexEmbedder, IndexModels
from pokesim.search.matcher import Matcher
from pokesim.search.matches import Answer, Match, Matches, QueryOptions
from pokesim.search.views import Views

if TYPE_CHECKING:
    from pokesim.search.explain import Explanation


class OpenedSnapshot:
    """The part of an `pokesim.search.index.Index` that ends when it is closed.

    Attributes:
        manifest: the snapshot's manifest.
        reader: its files.
        embedder: embeds photos in the way of its pictures.
        matcher: turns vectors into matches.
        views: the vectors that filters leave.
    """

    def __init__(self, manifest: Manifest, reader: Reader, models: IndexModels) -> None:
        self.manifest, self.reader = manifest, reader
        self.embedder = IndexEmbedder(manifest, reader, models)
        self._searcher = ExactSearcher(reader.vectors)
        self.matcher = Matcher(self._searcher, reader, manifest)
        self.views = Views(reader)

    def close(self) -> None:
        """Close the files."""
        self.reader.close()

    def answers(
        self, photos: Sequence[PictureSource], options: QueryOptions, others: Sequence[Example]
    ) -> Iterator[Answer]:
        """Yield an answer for each photo; see `pokesim.search.index.Index.answer`."""
        view = self.views.of(options.where)  # reports an invalid filter before reading photos
        examples = list(self._examples(others))
        drawn = [one for one, _ in examples]
        left_out = drawn if options.exclude_self else []
        photographed = [one.photo for one in left_out if one.photo is not None]
        away = {item_id for photo in photographed for item_id in self.embedder.ids_of(photo)}
        embedded = zip(photos, self._embedded(photos, examples), strict=True)
        while batch := list(islice(embedded, BATCH_SIZE)):
            good = [one for _, one in batch if not isinstance(one[1], PictureError)]
            own = [self.embedder.ids_of(photo) | away for photo, _ in good if options.exclude_self]
            xq = np.array([vector for _, vector in good], np.float32)
            found = self.matches(xq, options, own) if good else iter(())
            for given, (photo, vector) in batch:
                query = str(whole(given)) if isinstance(whole(given), str) else name_of(given)
                crop = given.crop if isinstance(given, CroppedPicture) else None
                error = vector if isinstance(vector, PictureError) else None
                matches = Matches() if error else Matches(next(found))
                yield Answer(query, photo, matches, len(view), error, crop, drawn)

    def answer_to_words(self, given: Sequence[Example], options: QueryOptions) -> Answer:
        """Return the answer to words; see `pokesim.search.index.Index.answer_words`.

        Args:
            given: the words, then what they are combined with.
            options: options of the query.
        """
        view = self.views.of(options.where)
        words = given[0]
        others = [replace(one, weight=one.weight / words.weight) for one in given[1:]]
        xq, examples = self.embedder.embed_words(words.query), list(self._examples(others))
        if examples:
            row = _middle(xq)
            xq = combined(words.name, row, balanced(None, row, examples, self.matcher.sample))[None]
        found = self.matcher.matches_of_any(xq, options, view)
        return Answer(
            words.query, None, Matches(found), len(view), others=[one for one, _ in examples]
        )

    def mixed(
        self,
        name: str,
        vector: NDArray[np.float32],
        others: Sequence[tuple[Example, NDArray[np.float32]]],
        words: Sequence[Example],
    ) -> NDArray[np.float32]:
        """Return a photo's vector, combined; see `pokesim.search.index.Index.mixed`."""
        examples = [*others, *self._examples(words)]
        return combined(name, vector, balanced(name, vector, examples, self.matcher.sample))

    def _examples(self, others: Sequence[Example]) -> Iterator[tuple[Example, NDArray[np.float32]]]:
        """Yield each example with its vector. Raises PictureError."""
        photos = (one.photo for one in others if one.photo is not None)
        embedded = self.embedder.embed_photos(photos)
        for one in others:
            if one.photo is None:
                yield one, _middle(self.embedder.embed_words(one.query))
                continue
            photo, vector = next(embedded)
            if isinstance(vector, PictureError):
                raise vector
            yield replace(one, photo=photo), vector

    def _embedded(
        self,
        photos: Sequence[PictureSource],
        examples: Sequence[tuple[Example, NDArray[np.float32]]],
    ) -> Iterator[tuple[PictureSource, NDArray[np.float32] | PictureError]]:
        """Yield each photo with its vector, combined with those of examples, or the error."""
        for photo, vector in self.embedder.embed_photos(photos):
            try:
                if examples and not isinstance(vector, PictureError):
                    shares = balanced(photo, vector, examples, self.matcher.sample)
                    yield photo, combined(name_of(photo), vector, shares)
                else:
                    yield photo, vector
            except CombinationError as error:
                yield photo, error

    def matches(
        self,
        xq: NDArray[np.float32],
        options: QueryOptions,
        own: Sequence[Set[int]] | None = None,
    ) -> Iterator[list[Match]]:
        """Yield the matches of each vector; see `pokesim.search.index.Index.matches`."""
        view = self.views.of(options.where)
        return self.matcher.matches(xq, options, view, own or [set()] * len(xq))

    def nearest(self, xq: NDArray[np.float32], k: int, where: str | None) -> Nearest:
        """Return the k nearest vectors; see `pokesim.search.index.Index.search`."""
        view = self.views.of(where)
        return self._searcher.search(xq, min(k, len(view)), view)

    def explain(self, photo: PictureSource, picture: PictureSource) -> Explanation:
        """Explain the similarity of two pictures; see `pokesim.search.index.Index.explain`."""
        from pokesim.search.explain import explanation, on_whole_pictures

        record, both = self.manifest.embedder, (photo, picture)
        frame = record.frame
        pixels = np.stack([pixels_of(one, frame) for one in both])
        parts = self.embedder.models.attributor.parts(pixels)
        shift = spec_for(record).shift
        found = explanation(parts, record.normalized, self.reader.projection, shift)
        return on_whole_pictures(found, [seen_of(one, frame) for one in both])


def _middle(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return one vector, (d,), for those of words, (n, d): their mean, in the length of one."""
    middle = rows.mean(axis=0)
    length, own = float(np.linalg.norm(rows, axis=1).mean()), float(np.linalg.norm(middle))
    scaled: NDArray[np.float32] = middle * np.float32(length / own if own else 1)
    return scaled
