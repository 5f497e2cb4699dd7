"""One file of a picture folder → an item and its pixels, or why it is passed over."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pokesim.errors import NotAPictureError, PictureError
from pokesim.files import sha256_of
from pokesim.images import Pixels, has_picture_ending, head_of, pixels_of
from pokesim.index.item import RACY, Item, changed_ns
from pokesim.index.manifest import Skipped

_TICK_NS = 2_000_000_000
"""The coarsest step in which file systems count time; FAT's."""


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """One file on its way: a picture, a skipped file, or (both None) no picture at all.

    Attributes:
        item: the picture; its id is yet to be given.
        pixels: of a picture that is yet to be embedded.
        skipped: a file that claims to be a picture but cannot be read.
        known: its vector is at hand, so that it needs no pixels.
    """

    item: Item | None = None
    pixels: Pixels | None = None
    skipped: Skipped | None = None
    known: bool = False


def nothing_known(_: Item) -> bool:
    """Say that the vector of no picture is at hand."""
    return False


@dataclass(frozen=True, slots=True)
class FileLoader:
    """Reads the files of a folder; safe to call from several threads.

    Attributes:
        root: the folder; a path that is absolute stands for itself.
        side: side of the network's square input, in pixels.
        max_pixels: cap on a picture's width × height.
        seconds: how long one file may take.
        asked: each file was asked for by its name, so one that is no picture is told of too.
        is_known: says whether the vector of an item is at hand, so that no pixels are needed.
    """

    root: Path
    side: int
    max_pixels: int
    seconds: float
    asked: bool
    is_known: Callable[[Item], bool] = nothing_known

    def __call__(self, path: str) -> LoadedFile:
        """Read one file; whatever is wrong with it becomes a reason."""
        full = self.root / path
        try:
            before = full.stat()
            if not stat.S_ISREG(before.st_mode):  # opening a pipe may wait for ever
                return LoadedFile(skipped=Skipped(path, "not a regular file"))
            head_of(full, self.max_pixels)  # a film is not to be hashed
            now = time.time_ns()
            item = _item(path, before, sha256_of(full), now)
            if self.is_known(item):
                return LoadedFile(item, known=True)
            pixels = pixels_of(full, self.side, self.max_pixels)
            after = full.stat()
        except NotAPictureError as error:
            if not (self.asked or has_picture_ending(path)):
                return LoadedFile()
            return LoadedFile(
                skipped=Skipped(path, error.reason if before.st_size else "empty file")
            )
        except PictureError as error:
            return LoadedFile(skipped=Skipped(path, error.reason))
        except OSError as error:  # gone, or changed hands, since the folder was listed
            return LoadedFile(skipped=Skipped(path, error.strerror or str(error)))
        if (after.st_size, changed_ns(after)) != (before.st_size, changed_ns(before)):
            return LoadedFile(skipped=Skipped(path, "it changed while it was read"))
        return LoadedFile(item, pixels)

    def late(self, path: str) -> LoadedFile:
        """Give up on a file."""
        return LoadedFile(
            skipped=Skipped(path, f"reading it took over {self.seconds:g} s (--file-seconds)")
        )


def _item(path: str, found: os.stat_result, digest: str, now: int) -> Item:
    changed = changed_ns(found)
    mtime = RACY if changed > now - _TICK_NS else changed
    return Item(0, path, PurePosixPath(path).stem, found.st_size, mtime, digest)
