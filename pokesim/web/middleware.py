"""Checks every request's host and token, adds security headers, and logs a line.

A page of another site can send requests to a server on this machine, and can even read the
responses if a name of that site resolves to this machine (DNS rebinding). So the Host header must
be one of this server's names, and requests that the browser marks as cross-site are rejected.
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

_SECURITY_HEADERS = {
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

_HEADERS = [(name.lower().encode(), value.encode()) for name, value in _SECURITY_HEADERS.items()]

log = logging.getLogger(__name__)


class SecurityMiddleware:
    """Rejects requests that an application must not see, and secures its responses."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts, token: str | None) -> None:
        self._app, self._hosts, self._token = app, hosts, token
        # The browser stores a hash, which does not reveal the token.
        self._cookie = hashlib.sha256(_encoded(f"pokesim {token}")).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = size = 0

        async def send_secured(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name for name, _ in message["headers"]}
                more = [header for header in _HEADERS if header[0] not in own]
                message["headers"] = [*message["headers"], *more]
            size += len(message.get("body", b""))
            await send(message)

        try:
            app = self._checked(HTTPConnection(scope)) or self._app
        except RequestError as error:
            app = error.response()
        try:
            await app(scope, receive, send_secured)
        finally:
            client = (scope.get("client") or ["?"])[0]
            path = scope["raw_path"].decode("ascii", "backslashreplace")
            milliseconds = 1e3 * (time.perf_counter() - started)
            fields = (client, scope["method"], path, status, size, milliseconds)
            log.info("%s %s %s %s %d B %.0f ms", *fields)

    def _checked(self, request: HTTPConnection) -> ASGIApp | None:
        """Return the response that replaces the application's, or None to let the request pass.

        Raises:
            RequestError: the request is rejected.
        """
        if request.headers.get("host", "") not in self._hosts:
            raise RequestError(400, "The Host header is not a name of this server.")
        if request.scope["method"] == "POST" and _is_foreign(request):
            raise RequestError(403, "Pages of other sites may not use this server.")
        path = request.scope["path"]
        if self._token is None or path == "/healthz":
            return None
        cookie, params = _cookie_name(request), request.query_params
        if path == "/" and _same(params.get("token", ""), self._token):
            others = urlencode([one for one in params.multi_items() if one[0] != "token"])
            page = RedirectResponse(f"/?{others}" if others else "/", 303)
            page.set_cookie(cookie, self._cookie, httponly=True, samesite="strict")
            return page
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        # Starlette decodes a header's bytes as Latin-1; a token is encoded as UTF-8.
        given = bearer.encode("latin-1").decode("utf-8", "surrogateescape")
        by_header = scheme.lower() == "bearer" and _same(given, self._token)
        if by_header or _same(request.cookies.get(cookie, ""), self._cookie):
            return None
        message = "This server requires a token: open /?token=… or send Authorization: Bearer."
        raise RequestError(401, message, {"WWW-Authenticate": "Bearer"})


def _is_foreign(request: HTTPConnection) -> bool:
    """Return True if a request comes from a page of another site, even of one on this machine."""
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return True
    origin = request.headers.get("origin")
    here = request.headers.get("host", "").lower()
    return origin is not None and origin.lower().partition("://")[2] != here


def _cookie_name(request: HTTPConnection) -> str:
    """Return a name with the port, as browsers send a host's cookies to all of its ports."""
    return f"pokesim-token-{request.scope['server'][1]}"


def _same(given: str, secret: str) -> bool:
    """Compare in constant time, so that timing reveals nothing about the secret."""
    return secrets.compare_digest(_encoded(given), _encoded(secret))


def _encoded(text: str) -> bytes:
    # The environment may hold bytes that are not UTF-8.
    return text.encode("utf-8", "surrogateescape")
