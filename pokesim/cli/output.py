"""Everything that the commands print: results, notes, errors and progress.

Names of files, labels and tables may contain anything, such as sequences that control a terminal.
Nothing is printed except through this module, which escapes them.
"""

from __future__ import annotations

import codecs
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator

from pokesim.errors import PokesimError
from pokesim.progress import Progress
from pokesim.show.text import plain, plain_lines

_LONGEST = 1000  # characters of an error

_settings = {"quiet": False}


def set_up(*, quiet: bool, verbose: bool, debug: bool) -> None:
    """Prepare the standard streams and the log for a command."""
    codecs.register_error("pokesim", _bytes_or_escape)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="pokesim")  # type: ignore[union-attr]
    _settings["quiet"] = quiet
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LogFormatter(debug))
    log = logging.getLogger("pokesim")
    log.handlers = [handler]
    log.setLevel(logging.DEBUG if debug or verbose else logging.WARNING if quiet else logging.INFO)
    # Pillow logs remarks on bad files; skipped files are listed with their reason anyway.
    logging.getLogger("PIL").addHandler(logging.NullHandler())


def _bytes_or_escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encode a file name that is not valid in the encoding as its bytes; escape anything else."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


class _LogFormatter(logging.Formatter):
    """A line for each record; the traceback of its exception only with --debug."""

    def __init__(self, debug: bool) -> None:
        super().__init__()
        self._debug = debug

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        if self._debug or not record.exc_info:
            return plain_lines(super().format(record))
        return plain(f"{record.getMessage()} ({record.exc_info[1]})")


class _Results:
    """Standard output, for data: unchanged in a file or a pipe, escaped on a terminal."""

    @property
    def width(self) -> int | None:
        """The width of a line, in cells, if it is a terminal."""
        import shutil

        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None

    def write(self, text: str, /) -> None:
        """Write a text. Raises PokesimError if that fails."""
        with _failure_reported():
            sys.stdout.write(plain_lines(text) if sys.stdout.isatty() else text)

    def flush(self) -> None:
        """Write what is buffered. Raises PokesimError if that fails."""
        with _failure_reported():
            sys.stdout.flush()


results = _Results()


@contextlib.contextmanager
def _failure_reported() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # the reader, such as `head`, has seen enough
    except OSError as error:
        message = f"Standard output cannot be written ({error.strerror or error})."
        raise PokesimError(message) from error


def say(line: str) -> None:
    """Print a line of a result for people on standard output."""
    results.write(f"{plain(line)}\n")


def say_lines(text: str) -> None:
    """Print a result of several lines for people; the names in it have been escaped."""
    results.write(f"{plain_lines(text)}\n")


def note(line: str) -> None:
    """Print a line that is not a result on standard error, unless --quiet is given."""
    if not _settings["quiet"]:
        _tell(plain(line))


def draw(text: str) -> None:
    """Print lines that control a terminal on standard error, unless --quiet is given."""
    if not _settings["quiet"]:
        _tell(text)


def complain(message: str) -> None:
    """Print an error on standard error; a very long one without its middle."""
    if len(message) > _LONGEST:
        message = f"{message[: _LONGEST // 2]} … {message[-_LONGEST // 2 :]}"
    _tell(plain(f"pokesim: {message}"))


def explain(text: str) -> None:
    """Print what belongs to an error on standard error: usage, help or a traceback."""
    _tell(plain_lines(text.rstrip("\n")))


def _tell(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # a note that nobody can read is no reason to fail
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


@contextlib.contextmanager
def progress(what: str | Callable[[], str]) -> Iterator[Progress]:
    """Show progress as `progress_shown` does, unless --quiet is given."""
    if _settings["quiet"]:
        yield lambda done, total: None
        return
    from pokesim.show.progress import progress_shown

    with progress_shown(what) as show:
        yield show


def open_standard_streams() -> None:
    """Open the standard streams that are closed, so that no other file takes their place.

    Otherwise, what a library writes to descriptor 2 could end up in an index. Writing to a closed
    standard output fails as it should; notes and errors are lost.
    """
    for descriptor, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest free descriptor, which is this one
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def flush_results(report: bool) -> bool:
    """Write what is left of the results; return False if that fails, and say why if ``report``."""
    try:
        results.flush()
    except BrokenPipeError:
        pass
    except PokesimError as error:
        if report:
            complain(str(error))
    else:
        return True
    # Python flushes again when it ends, and would report the failure once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return False
