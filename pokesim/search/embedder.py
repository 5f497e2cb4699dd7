"""Photos → vectors, embedded in the same way as the pictures of an index."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from pokesim.arguments import iterable, shown
from pokesim.embedders.catalog import Compute
from pokesim.embedders.embedder import Embedder, spec_for
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.embedders.model_cache import find_model
from pokesim.embedders.runtimes import open_embedder
from pokesim.errors import IndexFolderError, PictureError, PokesimError, UsageError
from pokesim.files import sha256_of
from pokesim.images import PictureSource, Pixels, in_memory, name_of, pixels_of, whole
from pokesim.index.item import path_in
from pokesim.index.manifest import EmbedderRecord, Manifest
from pokesim.index.store import Reader
from pokesim.metric import normalized
from pokesim.threads import read_ahead
from pokesim.timing import span

if TYPE_CHECKING:
    from pokesim.embedders.attribution import Attributor
    from pokesim.embedders.words.vectors import Words

Runner = TypeVar("Runner", "Embedder", "Attributor")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class LoadedPhoto:
    """A photo that is ready to be embedded, as `IndexEmbedder.load` returns it.

    Exactly one of the two is set.

    Attributes:
        pixels: uint8 (side, side, 3).
        item_id: id of the indexed picture with the same bytes; its vector is known already.
    """

    pixels: Pixels | None = None
    item_id: int | None = None


class IndexModels:
    """What runs the model of an index; safe to use from several threads.

    Each runner is loaded on first use, once: other threads wait for it.

    Attributes:
        record: what the manifest says about the embedder.
        compute: runtime and precision of the embedder.
    """

    def __init__(self, record: EmbedderRecord, compute: Compute) -> None:
        self.record, self.compute = record, compute
        self._loading = threading.RLock()

    @property
    def embedder(self) -> Embedder:
        """The embedder. Raises ModelError if its model is not on this machine."""
        with self._loading:
            return self._embedder

    @property
    def attributor(self) -> Attributor:
        """The attributor, in LiteRT. Raises ModelError if its model is not on this machine."""
        with self._loading:
            return self._attributor

    @property
    def explains(self) -> bool:
        """Whether a vector is a sum over the positions of a picture."""
        with self._loading:
            return self._explains

    @cached_property
    def _embedder(self) -> Embedder:
        with span("load the model"):
            return self._checked(open_embedder(find_model(self.record), self.compute))

    @property
    def words(self) -> Words:
        """What embeds words. Raises ModelError if its model is not on this machine."""
        with self._loading:
            return self._words

    @cached_property
    def _words(self) -> Words:
        from pokesim.embedders.words.vectors import open_words  # a photo needs none

        with span("load the model"):
            return open_words(self.record)

    @cached_property
    def _attributor(self) -> Attributor:
        from pokesim.embedders.attribution import open_attributor

        return self._checked(open_attributor(find_model(self.record)))

    @cached_property
    def _explains(self) -> bool:
        side = self.record.side
        try:
            self.attributor.parts(np.full((1, side, side, 3), 128, np.uint8))
        except PokesimError:
            return False
        return True

    def _checked(self, runner: Runner) -> Runner:
        """Return a runner if it reads pictures in the way that the index was built with."""
        if not self.record.is_read_as(runner.side):
            raise IndexFolderError(
                f"This version of pokesim reads pictures for {self.record.name} differently from "
                "the version that built the index; build the index again."
            )
        return runner


class IndexEmbedder:
    """Embeds photos for a search in one snapshot of an index.

    Attributes:
        models: what runs the model; snapshots with the same embedder may share it.
    """

    def __init__(self, manifest: Manifest, reader: Reader, models: IndexModels) -> None:
        self.models = models
        self._manifest, self._reader = manifest, reader

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of pixels, uint8 (n, side, side, 3).

        Raises:
            UsageError: the pixels have another shape or type.
        """
        side = self._manifest.embedder.side
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
            raise UsageError(f"Pixels must be an array of uint8, not {shown(pixels)}.")
        if pixels.ndim != 4 or pixels.shape[1:] != (side, side, 3):
            raise UsageError(f"Pixels must be (n, {side}, {side}, 3), not {pixels.shape}.")
        if not len(pixels):
            return np.empty((0, self._manifest.dimension), np.float32)
        embedder = self.models.embedder
        with span("embed"):
            rows = embedder.embed(pixels)
        rows = normalized(rows) if self._manifest.embedder.normalized else rows
        projection = self._reader.projection
        return projection.apply(rows) if projection else rows

    def embed_words(self, words: str) -> NDArray[np.float32]:
        """Return the vectors of words, float32 (n, d): one, or those of a word's classes.

        Raises:
            UsageError: the word is not known, the embedder takes no words, or vectors are not of
                length 1, so that a direction has no nearest one.
            ModelError: the embedder's model or weights are not on this machine.
        """
        record, embed = self._manifest.embedder, self.models.words
        with span("embed"):
            rows = embed(words)
        if not record.normalized and not spec_for(record).pair:
            raise UsageError(
                "Words need an index of vectors of length 1; build it again with --normalize "
                "--rebuild."
            )
        projection = self._reader.projection
        return projection.apply(rows) if projection else rows

    def load(self, photo: PictureSource) -> LoadedPhoto:
        """Read a photo, unless it is whole and the index holds a picture with the same bytes.

        Raises:
            PictureError: the photo cannot be read.
        """
        digest = _digest_of(photo)
        item_id = self._reader.items.find(digest) if digest else None
        if item_id is not None:
            return LoadedPhoto(item_id=item_id)
        return LoadedPhoto(pixels_of(photo, self._manifest.embedder.frame))

    def embed_loaded(self, photos: Sequence[LoadedPhoto]) -> NDArray[np.float32]:
        """Return the vectors, float32 (n, d), of loaded photos, embedded as one batch."""
        for photo in iterable("photos", photos):
            if not isinstance(photo, LoadedPhoto) or (photo.pixels is None) is (
                photo.item_id is None
            ):
                raise UsageError(f"photos must come from `load`, not {shown(photo)}.")
        rows = np.empty((len(photos), self._manifest.dimension), np.float32)
        pixels = {at: one.pixels for at, one in enumerate(photos) if one.pixels is not None}
        ids = {at: one.item_id for at, one in enumerate(photos) if one.item_id is not None}
        if pixels:
            rows[list(pixels)] = self.embed(np.stack(list(pixels.values())))
        if ids:
            rows[list(ids)] = self._reader.vectors(np.array(list(ids.values()), np.int64))
        return rows

    def embed_photos(
        self, photos: Iterable[PictureSource]
    ) -> Iterator[tuple[PictureSource, NDArray[np.float32] | PictureError]]:
        """Yield each photo with its vector, float32 (d,), or the error; see `Index`."""

        def load(given: PictureSource) -> tuple[PictureSource, LoadedPhoto | PictureError]:
            photo = given
            try:
                photo = in_memory(given)
                return photo, self.load(photo)
            except PictureError as error:
                return photo, type(error)(name_of(given), error.reason)  # not that of its bytes
            except OSError as error:  # such as a name that is too long
                return photo, PictureError(name_of(given), error.strerror or str(error))

        loaded = read_ahead(load, photos, 2 * BATCH_SIZE)
        while batch := _next_batch(loaded):
            good = [one for _, one in batch if not isinstance(one, PictureError)]
            rows = iter(self.embed_loaded(good))
            for photo, one in batch:
                yield photo, one if isinstance(one, PictureError) else next(rows)

    def embed_all(self, photos: Sequence[PictureSource]) -> NDArray[np.float32]:
        """Return the vectors of photos, float32 (n, d).

        Raises:
            PictureError: a photo cannot be read.
            ModelError: the model of the index's embedder is not on this machine.
        """
        rows = np.empty((len(photos), self._manifest.dimension), np.float32)
        for at, (_, vector) in enumerate(self.embed_photos(photos)):
            if isinstance(vector, PictureError):
                raise vector
            rows[at] = vector
        return rows

    def ids_of(self, photo: PictureSource) -> Set[int]:
        """Return the id of the photo's path, or else the ids of pictures with the same bytes.

        Those of a part are those of the whole.
        """
        items, photo = self._reader.items, whole(photo)
        if isinstance(photo, str | Path):
            item_id = items.id_of_path(path_in(Path(self._manifest.images), photo))
            if item_id is not None:
                return {item_id}
        digest = _digest_of(photo)
        return frozenset(items.ids_of_bytes(digest)) if digest else frozenset()


@span("read the photos")
def _next_batch(loaded: Iterator[Result]) -> list[Result]:
    return list(islice(loaded, BATCH_SIZE))


def _digest_of(photo: PictureSource) -> str | None:
    """Return the SHA-256 of a photo's bytes; None for a part, a Pillow image or no such file."""
    try:
        if isinstance(photo, bytes):
            return hashlib.sha256(photo).hexdigest()
        if isinstance(photo, str | Path):
            return sha256_of(Path(photo))
    except (OSError, ValueError):  # reading the photo reports the reason
        pass
    return None
