"""Find the pictures in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from pokesim.images.decode import NO_DECODER
from pokesim.images.kinds import HEIF_ENDINGS, VIDEO_REASON, is_video


def find_files(
    folder: Path, on_skipped: Callable[[str, str], object] = lambda path, reason: None
) -> list[str]:
    """List the regular files below ``folder``, except hidden ones and videos, in sorted order.

    Links to files are followed, links to folders are not, so links cannot form a loop.

    Args:
        folder: where to start.
        on_skipped: called with the path and the reason for each folder that cannot be opened, for
            each entry that is named like a picture but is not a file, and for each video.

    Returns:
        paths relative to ``folder``, separated by "/".
    """
    return sorted(_walk(folder, "", on_skipped))


def _walk(folder: Path, prefix: str, on_skipped: Callable[[str, str], object]) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        on_skipped(prefix, f"the folder cannot be opened ({error.strerror})")
        return
    for entry in entries:
        path = prefix + entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{path}/", on_skipped)
        elif _is_file(entry):
            if is_video(path):
                on_skipped(path, VIDEO_REASON)
            else:
                yield path
        elif has_picture_ending(path):
            on_skipped(path, _kind(entry))


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # such as a loop of links
        return False


def _kind(entry: os.DirEntry[str]) -> str:
    """Return what an entry is that is neither a file nor a folder."""
    if not entry.is_symlink():
        return "a pipe, a socket or a device, not a file"
    try:
        entry.stat()
    except OSError as error:
        return f"a broken link ({error.strerror})"
    if entry.is_dir():
        return "a link to a folder, which is not followed"
    return "a link to a pipe, a socket or a device"


def has_picture_ending(path: str) -> bool:
    """Return True if a file name has the ending of an image format that pokesim can read."""
    ending = Path(path).suffix.lower()
    image_format = Image.registered_extensions().get(ending)
    is_known = image_format in Image.OPEN and image_format not in NO_DECODER
    return is_known or ending in HEIF_ENDINGS
