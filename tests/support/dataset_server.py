"""A web server on loopback that holds archives, and a stand-in of Kaggle's service."""

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


class Shelf(http.server.ThreadingHTTPServer):
    """What a server holds, how it behaves, and what it was asked.

    Attributes:
        files: path → bytes.
        etag: of all files; none is sent if it is empty.
        ranges: whether parts can be asked for.
        cut: how many bytes an answer has before the connection breaks; 0: all.
        held: while it is clear, the connection does not break yet.
        status: what is answered to everything, if not 0.
        asked: (path, its Range header) in their order.
        versions: OWNER/NAME → version and path, of Kaggle's data sets.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.etag, self.ranges, self.cut, self.status = '"one"', True, 0, 0
        self.held = threading.Event()
        self.held.set()
        self.asked: list[tuple[str, str | None]] = []
        self.versions: dict[str, tuple[int, str]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def serving() -> Iterator[Shelf]:
    with Shelf() as shelf:
        threading.Thread(target=shelf.serve_forever, daemon=True).start()
        yield shelf
        shelf.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        shelf, path = self.server, urlsplit(self.path).path
        wanted = self.headers.get("Range")
        shelf.asked.append((path, wanted))
        if shelf.status or path not in shelf.files:
            self.send_error(shelf.status or 404)
            return
        body = whole = shelf.files[path]
        condition = self.headers.get("If-Range", shelf.etag)
        if wanted and shelf.ranges and condition == shelf.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(whole):
                self.send_error(416)
                return
            body = whole[start:]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if shelf.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if shelf.etag:
            self.send_header("ETag", shelf.etag)
        md5 = base64.b64encode(hashlib.md5(whole).digest()).decode()
        self.send_header("X-Goog-Hash", f"md5={md5}")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[: shelf.cut or None])
            shelf.held.wait(60)

    def do_POST(self):
        """Answer as Kaggle does to kagglehub's two questions: which version, and where it is."""
        shelf, path = self.server, urlsplit(self.path).path
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        shelf.asked.append((path, None))
        name = f"{asked['ownerSlug']}/{asked['datasetSlug']}"
        if shelf.status or name not in shelf.versions:
            self._json(shelf.status or 404, {"code": shelf.status or 404, "message": "Not found"})
            return
        version, place = shelf.versions[name]
        if path == "/api/v1/datasets.DatasetApiService/GetDataset":
            self._json(200, {"currentVersionNumber": version})
        elif path == "/api/v1/datasets.DatasetApiService/DownloadDataset":
            assert asked["datasetVersionNumber"] == version
            self.send_response(302)
            self.send_header("Location", f"http://localhost{place}")
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
def drawn() -> dict[str, bytes]:
    """Three sample creatures, as PNG files, by their names."""
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
