"""A server in a separate process, and a client for it."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START = "from pokesim.cli import main; main()"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A running server.

    Attributes:
        url: its address, without "/" at the end.
        port: its port on 127.0.0.1.
        process: its process.
        lines: its output on standard error so far.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._ready = threading.Event()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        assert self._ready.wait(60)
        found = re.search(r" at (http://\S+:(\d+))/", "".join(self.lines))
        assert found, self.lines
        self.url, self.port = found[1], int(found[2])

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            if " at http://" in line:
                self._ready.set()
        self._ready.set()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request on a new connection."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, headers=dashed(headers))

    def post(self, path: str, photo: bytes | Path, **headers: str) -> Reply:
        """Send a photo as a form, with its file name."""
        name, data = (
            (photo.name, photo.read_bytes()) if isinstance(photo, Path) else ("photo.jpg", photo)
        )
        body, kind = form(name, data)
        return self.ask("POST", path, body, {"Content-Type": kind, **dashed(headers)})

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def end(self) -> int:
        """Send SIGTERM, as a service manager does, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._reading.join()
        return code


def dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def form(name: str, data: bytes, field: str = "photo") -> tuple[bytes, str]:
    """Return a form with one file and its content type."""
    head = f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--edge--\r\n", "multipart/form-data; boundary=edge"


@contextlib.contextmanager
def serving(index: Path, *options: str, start: str = START, **process: Any) -> Iterator[Server]:
    """Serve an index on a free port, in a process that runs the code ``start``."""
    command = [sys.executable, "-c", start, "serve", "--index", os.fspath(index), "--port", "0"]
    with subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, text=True, errors="replace", **process
    ) as running:
        try:
            server = Server(running)
            yield server
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGTERM)
                try:
                    running.wait(60)
                finally:
                    running.kill()
    assert not [line for line in server.lines if "Traceback" in line], "".join(server.lines)
