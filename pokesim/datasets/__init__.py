"""Fetch data sets of pictures from Kaggle or a URL into a folder, completely or not at all."""

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
from pokesim.arguments import file_path, text, whole_number
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
        source: its source, as passed to `fetch_dataset`.
        folder: its folder.
        files: the number of files fetched.
        bytes: their total size.
        is_new: False if an earlier call fetched it.
        tables: the CSV, TSV and JSON Lines files at its top level, which may describe the pictures.
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
    """Fetch a data set into a new folder; do nothing if the folder holds it already.

    Until it is complete, the data is in ``.FOLDER.part`` next to the folder. An interrupted
    download, from a URL or from Kaggle, is resumed by the next call. A folder that contains
    everything else, or that repeats the name of its parent, is replaced by its contents.

    Args:
        source: "kaggle:OWNER/NAME", which needs kagglehub, or the http(s) URL of a zip archive or
            of a tar archive, uncompressed or compressed with gzip, bzip2 or xz.
        folder: a folder that does not exist, is empty, or holds this data set.
        max_bytes: maximum size of the download, and of the unpacked files. It does not limit
            kagglehub, which unpacks a data set into its cache first.
        progress: called with (bytes downloaded, bytes in total).

    Raises:
        UsageError: the source is neither of these.
        DatasetError: the data set is unavailable, its archive is invalid or unsafe, or the folder
            contains other files or cannot be written; the folder is unchanged.
        KeyboardInterrupt: with a message that says how to resume.
    """
    import filelock

    name, folder = _kaggle_name(text("source", source)), file_path("The folder", folder)
    max_bytes = whole_number("max_bytes", max_bytes)
    if existing := _existing(source, folder):
        return existing
    target = folder.resolve()
    partial = target.with_name(f".{target.name}.part")

    def capped(done: int, total: int) -> None:
        if max(done, total) > max_bytes:
            raise TooLargeError("its archive is larger than the limit")
        progress(done, total)

    try:
        partial.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(partial / "lock", timeout=0), _cleaned_up(partial):
            unpacked = partial / "unpacked"
            if name:
                cached = kaggle.download(name, capped)
                files, size = write_files(kaggle.cached_files(cached), unpacked, max_bytes)
            else:
                files, size = _from_url(source, unpacked, max_bytes, capped)
            _unwrap(unpacked)
            record = {"source": source, "files": files, "bytes": size}
            (unpacked / _RECORD).write_text(json.dumps(record), encoding="utf-8")
            with contextlib.suppress(FileNotFoundError):
                target.rmdir()
            unpacked.rename(target)
    except filelock.Timeout as error:
        raise DatasetError(
            f"Another process is fetching into {folder}; wait until it finishes."
        ) from error
    except net.NetError as error:
        raise DatasetError(f"{source}: {error}; {_advice(error, folder)}.") from error
    except TooLargeError as error:
        message = f"{source}: {error} ({max_bytes / 1e9:g} GB); raise it with --max-gb."
        raise DatasetError(message) from error
    except ArchiveError as error:
        raise DatasetError(f"{source}: {error}; {folder} is unchanged.") from error
    except OSError as error:
        message = f"{folder} cannot be written ({error.strerror or error}); it is unchanged."
        if error.errno == errno.ENOSPC:
            message += " Free some space and run the same command again to resume."
        raise DatasetError(message) from error
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("Interrupted. Run the same command again to resume.") from error
    return _dataset(record, folder, is_new=True)


def _kaggle_name(source: str) -> str | None:
    """Return the OWNER/NAME of a Kaggle data set, or None for a URL."""
    if named := re.fullmatch(r"kaggle:([\w-]+/[\w-]+(?:/versions/\d+)?)", source):
        return named[1]
    if source.lower().startswith(("http://", "https://")):
        try:
            net.check_url(source)
        except ValueError as error:
            raise UsageError(f"{source} is not a valid URL ({error}).") from error
        return None
    raise UsageError(f"A data set is kaggle:OWNER/NAME or an http(s) URL, not {source}.")


def _existing(source: str, folder: Path) -> Dataset | None:
    """Return the data set if the folder holds it, or None if the folder can be used for it.

    Raises:
        DatasetError: the folder contains other files or is the current directory.
    """
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        if record["source"] == source:
            return _dataset(record, folder, is_new=False)
        problem = f"holds {record['source']}"
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        problem = "contains other files"
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            if folder.resolve() != Path.cwd():
                return None
            problem = "is the current directory"
    raise DatasetError(f"{folder} {problem}; name a new folder for this data set.")


def _dataset(record: dict[str, Any], folder: Path, is_new: bool) -> Dataset:
    tables = (path for path in folder.iterdir() if path.suffix.lower() in _TABLES)
    return Dataset(
        record["source"], folder, record["files"], record["bytes"], is_new, tuple(sorted(tables))
    )


@contextlib.contextmanager
def _cleaned_up(partial: Path) -> Iterator[None]:
    """Remove the folder of an incomplete data set, unless it holds a download to resume."""
    unpacked = partial / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)  # left by a killed process
    try:
        yield
    except BaseException:
        shutil.rmtree(unpacked, ignore_errors=True)
        if not any(partial.glob("archive-*")):
            shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(partial, ignore_errors=True)


def _from_url(
    url: str, folder: Path, max_bytes: int, progress: Callable[[int, int], None]
) -> tuple[int, int]:
    """Download an archive and unpack it into a new folder; return as `unpack` does."""
    archive = folder.with_name(f"archive-{hashlib.sha256(url.encode()).hexdigest()[:16]}")
    if not archive.exists():
        net.download(url, archive, progress)
    try:
        return unpack(archive, folder, max_bytes)
    except (TooLargeError, OSError):
        raise  # the next call may raise the limit, or find more space
    except Exception:
        archive.unlink()  # the next call downloads it again
        raise


def _advice(error: net.NetError, folder: Path) -> str:
    if error.status in (401, 403):
        return f"download it in a browser that is logged in, and unpack it into {folder}"
    if error.status:
        return "check the address"
    return "run the same command again to resume"


def _unwrap(folder: Path) -> None:
    """Replace a folder by its contents if it contains everything, or repeats its parent's name.

    The second happens where Kaggle has unpacked an archive in a data set.
    """
    entries = list(folder.iterdir())
    if len(entries) == 1 and entries[0].is_dir():
        _move_up(entries[0])
        _unwrap(folder)
        return
    for entry in entries:
        inner = entry / entry.name
        while inner.is_dir() and list(entry.iterdir()) == [inner]:
            _move_up(inner)


def _move_up(folder: Path) -> None:
    """Replace a folder by its contents."""
    shell = folder.rename(folder.with_name(".shell"))
    for path in list(shell.iterdir()):
        path.rename(folder.parent / path.name)
    shell.rmdir()
