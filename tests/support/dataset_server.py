"""A web server on loopback that serves archives, and a fake Kaggle service."""

import base64
import contextlib
import functools
import hashlib
import http.server
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from urllib.parse import urlsplit

from pokesim.samples import CREATURES, builtin_samples
from support.pictures import as_png


class DatasetServer(http.server.ThreadingHTTPServer):
    """A server, with settings for its behaviour and a log of its requests.

    Attributes:
        files: path → content.
        etag: the ETag of all files; if empty, none is sent.
        ranges: whether range requests are supported.
        cut: the number of bytes sent before the connection breaks, or 0 to send all.
        may_break: while clear, the connection stays open after the last byte.
        status: the status of every response, or 0 for the usual one.
        requests: (path, Range header) of each request, in order.
        versions: OWNER/NAME → (version, path) of the Kaggle data sets.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.etag, self.ranges, self.cut, self.status = '"one"', True, 0, 0
        self.may_break = threading.Event()
        self.may_break.set()
        self.requests: list[tuple[str, str | None]] = []
        self.versions: dict[str, tuple[int, str]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def serving() -> Iterator[DatasetServer]:
    with DatasetServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, path = self.server, urlsplit(self.path).path
        byte_range = self.headers.get("Range")
        server.requests.append((path, byte_range))
        if server.status or path not in server.files:
            self.send_error(server.status or 404)
            return
        body = whole = server.files[path]
        condition = self.headers.get("If-Range", server.etag)
        if byte_range and server.ranges and condition == server.etag:
            start = int(byte_range.removeprefix("bytes=").rstrip("-"))
            if start >= len(whole):
                self.send_error(416)
                return
            body = whole[start:]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if server.etag:
            self.send_header("ETag", server.etag)
        md5 = base64.b64encode(hashlib.md5(whole).digest()).decode()
        self.send_header("X-Goog-Hash", f"md5={md5}")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[: server.cut or None])
            server.may_break.wait(60)

    def do_POST(self):
        """Answer kagglehub's two requests, for the current version and for the download URL."""
        server, path = self.server, urlsplit(self.path).path
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.requests.append((path, None))
        name = f"{payload['ownerSlug']}/{payload['datasetSlug']}"
        if server.status or name not in server.versions:
            self._json(server.status or 404, {"code": server.status or 404, "message": "Not found"})
            return
        version, location = server.versions[name]
        if path == "/api/v1/datasets.DatasetApiService/GetDataset":
            self._json(200, {"currentVersionNumber": version})
        elif path == "/api/v1/datasets.DatasetApiService/DownloadDataset":
            assert payload["datasetVersionNumber"] == version
            self.send_response(302)
            self.send_header("Location", f"http://localhost{location}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._json(404, {"code": 404, "message": path})

    def _json(self, status, answer):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@functools.cache
def sample_pngs() -> dict[str, bytes]:
    """Return three sample creatures as name → PNG."""
    images = builtin_samples().images
    return {name: as_png(images / f"{name}.webp") for name in CREATURES[:3]}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: dict[str, bytes], packed: str = "", *others: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{packed}") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for other in others:
            archive.addfile(other)
    return buffer.getvalue()
