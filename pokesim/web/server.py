"""The server process: its socket, connection timeouts, signals, and a warm model."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pokesim.errors import PokesimError
from pokesim.search.index import Index
from pokesim.web.app import create_app
from pokesim.web.hosts import AllowedHosts
from pokesim.web.middleware import SecurityMiddleware
from pokesim.web.service import SearchService

IDLE_SECONDS = 20.0
"""How long a connection may stay open while the server waits for the client."""

MAX_CONNECTIONS = 400

_SHUTDOWN_SECONDS = 30

_HEAD_BYTES = 16 * 1024


class _Connection(H11Protocol):
    """A connection that is closed if the client is idle.

    A client is idle if it does not complete the head of a request, or does not read the response.
    uvicorn only closes connections that are idle after a response. (The time limit on a body is
    enforced by `pokesim.web.uploads`.)
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._check_timer()

    def on_response_complete(self) -> None:
        self._start_timer()
        super().on_response_complete()
        self._check_timer()  # the next request may have arrived already

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._check_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_timer()

    def _check_timer(self) -> None:
        if self.cycle and not self.cycle.response_complete and not self.flow.write_paused:
            self._stop_timer()

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(IDLE_SECONDS, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


def bound_socket(host: str, port: int) -> socket.socket:
    """Bind an address; port 0 takes a free port.

    Raises:
        PokesimError: the address does not belong to this machine, or the port is in use.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, UnicodeError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            message = f"Port {port} is already in use; try --port 0."
        else:
            message = (
                f"Cannot listen on {host}, port {port} ({error}); choose another with --host and "
                "--port."
            )
        raise PokesimError(message) from error


def serve(
    index: Index,
    name: str,
    listening: socket.socket,
    hosts: AllowedHosts,
    token: str | None,
    ready: Callable[[], Any],
) -> None:
    """Serve an index until SIGINT or SIGTERM; requests in progress are finished first.

    Args:
        index: the index; the server switches to newer snapshots when they are published.
        name: name of the index on the page.
        listening: a bound socket.
        hosts: host names to accept.
        token: required with every request, if given.
        ready: called when the server is about to accept requests.
    """
    service = SearchService(index)
    service.warm()
    gc.freeze()  # modules and models stay; each search for cycles in them takes 30 ms
    gc.set_threshold(10_000, 20, 20)
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())  # the middleware logs instead
    config = uvicorn.Config(
        SecurityMiddleware(create_app(service, name, needs_token=token is not None), hosts, token),
        http=_Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    server = uvicorn.Server(config)

    def stop(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        # Active before uvicorn installs its own handlers, and when it raises the signal again at
        # its end.
        signal.signal(number, stop)
    ready()
    server.run([listening])
