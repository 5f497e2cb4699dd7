"""The description of the REST interface, as ``/openapi.json`` serves it."""

from __future__ import annotations

from typing import Any

K_MAX = 100


def description() -> dict[str, Any]:
    """Return the description."""
    return {"openapi": "3.1.0", "info": {"title": "pokesim", "version": "0"}, "paths": {}}
