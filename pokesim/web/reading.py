"""Uploaded photos → pixels, read in other processes: light photos apart from heavy ones.

A photo may be made to be slow. So each is read as a light one first, with a limit on the processor
time; if it is not light, it waits for one of few processes with a low priority, which leave the
processor to the searches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Set
from dataclasses import replace
from functools import partial

from PIL import Image

from pokesim.errors import PictureError
from pokesim.images import (
    Crop,
    HeavyError,
    PictureProcesses,
    Pixels,
    SlowPictureError,
    Wanted,
    pixels_isolated,
)
from pokesim.search.embedder import LoadedPhoto
from pokesim.search.index import Index
from pokesim.threads import usable_cores
from pokesim.web.batching import READ_SECONDS, BoundedPool
from pokesim.web.responses import RequestError
from pokesim.web.uploads import Upload, photo_of

LIGHT_CPU_SECONDS = 0.1
"""Limit on the processor time for a light photo."""

SMALL_BYTES = 1024 * 1024
"""Photos of up to this size are read before larger ones."""

HEAVY = 8
"""Maximum number of heavy photos that are read or wait for it."""

_WHAT = "The photo"

_HANGS = 5.0  # seconds beyond the time limit; the process has been killed by then


class PhotoReader:
    """Reads uploaded photos."""

    def __init__(self, max_pending: int) -> None:
        """Start the processes for light photos.

        Args:
            max_pending: maximum number of light photos that are read or wait for it.
        """
        cores = usable_cores()
        self._light, self._heavy = PictureProcesses(), PictureProcesses(niceness=19)
        self._light.start(cores)
        self._reading = BoundedPool(max_pending, cores, READ_SECONDS + _HANGS)
        self._heavy_reading = BoundedPool(HEAVY, max(1, cores // 2), READ_SECONDS + _HANGS)

    async def load(
        self, index: Index, body: bytes, content_type: str, crop: Crop | None
    ) -> tuple[Upload, LoadedPhoto, Set[int]]:
        """Return the photo in a request's body, and what to embed: the photo, or a part of it.

        Returns:
            The photo, what to embed, and the ids of the indexed pictures with the same bytes.

        Raises:
            RequestError: there is none, it cannot be read, or too many photos are waiting.
        """
        upload, same, photo = await self._reading.do(
            _WHAT,
            partial(self._loaded, index, body, content_type, crop),
            len(body) > SMALL_BYTES,
        )
        if photo is None:
            wanted = Wanted.square(index.manifest.embedder.frame, crop)
            photo = LoadedPhoto(await self._heavy_pixels(upload, wanted))
        return upload, photo, same

    async def picture(self, body: bytes, content_type: str, wanted: Wanted) -> Image.Image:
        """Return the photo in a request's body as wanted. Raises RequestError as `load` does."""
        upload = await self._reading.do(_WHAT, partial(photo_of, body, content_type))
        return await self.read(upload, wanted)

    async def read(self, upload: Upload, wanted: Wanted) -> Image.Image:
        """Return a photo as wanted. Raises RequestError as `load` does."""
        light, rank = partial(self._light_pixels, upload, wanted), len(upload.data) > SMALL_BYTES
        pixels = await self._reading.do(_WHAT, light, rank)
        if pixels is None:
            pixels = await self._heavy_pixels(upload, wanted)
        return Image.fromarray(pixels)

    @property
    def is_reading(self) -> bool:
        """Whether a light photo is being read, or waits for it."""
        return self._reading.is_busy

    def _loaded(
        self, index: Index, body: bytes, content_type: str, crop: Crop | None
    ) -> tuple[Upload, Set[int], LoadedPhoto | None]:
        """Return what `load` does in a thread for light photos; no photo if it is heavy."""
        upload = photo_of(body, content_type)
        digest = hashlib.sha256(upload.data).hexdigest()
        same = frozenset(index.items.ids_of_bytes(digest))
        if same and not crop:
            return upload, same, LoadedPhoto(item_id=min(same))
        wanted = Wanted.square(index.manifest.embedder.frame, crop)
        pixels = self._light_pixels(upload, wanted)
        return upload, same, None if pixels is None else LoadedPhoto(pixels)

    def _light_pixels(self, upload: Upload, wanted: Wanted) -> Pixels | None:
        """Return a photo's pixels, or None if it is heavy."""
        light = replace(wanted, uploaded=True, light=True)
        try:
            return pixels_isolated(
                upload.data, light, READ_SECONDS, self._light, cpu_seconds=LIGHT_CPU_SECONDS
            )
        except (HeavyError, SlowPictureError):
            return None
        except PictureError as error:
            raise _unreadable(upload, error) from error

    async def _heavy_pixels(self, upload: Upload, wanted: Wanted) -> Pixels:
        heavy = replace(wanted, uploaded=True)
        read = partial(pixels_isolated, upload.data, heavy, READ_SECONDS, self._heavy)
        try:
            return await self._heavy_reading.do(_WHAT, read)
        except PictureError as error:
            raise _unreadable(upload, error) from error

    def close(self) -> None:
        """Stop the threads and processes after their photos."""
        for pool in (self._reading, self._heavy_reading):
            pool.close()
        for processes in (self._light, self._heavy):
            processes.close()


def _unreadable(upload: Upload, error: PictureError) -> RequestError:
    return RequestError(400, f"{upload.name}: {error.reason}.")
