"""HTTP with time limits: fetch a URL, download a file, test whether a URL is reachable.

Requests run in a thread that is abandoned when the time is up, because no socket timeout covers a
resolver that hangs or a server that sends one byte every few seconds. The body of a download has no
limit as a whole, as long as data keeps arriving.
"""

from __future__ import annotations

import http.client
import logging
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from pokesim.threads import call_within

FETCH_SECONDS = 20.0
"""Default time limit for fetching a URL, and for a download to begin."""

log = logging.getLogger(__name__)


class NetError(Exception):
    """A URL cannot be fetched; ``str(error)`` is the reason in a few words.

    Attributes:
        status: the HTTP status of an error response, else None.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


def check_url(url: str) -> None:
    """Raise ValueError if an http(s) URL has no host, or a port that does not exist."""
    parts = urllib.parse.urlsplit(url)
    if not parts.hostname or parts.port == 0:  # reading a port beyond 65535 raises ValueError
        raise ValueError("it names no host" if not parts.hostname else "port 0 does not exist")


def fetch(url: str, max_bytes: int, seconds: float = FETCH_SECONDS) -> bytes:
    """Return the content of an http(s) URL, whatever its type. Raises NetError."""

    def read() -> bytes:
        # read1 returns what has arrived, so that size and time are checked between chunks.
        chunks, size = [], 0
        with _open("GET", url, seconds) as answer:
            while chunk := answer.read1(1 << 16):
                chunks.append(chunk)
                size += len(chunk)
                if size > max_bytes:
                    raise NetError(f"larger than {max_bytes >> 20} MiB")
                if time.monotonic() > deadline:
                    raise TimeoutError
            if answer.length:  # of the body that is missing; read1 does not raise IncompleteRead
                raise NetError(
                    f"the connection broke after {size:,} of {size + answer.length:,} bytes"
                )
        return b"".join(chunks)

    deadline = time.monotonic() + seconds
    try:
        return call_within(seconds, read)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _net_error(error, seconds) from error


def download(url: str, path: Path, progress: Callable[[int, int], None]) -> None:
    """Download an http(s) URL to ``path``, resuming an earlier, interrupted download.

    Until it is complete, the data is in ``path``.part, and the server's ETag or Last-Modified in
    ``path``.state. The rest is requested by Range and If-Range (RFC 9110, 13.1.5), so the download
    starts over if the file has changed meanwhile or the server does not support ranges.

    Args:
        url: http or https.
        path: a path for this URL alone, in a folder that exists.
        progress: called with (bytes received, bytes in total) before they are written; an
            exception from it ends the download.

    Raises:
        NetError: the URL cannot be fetched completely; the data received is kept.
        OSError: the file cannot be written.
    """
    part, state = Path(f"{path}.part"), Path(f"{path}.state")
    rest = _range_headers(part, state)
    try:
        answer = call_within(FETCH_SECONDS, lambda: _open("GET", url, FETCH_SECONDS, rest))
    except (OSError, ValueError, http.client.HTTPException) as error:
        refused = _net_error(error, FETCH_SECONDS)
        if refused.status != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not rest:
            raise refused from error
        part.unlink()  # the file on the server has become shorter
        download(url, path, progress)
        return
    resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
    with answer, part.open("ab" if resumed else "wb") as file:
        state.write_text(_version(answer.headers), encoding="utf-8")
        done = file.tell()
        if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            file.truncate(0)
            raise NetError("the server sent a different range than requested")
        total = done + (answer.length or 0)
        progress(done, total)
        while chunk := _read_some(answer):
            done += len(chunk)
            progress(done, max(done, total))
            file.write(chunk)
    if done < total:
        raise NetError(f"the connection broke after {done:,} of {total:,} bytes")
    part.replace(path)
    state.unlink()


def _range_headers(part: Path, state: Path) -> dict[str, str]:
    """Return the headers that request the rest of a file; none if all of it is missing."""
    try:
        version, size = state.read_text(encoding="utf-8"), part.stat().st_size
    except (OSError, ValueError):
        return {}
    return {"Range": f"bytes={size}-", "If-Range": version} if version and size else {}


def _version(headers: Mapping[str, str]) -> str:
    """Return the ETag of a file; Last-Modified if there is none or it is weak; "" if neither."""
    etag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag


def _read_some(answer: http.client.HTTPResponse) -> bytes:
    """Return the data that has arrived; empty at the end."""
    try:
        return answer.read1(1 << 18)
    except (OSError, http.client.HTTPException) as error:
        raise NetError(f"the connection broke ({error or type(error).__name__})") from error


def _net_error(error: Exception, seconds: float) -> NetError:
    """Return an exception of urllib as a NetError with a short reason."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return NetError(f"the server answered {error.code} {error.reason}", error.code)
    if isinstance(error, TimeoutError):
        return NetError(f"the server did not answer within {seconds:.0f} s")
    return NetError(f"cannot be fetched ({getattr(error, 'reason', error)})")


def reachable(url: str, seconds: float = 5.0) -> bool:
    """Return True if an http(s) URL answers a HEAD request successfully within ``seconds``."""

    def succeeds() -> bool:
        with _open("HEAD", url, seconds):
            return True

    try:
        return call_within(seconds, succeeds)
    except urllib.error.HTTPError as error:
        error.close()
    except Exception:  # any failure means that it is not reachable
        log.debug("%s is unreachable", url, exc_info=True)
    return False


def _open(  # type: ignore[no-untyped-def]  # noqa: ANN202
    method: str, url: str, seconds: float, headers: Mapping[str, str] | None = None
):
    check_url(url)
    headers = {"User-Agent": "pokesim", **(headers or {})}
    request = urllib.request.Request(url, method=method, headers=headers)
    return _opener().open(request, timeout=seconds)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https only, so that no redirect leads to file: or ftp:."""
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
