"""Answers as JSON, and why a request is refused: a status and one sentence, ``{"error": …}``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse


class JsonResponse(JSONResponse):
    """JSON in plain ASCII, as a file's name need not be text in UTF-8."""

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - as Starlette has it
        """Return the bytes."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


class RequestError(Exception):
    """A request that is not answered as asked.

    Attributes:
        status: of HTTP.
        sentence: what is wrong, and what to do.
        headers: of the response.
    """

    def __init__(
        self, status: int, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers

    def response(self) -> JsonResponse:
        """Return what is sent."""
        return JsonResponse({"error": self.sentence}, self.status, self.headers)


def busy(seconds: float) -> RequestError:
    """Return the refusal where too much is asked at once; ``seconds`` from now there is room."""
    wait = max(1, round(seconds))
    told = f"Too many requests wait already; ask again in {wait} s."
    return RequestError(503, told, {"Retry-After": str(wait)})
