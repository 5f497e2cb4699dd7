"""What the pages that we write have in common: a template, pictures inside, one file."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from pokesim.errors import PokesimError


def save_page(path: Path, template: str, parts: Mapping[str, str]) -> None:
    """Fill a template of this folder and write it.

    Args:
        path: the file.
        template: its name.
        parts: the HTML that comes for each {{name}} of it.

    Raises:
        PokesimError: the file cannot be written.
    """
    page = Path(__file__).with_name(template).read_text(encoding="utf-8")
    # In one go, so that nothing in a part is taken for a place of the template.
    page = re.sub(r"{{(\w+)}}", lambda place: parts[place[1]], page)
    try:
        path.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise PokesimError(f"{path} cannot be written ({error.strerror}).") from error


def data_url(picture: Image.Image) -> str:
    """Return a picture as a data URL, which holds all of it."""
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
