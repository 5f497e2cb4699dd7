"""Data sets of pictures: fetched from Kaggle or a URL into a folder, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pokesim import net
from pokesim.datasets import kaggle
from pokesim.datasets.archives import ArchiveError, TooLargeError, unpack, write_files
from pokesim.errors import DatasetError, UsageError

__all__ = ["Dataset", "fetch_dataset"]

DEFAULT_SOURCE = "kaggle:vishalsubbiah/pokemon-images-and-types"

DEFAULT_FOLDER = Path("images")

MAX_BYTES = 20_000_000_000

_RECORD = ".pokesim-dataset.json"

_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set in a folder.

    Attributes:
        source: what it was fetched from.
        folder: where it is.
        files: how many there were.
        bytes: their size.
        is_new: False where it was there already.
        tables: the CSV, TSV and JSON Lines files at its top, which may describe the pictures.
    """

    source: str
    folder: Path
    files: int
    bytes: int
    is_new: bool
    tables: tuple[Path, ...]


def fetch_dataset(
    source: str = DEFAULT_SOURCE,
    folder: str | Path = DEFAULT_FOLDER,
    *,
    max_bytes: int = MAX_BYTES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Dataset:
    """Fetch a data set into a new folder; do nothing if it is there.

    What is downloaded of a URL stands in ``.FOLDER.part`` beside the folder until all is there,
    and a download that broke off goes on when it is called for again, as one of Kaggle does. A
    folder that all else is in, or that repeats the name of the one around it, is left out.

    Args:
        source: "kaggle:OWNER/NAME", which needs kagglehub, or the http(s) URL of an archive: zip,
            or tar, plain or packed by gzip, bzip2 or xz.
        folder: does not exist, is empty, or holds this data set.
        max_bytes: cap on what is downloaded, and on what that unpacks to; of what Kaggle sends,
            kagglehub has unpacked a copy into its cache before.
        progress: called with (bytes downloaded, bytes in all).

    Raises:
        UsageError: the source is neither.
        DatasetError: it cannot be had, is no archive or an unsafe one, or the folder is taken or
            cannot be written; the folder is as it was.
        KeyboardInterrupt: with a sentence that says how to go on.
    """
    import filelock

    name = _kaggle_name(source)
    folder = Path(folder)
    if there := _there(source, folder):
        return there
    whole = folder.resolve()
    part = whole.with_name(f".{whole.name}.part")

    def capped(done: int, total: int) -> None:
        if max(done, total) > max_bytes:
            raise TooLargeError("its archive is larger than is allowed")
        progress(done, total)

    try:
        part.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(part / "lock", timeout=0), _tidied(part):
            fresh = part / "unpacked"
            if name:
                kept = kaggle.download(name, capped)
                files, size = write_files(kaggle.kept_files(kept), fresh, max_bytes)
            else:
                files, size = _from_url(source, fresh, max_bytes, capped)
            _unwrap(fresh)
            record = {"source": source, "files": files, "bytes": size}
            (fresh / _RECORD).write_text(json.dumps(record), encoding="utf-8")
            with contextlib.suppress(FileNotFoundError):
                whole.rmdir()
            fresh.rename(whole)
    except filelock.Timeout as error:
        raise DatasetError(
            f"Another process is fetching into {folder} now; wait for it."
        ) from error
    except net.NetError as error:
        raise DatasetError(f"{source}: {error}; {_advice(error, folder)}.") from error
    except TooLargeError as error:
        told = f"{source}: {error} ({max_bytes / 1e9:g} GB); --max-gb allows more."
        raise DatasetError(told) from error
    except ArchiveError as error:
        raise DatasetError(f"{source}: {error}; {folder} is as it was.") from error
    except OSError as error:
        told = f"{folder} cannot be written ({error.strerror or error}); it is as it was"
        if error.errno == errno.ENOSPC:
            told += ", and once there is room, the same command goes on"
        raise DatasetError(f"{told}.") from error
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("Interrupted. Run the same command again to resume.") from error
    return _dataset(record, folder, is_new=True)


def _kaggle_name(source: str) -> str | None:
    """Return OWNER/NAME of one of Kaggle's data sets, or None for a URL."""
    if named := re.fullmatch(r"kaggle:([\w-]+/[\w-]+(?:/versions/\d+)?)", source):
        return named[1]
    if source.lower().startswith(("http://", "https://")):
        return None
    raise UsageError(f"A data set is kaggle:OWNER/NAME or an http(s) URL, not {source}.")


def _there(source: str, folder: Path) -> Dataset | None:
    """Return this data set if the folder holds it. Raises DatasetError if it holds other things."""
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        if record["source"] == source:
            return _dataset(record, folder, is_new=False)
        held = f"holds {record['source']}"
    except (OSError, ValueError, TypeError, KeyError):
        held = "has other things in it"
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            if folder.resolve() != Path.cwd():
                return None
            held = "is the folder that you are in"
    raise DatasetError(f"{folder} {held}; name a folder for this data set that is not there yet.")


def _dataset(record: dict[str, Any], folder: Path, is_new: bool) -> Dataset:
    tables = (path for path in folder.iterdir() if path.suffix.lower() in _TABLES)
    return Dataset(
        record["source"], folder, record["files"], record["bytes"], is_new, tuple(sorted(tables))
    )


@contextlib.contextmanager
def _tidied(part: Path) -> Iterator[None]:
    """Remove the folder for parts, unless there is a download in it that can go on."""
    fresh = part / "unpacked"
    shutil.rmtree(fresh, ignore_errors=True)  # of one that was killed
    try:
        yield
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        if not any(part.glob("archive-*")):
            shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(part, ignore_errors=True)


def _from_url(
    url: str, fresh: Path, max_bytes: int, progress: Callable[[int, int], None]
) -> tuple[int, int]:
    archive = fresh.with_name(f"archive-{hashlib.sha256(url.encode()).hexdigest()[:16]}")
    if not archive.exists():
        net.download(url, archive, progress)
    try:
        return unpack(archive, fresh, max_bytes)
    except TooLargeError:
        raise  # it may be allowed more
    except ArchiveError:
        archive.unlink()
        raise


def _advice(error: net.NetError, folder: Path) -> str:
    if error.status in (401, 403):
        return f"fetch it with a browser that is logged in, and unpack it into {folder}"
    if error.status:
        return "look whether the address is right"
    return "when it can be reached again, the same command goes on"


def _unwrap(folder: Path) -> None:
    """Leave out a folder that all else is in, and one with the name of the only one in it.

    The second is how Kaggle unpacks an archive that somebody has put into a data set.
    """
    entries = list(folder.iterdir())
    if len(entries) == 1 and entries[0].is_dir():
        _lift(entries[0])
        _unwrap(folder)
        return
    for entry in entries:
        while entry.is_dir() and [inner.name for inner in entry.iterdir()] == [entry.name]:
            _lift(entry / entry.name)


def _lift(folder: Path) -> None:
    """Put what is in a folder in its place."""
    shell = folder.rename(folder.with_name(".shell"))
    for path in list(shell.iterdir()):
        path.rename(folder.parent / path.name)
    shell.rmdir()
