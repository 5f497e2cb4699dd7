"""A stand-in for the Hugging Face hub on loopback: what its client asks for, and its faults."""

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """One repository, from a folder.

    Attributes:
        url: its address, for HF_ENDPOINT.
        asked: the paths that were requested, and the range, if any.
        fault: "gated", "missing", "forged", "slow", "torn" (once), or nothing.
    """

    def __init__(self, folder: Path, repository: str) -> None:
        self.folder, self.repository = folder, repository
        self.url, self.fault = "", ""
        self.asked: list[tuple[str, str | None]] = []

    def info(self) -> dict:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {
            "id": self.repository,
            "modelId": self.repository,
            "sha": COMMIT,
            "tags": [],
            "siblings": [self._file(path) for path in files],
        }

    def _file(self, path: Path) -> dict:
        content = path.read_bytes()
        name = path.relative_to(self.folder).as_posix()
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        found = {"rfilename": name, "size": len(content), "blobId": git}
        if path.suffix == ".onnx":
            digest = hashlib.sha256(content).hexdigest()
            found["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
        return found


@contextlib.contextmanager
def hub_of(folder: Path, repository: str) -> Iterator[Hub]:
    """Serve a folder as a repository."""
    hub = Hub(folder, repository)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            hub.asked.append((path, self.headers.get("Range")))
            if hub.fault == "slow":
                time.sleep(3)
            if path == f"/api/models/{repository}/revision/main" and hub.fault == "missing":
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            elif path.startswith("/api") and hub.fault == "gated":
                self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
            elif path == f"/api/models/{repository}/revision/main":
                self._send(200, json.dumps(hub.info()).encode(), {})
            elif path.startswith(start := f"/{repository}/resolve/{COMMIT}/"):
                self._file(path.removeprefix(start))
            else:
                self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})

        def _file(self, name: str) -> None:
            content = (hub.folder / name).read_bytes()
            etag = hashlib.sha256(content).hexdigest()
            if hub.fault == "forged":
                content = bytes(len(content))
            start = int((self.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
            status = 206 if "Range" in self.headers else 200
            end = len(content) - 1
            more = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if status == 206:
                more["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            torn = hub.fault == "torn" and name.endswith(".onnx") and self.command == "GET"
            self._send(status, content[start:], more, torn=torn)

        def _send(self, status: int, body: bytes, more: dict[str, str], torn: bool = False) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            if torn:
                hub.fault = ""
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            elif self.command == "GET":
                with contextlib.suppress(OSError):  # given up
                    self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hub.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hub
        server.shutdown()
