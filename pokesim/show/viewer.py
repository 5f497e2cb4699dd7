"""Open a file in the program that the system shows its kind with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pokesim.errors import PokesimError
from pokesim.images import has_picture_ending

_PAGE_ENDINGS = (".html", ".htm")

_STARTS = 3.0  # seconds in which a viewer that cannot open the file has said so


def open_in_viewer(path: Path) -> None:
    """Open a picture or a page in the system's viewer, without waiting until it is closed.

    Raises:
        PokesimError: there is no such file, no viewer, or it cannot open the file; or the name does
            not end like that of a picture or a page, so that the system might run the file.
    """
    if not has_picture_ending(path.name) and path.suffix.lower() not in _PAGE_ENDINGS:
        raise PokesimError(f"{path} is not opened, as its name does not end like a picture's.")
    if not path.is_file():
        raise PokesimError(f"{path} cannot be opened (no such file).")
    if sys.platform == "win32":
        try:
            os.startfile(path.absolute())
        except OSError as error:
            raise PokesimError(f"{path} cannot be opened ({error.strerror or error}).") from error
        return
    name = "open" if sys.platform == "darwin" else "xdg-open"
    program = shutil.which(name)
    if not program:
        raise PokesimError(f"There is no viewer here ({name} is missing); open {path} yourself.")
    viewer = subprocess.Popen(
        [program, path.absolute()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # it stays open when the terminal is closed
    )
    try:
        code = viewer.wait(_STARTS)
    except subprocess.TimeoutExpired:  # it shows the file
        return
    if code:
        raise PokesimError(f"There is no viewer for {path} here ({name} failed); open it yourself.")
