"""A real Milvus server; only for a network namespace that has nothing but loopback."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

TOKEN = "root:Milvus"  # the server's default
PORTS = (19530, 9091)
HEALTH = "http://127.0.0.1:9091/healthz"


def wait_until(condition):
    """Check a condition every tenth of a second; raise TimeoutError after two minutes."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.1)
    raise TimeoutError(f"{condition} is still false after two minutes")


def is_free(port):
    with socket.socket() as one, contextlib.suppress(OSError):
        one.bind(("127.0.0.1", port))
        return True
    return False


def is_healthy():
    with contextlib.suppress(OSError), urllib.request.urlopen(HEALTH, timeout=1) as answer:
        return answer.read() == b"OK"
    return False


class Server:
    """A server with its data in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start()

    def start(self) -> None:
        for port in PORTS:
            wait_until(lambda port=port: is_free(port))
        program = Path(sys.executable).with_name("milvus-server")
        options = ["--data", str(self.folder), "--authorization-enabled", "True"]
        self.process = subprocess.Popen(
            [program, *options],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(is_healthy)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


@contextlib.contextmanager
def behind_tls(port: int, context: ssl.SSLContext) -> Iterator[None]:
    """Listen on a port with TLS and forward to the server, as a reverse proxy does."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", PORTS[0])
        await asyncio.gather(copy(reader, to_server), copy(from_server, writer))

    async def listen() -> None:
        ended = asyncio.Event()
        async with await asyncio.start_server(forward, "127.0.0.1", port, ssl=context):
            started.set_result((asyncio.get_running_loop(), ended))
            await ended.wait()

    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    loop, ended = started.result(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
