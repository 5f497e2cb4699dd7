"""One file of a picture folder → an item and its pixels, or the reason to skip it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pokesim.errors import NotAPictureError, PictureError
from pokesim.files import sha256_of
from pokesim.images import (
    Frame,
    Pixels,
    SlowPictureError,
    Wanted,
    as_pixels,
    has_picture_ending,
    read,
)
from pokesim.index.item import RACY, Item, changed_ns
from pokesim.index.manifest import Skipped

_TICK_NS = 2_000_000_000
"""The coarsest timestamp resolution of a file system: that of FAT."""


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A file that was read: a picture, a skipped file, or (both None) not a picture at all.

    Attributes:
        item: the picture; its id is not yet assigned.
        pixels: of a picture that must be embedded.
        skipped: a file that looks like a picture but could not be read.
        known: the picture's vector is known, so it has no pixels.
    """

    item: Item | None = None
    pixels: Pixels | None = None
    skipped: Skipped | None = None
    known: bool = False


@dataclass(frozen=True, slots=True)
class FileLoader:
    """Reads the files of a folder; safe to call from several threads.

    A picture whose decoding may take long is decoded in another process, which can be ended.

    Attributes:
        root: the folder; absolute paths are read as given.
        frame: how a picture becomes the embedder's square input.
        max_pixels: cap on a picture's width × height.
        seconds: time limit for reading a file's header, and then its pixels.
        explicit: the user named each file, so one that is not a picture is reported too.
        is_known: returns whether the vector of an item is known, in which case its pixels are not
            loaded; None means that no vector is known.
    """

    root: Path
    frame: Frame
    max_pixels: int
    seconds: float
    explicit: bool
    is_known: Callable[[Item], bool] | None = None

    @property
    def hangs_after(self) -> float:
        """Seconds after which a file is given up even if the file system hangs."""
        return 3 * self.seconds + 10

    def __call__(self, path: str) -> LoadedFile:
        """Read one file; any problem becomes the reason to skip it."""
        full = self.root / path
        header = Wanted(max_pixels=self.max_pixels)
        square = Wanted.square(self.frame, max_pixels=self.max_pixels)
        try:
            before = full.stat()
            if not stat.S_ISREG(before.st_mode):  # opening a pipe may block forever
                return LoadedFile(skipped=Skipped(path, "not a regular file"))
            # Fails before a large file that is no picture is hashed.
            _, picture = read(full, header if self.is_known else square, self.seconds)
            now = time.time_ns()
            item = _item(path, before, sha256_of(full), now)
            if self.is_known and self.is_known(item):
                return LoadedFile(item, known=True)
            if self.is_known:
                _, picture = read(full, square, self.seconds)
            after = full.stat()
        except NotAPictureError as error:
            if not (self.explicit or has_picture_ending(path)):
                return LoadedFile()
            return LoadedFile(
                skipped=Skipped(path, error.reason if before.st_size else "empty file")
            )
        except PictureError as error:
            option = " (--file-seconds)" if isinstance(error, SlowPictureError) else ""
            return LoadedFile(skipped=Skipped(path, error.reason + option))
        except OSError as error:  # removed, or no longer readable, since the folder was listed
            return LoadedFile(skipped=Skipped(path, error.strerror or str(error)))
        if (after.st_size, changed_ns(after)) != (before.st_size, changed_ns(before)):
            return LoadedFile(skipped=Skipped(path, "the file changed while it was read"))
        return LoadedFile(item, as_pixels(picture))

    def late(self, path: str) -> LoadedFile:
        """Skip a file on a file system that hangs."""
        return LoadedFile(
            skipped=Skipped(path, f"it could not be read within {self.hangs_after:g} s")
        )


def _item(path: str, found: os.stat_result, digest: str, now: int) -> Item:
    changed = changed_ns(found)
    mtime = RACY if changed > now - _TICK_NS else changed
    return Item(0, path, PurePosixPath(path).stem, found.st_size, mtime, digest)
