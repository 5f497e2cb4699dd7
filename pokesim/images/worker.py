"""A process that reads pictures, one after another, for the process that started it.

It imports no more than Pillow, so it starts in less than a tenth of a second. Its memory is limited
while it reads a picture, and so is its processor time if that is asked for.

It writes an empty line when it is ready. A request on standard input, and a response on standard
output, are one line of JSON followed by ``bytes`` bytes: the encoded picture, or RGB pixels.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from pokesim.files import open_regular
from pokesim.images.crop import Crop
from pokesim.images.decode import HeavyError, UnknownFormatError, Wanted, read
from pokesim.images.frame import Frame
from pokesim.images.kinds import is_raw
from pokesim.images.raw import read_raw
from pokesim.images.scale import NoSuchPartError, UnreadableError

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

BUFFER_BYTES = 64 * 1024
"""Of the pipes, so that most photos and pixels take one call of the system."""

_KEPT_BYTES = 256 * 1024 * 1024
"""A process that has used more memory than this ends, as the allocator would keep some of it."""


def main() -> None:
    """Answer requests until standard input ends or another process would be better."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    if resource:
        signal.signal(signal.SIGPROF, _out_of_time)
    requests = io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False), BUFFER_BYTES)
    responses = sys.stdout.buffer
    responses.write(b"\n")  # ready: the time limits of the first request begin now
    responses.flush()
    last = False
    while not last and (line := requests.readline()):
        request = json.loads(line)
        data = requests.read(request["bytes"])
        response, pixels = _answer(request, data)
        last = _peak() > _KEPT_BYTES
        response |= {"bytes": len(pixels), "last": last}
        responses.write(json.dumps(response).encode() + b"\n" + pixels)
        responses.flush()


def _answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    wanted = _wanted_of(request["wanted"])
    try:
        with _limits(wanted.memory, request["cpu_seconds"]):
            with _opened(request["path"], data) as file:
                is_named_raw = request["path"] and is_raw(request["path"])
                head, picture = (read_raw if is_named_raw else read)(file, wanted)
            size, pixels = (picture.size, picture.tobytes()) if picture else ((0, 0), b"")
    except (HeavyError, _OutOfTimeError):
        return {"error": "heavy"}, b""
    except UnknownFormatError as error:
        return {"error": "unknown", "reason": str(error)}, b""
    except NoSuchPartError as error:
        return {"error": "no part", "reason": str(error)}, b""
    except UnreadableError as error:
        return {"error": "unreadable", "reason": str(error)}, b""
    except OSError as error:
        return {"error": "file", "errno": error.errno, "reason": error.strerror}, b""
    return {"head": head, "size": size}, pixels


@lru_cache(16)
def _wanted_of(text: str) -> Wanted:
    given = json.loads(text)
    for name, kind in (("crop", Crop), ("frame", Frame)):
        given[name] = given[name] and kind(**given[name])
    return Wanted(**given)


class _OutOfTimeError(BaseException):
    """The processor time is over; Pillow's handlers of exceptions do not stop it."""


def _out_of_time(*_: object) -> None:
    raise _OutOfTimeError


def _opened(path: str | None, data: bytes) -> BinaryIO:
    return io.BytesIO(data) if path is None else open_regular(Path(path), follow_links=True)


@contextmanager
def _limits(memory: int, cpu_seconds: float) -> Iterator[None]:
    """Limit the additional memory and the processor time (0: no limit).

    An exception ends what is written in Python. A decoder in C does not see it; then, after twice
    the time, a signal ends this process.
    """
    if resource:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + memory, hard))
        signal.setitimer(signal.ITIMER_VIRTUAL, 2 * cpu_seconds)
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        yield
    finally:
        if resource:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _data_bytes() -> int:
    """Return the size of this process's private writable memory; 0 where it is not known."""
    found = _own_file("statm")
    return int(found.split()[5]) * os.sysconf("SC_PAGE_SIZE") if found else 0


def _peak() -> int:
    """Return the largest resident memory so far, in bytes; 0 where it is not known."""
    # Not ru_maxrss, which begins with that of the process that started this one.
    found = _own_file("status")
    return int(found.partition(b"VmHWM:")[2].split(None, 1)[0]) * 1024 if found else 0


def _own_file(name: str) -> bytes:
    """Return a file of ``/proc/self``, opened once; nothing where there is none."""
    file = _opened_once(name)
    return b"" if file is None else os.pread(file, 4096, 0)


@cache
def _opened_once(name: str) -> int | None:
    try:
        return os.open(f"/proc/self/{name}", os.O_RDONLY)
    except OSError:
        return None
