"""Write a drawing or a page in one step, so that a failure leaves the old file as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pokesim.errors import PokesimError
from pokesim.files import atomic_path


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Yield the path of a new file, which replaces ``path`` when the block ends without an error.

    A link is followed; a pipe or a device is written directly.

    Raises:
        PokesimError: the file cannot be written.
    """
    try:
        with atomic_path(path, follow_links=True) as part:
            yield part
    except OSError as error:
        raise PokesimError(f"{path} cannot be written ({error.strerror or error}).") from error
