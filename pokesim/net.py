"""The two things pokesim ever asks of a network, each with an end: fetch a URL, reach a URL.

Both work in a thread that is left behind when time is up, because no socket time-out covers a
resolver that hangs or a server that sends one byte every few seconds.
"""

from __future__ import annotations

import http.client
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TypeVar

FETCH_SECONDS = 20.0

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class NetError(Exception):
    """A URL cannot be had; ``str(error)`` is the reason in a few words."""


def fetch(url: str, max_bytes: int, seconds: float = FETCH_SECONDS) -> bytes:
    """Return what an http(s) URL holds. Raises NetError; what came is not looked into."""

    def read() -> bytes:
        # read1 returns what has arrived, so the cap and the clock are looked at in between.
        chunks, size = [], 0
        with _open("GET", url, seconds) as answer:
            while chunk := answer.read1(1 << 16):
                chunks.append(chunk)
                size += len(chunk)
                if size > max_bytes:
                    raise NetError(f"more than {max_bytes >> 20} MiB")
                if time.monotonic() > deadline:
                    raise TimeoutError
        return b"".join(chunks)

    deadline = time.monotonic() + seconds
    try:
        return _within(seconds, read)
    except urllib.error.HTTPError as error:
        error.close()
        raise NetError(f"the server answered {error.code} {error.reason}") from error
    except TimeoutError as error:
        raise NetError(f"the server did not answer within {seconds:.0f} s") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NetError(f"cannot be fetched ({getattr(error, 'reason', error)})") from error


def reachable(url: str, seconds: float = 5.0) -> bool:
    """Say within ``seconds`` whether an http(s) URL answers a HEAD request with success."""

    def ask() -> bool:
        with _open("HEAD", url, seconds):
            return True

    try:
        return _within(seconds, ask)
    except urllib.error.HTTPError as error:
        error.close()
    except Exception:  # whatever went wrong, the answer is no
        log.debug("%s cannot be reached", url, exc_info=True)
    return False


def _open(method: str, url: str, seconds: float):  # type: ignore[no-untyped-def]  # noqa: ANN202
    request = urllib.request.Request(url, method=method, headers={"User-Agent": "pokesim"})
    return _opener().open(request, timeout=seconds)


def _opener() -> urllib.request.OpenerDirector:
    """Build an opener for http and https alone: no redirect leads to file: or ftp:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _within(seconds: float, work: Callable[[], Result]) -> Result:
    """Return ``work()``, or raise TimeoutError after ``seconds``, the thread left to its fate."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
