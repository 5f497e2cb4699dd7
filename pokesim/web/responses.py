"""JSON responses, and errors: a status code and a message, ``{"error": …}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.responses import JSONResponse

from pokesim.show.text import json_text


class JsonResponse(JSONResponse):
    """JSON in ASCII, as a file name is not always valid UTF-8; null for NaN and infinity."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json_text(content, separators=(",", ":")).encode("ascii")


class RequestError(Exception):
    """A request that cannot be answered.

    Attributes:
        status: HTTP status code.
        message: one sentence that says what is wrong and what to do.
        headers: headers of the response.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers

    def response(self) -> JsonResponse:
        """Return the response to send."""
        return JsonResponse({"error": self.message}, self.status, self.headers)


def disposition(kind: str, name: str) -> str:
    """Return the header Content-Disposition: how to show a file, and its name for saving it.

    Args:
        kind: "inline" or "attachment".
        name: the name, which may be any text.
    """
    name = re.sub(r"[^\w .,()+-]+", "-", name)
    ascii_name = name.encode("ascii", "replace").decode().replace("?", "_")
    return f"{kind}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name)}"


def busy(seconds: float) -> RequestError:
    """Return the error of a server at capacity that expects to have room in ``seconds``."""
    wait = max(1, round(seconds))
    message = f"The server is busy; try again in {wait} s."
    return RequestError(503, message, {"Retry-After": str(wait)})
