"""What every request passes: host, token, headers of the answer, and a line in the log.

A page of another site may send requests to a server on this machine, and by a name of its own that
it lets point here (DNS rebinding) even read the answers. So the Host header must be a name that
this server has, and what a browser says comes from another site is refused.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from urllib.parse import urlencode

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pokesim.web.hosts import AllowedHosts
from pokesim.web.responses import RequestError

COOKIE = "pokesim-token"

_CAREFUL = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "font-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_HEADERS = [(name.lower().encode(), told.encode()) for name, told in _CAREFUL.items()]

log = logging.getLogger(__name__)


class SecurityMiddleware:
    """Lets through to an application what may pass, and sees to what comes back."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts, token: str | None) -> None:
        self._app, self._hosts, self._token = app, hosts, token
        # What the browser keeps tells nobody the token.
        self._cookie = hashlib.sha256(f"pokesim {token}".encode()).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = size = 0

        async def send_guarded(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_HEADERS]
            size += len(message.get("body", b""))
            await send(message)

        try:
            app = self._first(HTTPConnection(scope)) or self._app
        except RequestError as refused:
            app = refused.response()
        try:
            await app(scope, receive, send_guarded)
        finally:
            client = (scope.get("client") or ["?"])[0]
            path = scope["raw_path"].decode("ascii", "backslashreplace")
            milliseconds = 1e3 * (time.perf_counter() - started)
            told = (client, scope["method"], path, status, size, milliseconds)
            log.info("%s %s %s %s %d B %.0f ms", *told)

    def _first(self, request: HTTPConnection) -> ASGIApp | None:
        """Return what answers in place of the application, if anything.

        Raises:
            Refused: the request may not pass.
        """
        if request.headers.get("host", "") not in self._hosts:
            raise RequestError(400, "This server does not go by that name (Host header).")
        elsewhere = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if elsewhere and request.scope["method"] == "POST":
            raise RequestError(403, "Pages of other sites may not ask this server.")
        path = request.scope["path"]
        if self._token is None or path == "/healthz":
            return None
        asked = request.query_params
        if path == "/" and _same(asked.get("token", ""), self._token):
            others = urlencode([one for one in asked.multi_items() if one[0] != "token"])
            page = RedirectResponse(f"/?{others}" if others else "/", 303)
            page.set_cookie(COOKIE, self._cookie, httponly=True, samesite="strict")
            return page
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        by_header = scheme.lower() == "bearer" and _same(bearer, self._token)
        if by_header or _same(request.cookies.get(COOKIE, ""), self._cookie):
            return None
        told = "This server asks for its token: open /?token=… or send it as Authorization: Bearer."
        raise RequestError(401, told, {"WWW-Authenticate": "Bearer"})


def _same(given: str, secret: str) -> bool:
    """Compare in a time that tells nothing of the secret."""
    return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())
