"""What pokesim asks of a network, each with an end: fetch a URL, download one, reach one.

They work in a thread that is left behind when time is up, because no socket time-out covers a
resolver that hangs or a server that sends one byte every few seconds. Only what a download brings
may take as long as something comes.
"""

from __future__ import annotations

import http.client
import logging
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from pokesim.threads import call_within

FETCH_SECONDS = 20.0

log = logging.getLogger(__name__)


class NetError(Exception):
    """A URL cannot be had; ``str(error)`` is the reason in a few words.

    Attributes:
        status: the HTTP status that the server refused with, else None.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


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
        return call_within(seconds, read)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _told(error, seconds) from error


def download(url: str, path: Path, progress: Callable[[int, int], None]) -> None:
    """Write what an http(s) URL holds to ``path``, and go on where an earlier try broke off.

    What has come stands in ``path``.part, and the server's ETag or date of it in ``path``.state.
    The rest is asked for by Range and If-Range (RFC 9110, 13.1.5), so a file that has changed
    meanwhile, or a server that knows no ranges, begins it anew.

    Args:
        url: http or https.
        path: for what this URL holds and nothing else, in a folder that exists.
        progress: called with (bytes that have come, bytes in all) before they are written; what
            it raises ends the download.

    Raises:
        NetError: the URL cannot be had, or not the whole of it; what has come stays.
        OSError: the file cannot be written.
    """
    part, state = Path(f"{path}.part"), Path(f"{path}.state")
    rest = _rest(part, state)
    try:
        answer = call_within(FETCH_SECONDS, lambda: _open("GET", url, FETCH_SECONDS, rest))
    except (OSError, ValueError, http.client.HTTPException) as error:
        told = _told(error, FETCH_SECONDS)
        if told.status != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not rest:
            raise told from error
        part.unlink()  # it was longer than the file is now
        download(url, path, progress)
        return
    resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
    with answer, part.open("ab" if resumed else "wb") as file:
        state.write_text(_version(answer.headers), encoding="utf-8")
        done = file.tell()
        if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            file.truncate(0)
            raise NetError("the server sent another part of it than was asked for")
        total = done + (answer.length or 0)
        progress(done, total)
        while piece := _some(answer):
            done += len(piece)
            progress(done, max(done, total))
            file.write(piece)
    if done < total:
        raise NetError(f"the connection broke after {done:,} of {total:,} bytes")
    part.replace(path)
    state.unlink()


def _rest(part: Path, state: Path) -> dict[str, str]:
    """Return the headers that ask for what is missing of a file; none if that is all of it."""
    try:
        version, size = state.read_text(encoding="utf-8"), part.stat().st_size
    except (OSError, ValueError):
        return {}
    return {"Range": f"bytes={size}-", "If-Range": version} if version and size else {}


def _version(headers: Mapping[str, str]) -> str:
    """Return what tells this state of a file from others; a weak ETag does not."""
    etag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag


def _some(answer: http.client.HTTPResponse) -> bytes:
    """Return what has arrived, empty at the end."""
    try:
        return answer.read1(1 << 18)
    except (OSError, http.client.HTTPException) as error:
        raise NetError(f"the connection broke ({error or type(error).__name__})") from error


def _told(error: Exception, seconds: float) -> NetError:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return NetError(f"the server answered {error.code} {error.reason}", error.code)
    if isinstance(error, TimeoutError):
        return NetError(f"the server did not answer within {seconds:.0f} s")
    return NetError(f"cannot be fetched ({getattr(error, 'reason', error)})")


def reachable(url: str, seconds: float = 5.0) -> bool:
    """Say within ``seconds`` whether an http(s) URL answers a HEAD request with success."""

    def ask() -> bool:
        with _open("HEAD", url, seconds):
            return True

    try:
        return call_within(seconds, ask)
    except urllib.error.HTTPError as error:
        error.close()
    except Exception:  # whatever went wrong, the answer is no
        log.debug("%s cannot be reached", url, exc_info=True)
    return False


def _open(  # type: ignore[no-untyped-def]  # noqa: ANN202
    method: str, url: str, seconds: float, headers: Mapping[str, str] | None = None
):
    headers = {"User-Agent": "pokesim", **(headers or {})}
    request = urllib.request.Request(url, method=method, headers=headers)
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
