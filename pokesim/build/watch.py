"""Keep an index up to date while the files of its picture folder come and go.

    folder ── watchfiles: something has changed ──► wait until it is quiet ──► build_index

A change is only a reason to look. Each update compares the whole folder with the index, as every
build does, so a notice that comes late, twice or for the wrong file makes no difference.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from pokesim.arguments import file_path
from pokesim.build.build import build_index
from pokesim.build.options import BuildReport
from pokesim.errors import IncompatibleIndexError, IndexFolderError, PokesimError
from pokesim.index import DEFAULT_INDEX, open_store
from pokesim.progress import Progress

log = logging.getLogger(__name__)

QUIET_SECONDS = 1.0
"""An update begins when nothing has changed for this long, …"""

LATEST_SECONDS = 5.0
"""… or this long after the first change."""

FIRST_RETRY, LAST_RETRY = 1.0, 30.0
"""Seconds until a failed update is tried again; they double each time."""

_STOP_SECONDS = 30.0
"""How long a thread may take to stop: it ends after a batch, or a slow file."""

_STEP_MS, _TICK_MS = 50, 250


class UpdateKeywords(TypedDict, total=False):
    """The keyword arguments of `build_index` that make sense for every update."""

    embedder: str
    weights: str | Path | None
    normalize: bool | None
    search: str
    metadata: str | Path | Literal[False] | None
    key: str | None
    runtime: str
    precision: str
    batch_size: int
    max_pixels: int
    file_seconds: float


def watch_folder(
    images: str | Path,
    index: str | Path = DEFAULT_INDEX,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[], AbstractContextManager[Progress]] | None = None,
    **options: Unpack[UpdateKeywords],
) -> Iterator[BuildReport]:
    """Keep an index up to date: build it, then update it whenever the folder changes.

    An update is what `build_index` does again: only new and changed pictures are embedded, and
    queries use the previous snapshot until it is complete. It begins `QUIET_SECONDS` after the last
    change, and at most `LATEST_SECONDS` after the first. If it fails for a reason that may pass
    (another build writes the index, the disk is full, the folder is gone or empty), the reason is
    logged and it is tried again. A metadata table is watched too.

    Changes on a network drive, or of a file outside that a link points to, may go unnoticed; with
    the environment variable ``WATCHFILES_FORCE_POLLING=1``, all files are looked at regularly
    instead.

    Args:
        images: the picture folder, which must exist at the start.
        index: the index's folder or address.
        stop: ends the watching when it is set, at the latest after the next batch.
        progress: called at each update; the progress callback that its block gives is called after
            each batch.
        options: as of `build_index`.

    Yields:
        the report of the first update, then of each that changed the index.

    Raises:
        UsageError: the index cannot be called so.
        PokesimError: the library watchfiles is not installed, the folder cannot be watched, or the
            first update fails for a reason that will not pass.
        KeyboardInterrupt: if ``stop`` is set during an update, with a message that says how to
            resume.
    """
    root = file_path("The picture folder", images)
    if not root.is_dir():
        raise IndexFolderError(f"There is no folder {root} to watch.")
    open_store(index)
    try:
        import watchfiles  # noqa: F401
    except ImportError as error:
        raise PokesimError(
            "Watching a folder needs watchfiles; install it with `pip install 'pokesim[watch]'`."
        ) from error
    stopping = stop or threading.Event()
    updater = _Updater(root, index, stopping, progress or _no_progress, options)
    return _reports(updater, _ticks(root, Path(index), stopping))


@contextmanager
def watching(
    images: str | Path,
    index: str | Path,
    on_report: Callable[[BuildReport], object],
    **options: Unpack[UpdateKeywords],
) -> Iterator[None]:
    """Watch a folder in a thread until the block ends; an update under way is interrupted.

    Args:
        images: the picture folder.
        index: the index's folder or address.
        on_report: called with each report, in the thread.
        options: as of `build_index`.

    Raises:
        PokesimError: as `watch_folder`, before the block; what ends it later is logged.
    """
    stop = threading.Event()
    reports = watch_folder(images, index, stop=stop, **options)

    def follow() -> None:
        try:
            for report in reports:
                on_report(report)
        except KeyboardInterrupt as interrupt:
            log.info("%s", interrupt)
        except Exception as error:
            log.error("%s The index is no longer kept up to date.", error)  # noqa: TRY400

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_STOP_SECONDS)


class _Updater:
    """Updates an index of a folder again and again.

    Attributes:
        failure: why the last update failed; "" if it did not.
        delay: seconds until a failed update is tried again.
    """

    def __init__(
        self,
        root: Path,
        index: str | Path,
        stop: threading.Event,
        progress: Callable[[], AbstractContextManager[Progress]],
        options: UpdateKeywords,
    ) -> None:
        self._root, self._index, self._stop = root, index, stop
        self._progress, self._options = progress, options
        self._table: Path | None = None
        self._table_state: object = None
        self._is_first = True
        self.failure, self.delay = "", FIRST_RETRY

    def update(self) -> BuildReport | None:
        """Return the report of an update, or None if it failed or changed nothing."""
        try:
            with self._progress() as on_progress:
                report = build_index(
                    self._root,
                    self._index,
                    progress=self._unless_stopped(on_progress),
                    **self._options,
                )
        except PokesimError as error:
            passes = isinstance(error, IndexFolderError)
            if self._is_first and (isinstance(error, IncompatibleIndexError) or not passes):
                raise
            if str(error) != self.failure:
                log.warning("%s Trying again until it works.", error)
            self.delay = min(2 * self.delay, LAST_RETRY) if self.failure else FIRST_RETRY
            self.failure = str(error)
            return None
        if self.failure and not report.changed:
            log.info("The index is up to date again.")
        self._table = Path(report.metadata.source) if report.metadata else None
        is_first, self._is_first, self.failure = self._is_first, False, ""
        return report if is_first or report.changed else None

    def table_has_changed(self) -> bool:
        """Return whether the metadata table has changed since the last call."""
        before, self._table_state = self._table_state, _state_of(self._table)
        return self._table_state != before

    def _unless_stopped(self, on_progress: Progress) -> Progress:
        def show(done: int, total: int) -> None:
            if self._stop.is_set():
                raise KeyboardInterrupt  # which a build explains
            on_progress(done, total)

        return show


def _reports(updater: _Updater, ticks: Iterator[bool]) -> Iterator[BuildReport]:
    """Yield the reports of updates, which begin some time after a change or a failure."""
    changed_since, due = -math.inf, math.inf  # the first update is due at once
    for changed in ticks:
        now = time.monotonic()
        if changed or updater.table_has_changed():
            changed_since = min(changed_since, now)
            due = min(now + QUIET_SECONDS, changed_since + LATEST_SECONDS)
        if now < due:
            continue
        changed_since = due = math.inf
        report = updater.update()
        if report:
            yield report
        if updater.failure:
            due = time.monotonic() + updater.delay


def _ticks(root: Path, index: Path, stop: threading.Event) -> Iterator[bool]:
    """Yield several times a second whether anything below the folder may have changed since.

    The folder may be removed, come back, or be replaced by another, as when a disk is mounted.
    """
    is_gone = False
    while not stop.is_set():
        watched, is_new = _identity(root), True
        try:
            for changed in _changes(root.resolve(), index.resolve(), stop):
                yield is_new or changed
                is_gone = is_new = False
                if _identity(root) != watched:
                    break
        except FileNotFoundError:
            yield not is_gone
            is_gone = True
            stop.wait(_TICK_MS / 1000)


def _changes(root: Path, index: Path, stop: threading.Event) -> Iterator[bool]:
    """Yield several times a second whether anything below an existing folder has changed since.

    Raises:
        FileNotFoundError: the folder is gone.
        PokesimError: the system does not allow to watch it.
    """
    from watchfiles import watch

    def counts(_: object, name: str) -> bool:
        path = Path(name)
        inside = path.parts[len(root.parts) :]
        is_hidden = any(part.startswith(".") for part in inside)
        return not (is_hidden or path.is_relative_to(index))

    try:
        for changes in watch(
            root,
            watch_filter=counts,
            debounce=_TICK_MS,
            step=_STEP_MS,
            stop_event=stop,
            rust_timeout=_TICK_MS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        ):
            yield bool(changes)
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError) as error:  # such as too many folders for the system's limit
        raise PokesimError(
            f"{root} cannot be watched ({error}); set WATCHFILES_FORCE_POLLING=1 to look at all "
            "files regularly instead."
        ) from error


def _identity(folder: Path) -> object:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _state_of(file: Path | None) -> object:
    """Return what changes with a file; None if there is none."""
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return found and (found.st_ino, found.st_size, found.st_mtime_ns)


def _no_progress() -> AbstractContextManager[Progress]:
    return nullcontext(lambda done, total: None)
