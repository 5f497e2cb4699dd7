"""Why a request is refused: a status and one sentence, sent as ``{"error": …}``."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse


class Refused(Exception):  # noqa: N818 - it is no error of ours
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

    def response(self) -> JSONResponse:
        """Return what is sent."""
        return JSONResponse({"error": self.sentence}, self.status, self.headers)


def busy(seconds: float) -> Refused:
    """Return the refusal where too much is asked at once; ``seconds`` from now there is room."""
    wait = max(1, round(seconds))
    told = f"Too many requests wait already; ask again in {wait} s."
    return Refused(503, told, {"Retry-After": str(wait)})
