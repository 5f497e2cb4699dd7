"""The process that serves: a socket, connections that end, signals, a model that is warm."""

from __future__ import annotations

import asyncio
import errno
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
"""How long a connection may stay while it is the client's turn."""

MAX_CONNECTIONS = 400

_ENDING_SECONDS = 30

_HEAD_BYTES = 16 * 1024


class _Connection(H11Protocol):
    """A connection that is ended where the client keeps it and does nothing.

    That is: sends no whole head of a request, or does not receive what it asked for. uvicorn itself
    only ends those that wait after an answer. (A body's time is up to who receives it.)
    """

    _idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        self._start_clock()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look_at_clock()

    def on_response_complete(self) -> None:
        self._start_clock()
        super().on_response_complete()
        self._look_at_clock()  # the next request may have come already

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_clock()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look_at_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_clock()

    def _look_at_clock(self) -> None:
        if self.cycle and not self.cycle.response_complete and not self.flow.write_paused:
            self._stop_clock()

    def _start_clock(self) -> None:
        self._stop_clock()
        self._idle = self.loop.call_later(IDLE_SECONDS, self.transport.abort)

    def _stop_clock(self) -> None:
        if self._idle:
            self._idle.cancel()
            self._idle = None


def bound_socket(host: str, port: int) -> socket.socket:
    """Bind an address; port 0 takes a free one.

    Raises:
        PokesimError: it is no address of this machine, or is in use.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = "in use" if in_use else error
        raise PokesimError(
            f"No server can listen at {host}, port {port} ({reason}); choose another with --host "
            "and --port."
        ) from error


def serve(
    index: Index,
    name: str,
    listening: socket.socket,
    hosts: AllowedHosts,
    token: str | None,
    ready: Callable[[], Any],
) -> None:
    """Serve an index until the process is told to end; what is under way is finished first.

    Args:
        index: what is asked; later snapshots of it take its place.
        name: what the page calls it.
        listening: a bound socket.
        hosts: the names that the server goes by.
        token: what is asked of every request, if anything.
        ready: called when requests are taken.
    """
    desk = SearchService(index)
    desk.warm()
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())  # the log is our own
    config = uvicorn.Config(
        SecurityMiddleware(create_app(desk, name, needs_token=token is not None), hosts, token),
        http=_Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        timeout_graceful_shutdown=_ENDING_SECONDS,
    )
    server = uvicorn.Server(config)

    def end(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        # Until uvicorn's own handlers stand, and when it has ended and sends the signal again.
        signal.signal(number, end)
    ready()
    server.run([listening])
