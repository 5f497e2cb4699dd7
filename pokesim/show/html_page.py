"""Write self-contained HTML pages from templates."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pokesim.show.drawing.typeset import BOLD, REGULAR
from pokesim.show.output import output_file

_TEMPLATES = Path(__file__).with_name("templates")


def save_page(path: Path, template: str, parts: Mapping[str, str]) -> None:
    """Fill in a template and write the page.

    Args:
        path: the file to write.
        template: name of a file in ``templates``.
        parts: the HTML that replaces each {{name}} of the template, except {{look}}: the colours,
            light and dark, and the typeface of what pokesim draws.

    Raises:
        PokesimError: the file cannot be written.
    """
    page = (_TEMPLATES / template).read_text(encoding="utf-8")
    pieces = {"look": _look(), **parts}
    # In one pass, so that {{name}} inside a part is not replaced.
    page = re.sub(r"{{(\w+)}}", lambda found: pieces[found[1]], page)
    with output_file(path) as part:
        part.write_text(page, encoding="utf-8", errors="replace")


@cache
def _look() -> str:
    fonts = "".join(
        f"  @font-face {{ font-family: Inter; font-weight: {weight}; "
        f"src: url(data:font/otf;base64,{b64encode(file.read_bytes()).decode('ascii')}); }}\n"
        for weight, file in ((400, REGULAR), (600, BOLD))
    )
    return fonts + (_TEMPLATES / "base.css").read_text(encoding="utf-8")
