"""The OpenAPI description of the REST interface, from ``openapi.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pokesim import __version__

K_MAX = 100
"""Maximum number of matches in a request."""

EXAMPLES_MAX = 16
"""Maximum number of pictures that a request combines with its photo."""


def description(needs_token: bool) -> dict[str, Any]:
    """Return the description (OpenAPI 3.1).

    Args:
        needs_token: the server requires a token.
    """
    text = Path(__file__).with_name("openapi.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    document["info"]["version"] = __version__
    if needs_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document
