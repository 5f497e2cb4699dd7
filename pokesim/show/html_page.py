"""Write self-contained HTML pages from templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pokesim.show.output import output_file

_TEMPLATES = Path(__file__).with_name("templates")


def save_page(path: Path, template: str, parts: Mapping[str, str]) -> None:
    """Fill in a template and write the page.

    Args:
        path: the file to write.
        template: name of a file in ``templates``.
        parts: the HTML that replaces each {{name}} of the template.

    Raises:
        PokesimError: the file cannot be written.
    """
    page = (_TEMPLATES / template).read_text(encoding="utf-8")
    # In one pass, so that {{name}} inside a part is not replaced.
    page = re.sub(r"{{(\w+)}}", lambda found: parts[found[1]], page)
    with output_file(path) as part:
        part.write_text(page, encoding="utf-8", errors="replace")
