"""Read pictures in processes of their own, which can be ended and whose memory is limited.

A decoder that hangs, or holds Python's lock, cannot be stopped in a thread.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from typing import IO, Any, NamedTuple, cast

from pokesim.images.decode import (
    Head,
    HeavyError,
    UnknownFormatError,
    Wanted,
    too_much_memory,
)
from pokesim.images.scale import NoSuchPartError, UnreadableError
from pokesim.images.worker import BUFFER_BYTES
from pokesim.threads import Alarms, usable_cores

_alarms = Alarms()


class TooSlowError(UnreadableError):
    """Reading a picture took longer than allowed."""


class Decoded(NamedTuple):
    """What was read of a picture.

    Attributes:
        head: its header.
        size: width and height of the result, in pixels.
        pixels: its rows of RGB values; nothing if only the header was wanted.
    """

    head: Head
    size: tuple[int, int]
    pixels: bytes


class PictureProcesses:
    """Processes that read pictures; safe to call from several threads.

    Each call has a process to itself. There are as many as calls at the same time; one for each
    core is kept for later calls.
    """

    def __init__(self, niceness: int = 0) -> None:
        """Start no process yet.

        Args:
            niceness: how much the processes yield to others, 0 to 19; ignored on Windows.
        """
        self._niceness = niceness
        self._idle: list[_Process] = []
        self._lock = threading.Lock()
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):  # a forked process must not share the pipes
            os.register_at_fork(after_in_child=self._idle.clear)

    def start(self, count: int) -> None:
        """Start processes ahead of the first calls."""
        self._keep(_Process(self._niceness) for _ in range(count))

    def read(
        self, source: str | bytes, wanted: Wanted, seconds: float, cpu_seconds: float = 0
    ) -> Decoded:
        """Read a picture as `pokesim.images.decode.read` does.

        Args:
            source: the path of a regular file, or an encoded picture's bytes.
            wanted: what to read.
            seconds: time limit; the process is killed when it is over.
            cpu_seconds: processor time for a light picture; 0 means no limit. Not on Windows.

        Raises:
            UnreadableError, HeavyError: as `read` does; HeavyError also beyond ``cpu_seconds``,
                TooSlowError beyond ``seconds``.
            OSError: the file cannot be opened.
        """
        with self._lock:
            process = self._idle.pop() if self._idle else None
        process = process or _Process(self._niceness)
        try:
            response, pixels = process.ask(source, wanted, seconds, cpu_seconds)
        except BaseException:
            process.kill()
            raise
        if response["last"]:
            process.close()
        else:
            self._keep([process])
        return _result(response, pixels, source)

    def close(self) -> None:
        """End the idle processes; others end after their picture."""
        with self._lock:
            idle, self._idle[:] = self._idle[:], []
        for process in idle:
            process.close()

    def _keep(self, processes: Iterable[_Process]) -> None:
        for process in processes:
            with self._lock:
                if kept := len(self._idle) < usable_cores():
                    self._idle.append(process)
            if not kept:
                process.close()


class _Process:
    """One process; see `pokesim.images.worker` for the protocol."""

    def __init__(self, niceness: int) -> None:
        # The import path of this process, as its modules may come from anywhere on it.
        code = f"import sys; sys.path[:] = {sys.path!r}\n"
        code += f"import os; hasattr(os, 'nice') and os.nice({niceness})\n" if niceness else ""
        code += "from pokesim.images.worker import main; main()"
        pipe = subprocess.PIPE
        self._popen = subprocess.Popen(
            [sys.executable, "-c", code],
            bufsize=BUFFER_BYTES,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
        )
        self._is_ready = self._is_late = False

    def ask(
        self, source: str | bytes, wanted: Wanted, seconds: float, cpu_seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        """Send a request and return the response. Raises `_reason` if the process ends."""
        data = source if isinstance(source, bytes) else b""
        request = {
            "path": None if isinstance(source, bytes) else source,
            "bytes": len(data),
            "wanted": _text_of(wanted),
            "cpu_seconds": cpu_seconds,
        }
        requests, responses = self._pipes()
        if not self._is_ready:
            self._is_ready = bool(responses.readline())
        try:
            with _alarms.after(seconds, self._end_late):
                requests.write(json.dumps(request).encode() + b"\n")
                requests.write(data)
                requests.flush()
                response = json.loads(responses.readline())
                pixels = responses.read(response["bytes"])
        except (OSError, ValueError) as error:  # the process has ended
            raise self._reason(wanted, cpu_seconds) from error
        if self._is_late:
            raise TooSlowError
        return response, pixels

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        return cast(IO[bytes], self._popen.stdin), cast(IO[bytes], self._popen.stdout)

    def _end_late(self) -> None:
        self._is_late = True
        self._popen.kill()

    def _reason(self, wanted: Wanted, cpu_seconds: float) -> Exception:
        """Return why the process has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._popen.wait(1)
            if cpu_seconds and code == -getattr(signal, "SIGVTALRM", 0):
                return HeavyError()
            if code == -signal.SIGABRT:  # a decoder in C++ that gets no more memory
                return UnreadableError(f"damaged, or {too_much_memory(wanted)}")
            if not self._is_late:
                return UnreadableError(f"damaged or unsupported (the decoder crashed: {code})")
        return TooSlowError()

    def kill(self) -> None:
        """End the process at once."""
        self._popen.kill()
        self.close()

    def close(self) -> None:
        """Let the process end."""
        for pipe in self._pipes():
            with contextlib.suppress(OSError):
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it cannot be ended while disks hang
            self._popen.wait(1)


@lru_cache(16)
def _text_of(wanted: Wanted) -> str:
    return json.dumps(asdict(wanted))


def _result(response: dict[str, Any], pixels: bytes, source: str | bytes) -> Decoded:
    match response.get("error"):
        case "heavy":
            raise HeavyError
        case "unknown":
            raise UnknownFormatError(response["reason"])
        case "no part":
            raise NoSuchPartError(response["reason"])
        case "unreadable":
            raise UnreadableError(response["reason"])
        case "file":
            raise OSError(response["errno"], response["reason"], source)
    width, height = response["size"]
    return Decoded(Head(*response["head"]), (width, height), pixels)
