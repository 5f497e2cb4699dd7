"""Kaggle's data sets, fetched with kagglehub, which logs in, resumes downloads and caches them."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pokesim.datasets.archives import ArchiveError, Entry
from pokesim.errors import DatasetError

if TYPE_CHECKING:
    import requests


def download(name: str, progress: Callable[[int, int], None]) -> Path:
    """Return the folder of a data set in kagglehub's cache; download it first if necessary.

    Args:
        name: OWNER/NAME, or OWNER/NAME/versions/NUMBER.
        progress: called with (bytes downloaded, bytes in total); an ArchiveError from it ends the
            download and is raised.

    Raises:
        DatasetError: kagglehub is not installed, or the data set is unavailable.
    """
    try:
        import kagglehub
        import requests
        from kagglehub.config import get_cache_folder
    except ImportError as error:
        raise DatasetError(
            "Kaggle's data sets need kagglehub; install it with `pip install 'pokesim[kaggle]'`."
        ) from error
    cache = Path(get_cache_folder())
    try:
        with _quiet(progress):
            return Path(kagglehub.dataset_download(name))
    except ArchiveError:
        raise
    except requests.HTTPError as error:
        raise DatasetError(_refusal(name, error)) from error
    except requests.RequestException as error:
        raise DatasetError(
            f"Kaggle is unreachable, or the connection broke ({type(error).__name__}). Run the "
            "same command again to resume."
        ) from error
    except OSError as error:
        raise DatasetError(
            f"kagglehub's cache {cache} cannot be written ({error.strerror or error}); free some "
            "space there, or set KAGGLEHUB_CACHE to another folder."
        ) from error
    except Exception as error:  # kagglehub would reuse a damaged archive
        for archive in cache.joinpath("datasets", *name.split("/")[:2]).glob("*.archive"):
            archive.unlink()
        raise DatasetError(
            f"The download of {name} from Kaggle is unusable ({error}) and was deleted; try again."
        ) from error


def cached_files(folder: Path) -> Iterator[Entry]:
    """Open the files below a folder, one at a time. Raises ArchiveError on a link."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ArchiveError(f"its entry {name} is a link or a device, which is never copied")
        if path.is_dir():
            yield name, None
            continue
        with path.open("rb") as file:
            yield name, file


def _refusal(name: str, error: requests.HTTPError) -> str:
    status = getattr(error.response, "status_code", 0)
    page = f"https://www.kaggle.com/datasets/{name}"
    if status in (401, 403):
        return (
            f"Kaggle refuses {name} ({status}): log in with an API token from "
            f"https://www.kaggle.com/settings in KAGGLE_API_TOKEN, and check at {page} that it "
            "exists and whether its licence must be accepted."
        )
    if status == 404:
        return f"Kaggle has no data set {name}; search for it at https://www.kaggle.com/datasets."
    return f"Kaggle answered {status} for {name}; try again later, or see {page}."


@contextmanager
def _quiet(progress: Callable[[int, int], None]) -> Iterator[None]:
    """Silence kagglehub's output, and replace its progress bar by ``progress``."""
    from kagglehub import clients

    class Bar:
        def __init__(self, total: int, initial: int = 0, **_: object) -> None:
            self.done, self.total = initial, total

        def __enter__(self) -> Bar:
            progress(self.done, self.total)
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, size: int) -> None:
            self.done += size
            progress(self.done, self.total)

    log, original = logging.getLogger("kagglehub"), clients.tqdm
    level = log.level
    log.setLevel(logging.CRITICAL)
    clients.tqdm = Bar
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints a note about newer versions
            yield
    finally:
        clients.tqdm = original
        log.setLevel(level)
