"""Fetching URLs within limits, from a real server on loopback that misbehaves in many ways."""

import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest

import pokesim
from pokesim import net
from pokesim.errors import PictureError
from pokesim.images import pixels_of
from pokesim.samples import Samples

PICTURE = b""


class Hostile(http.server.BaseHTTPRequestHandler):
    """Each path misbehaves in its own way."""

    def do_HEAD(self):
        self.send_response(200 if self.path == "/picture" else 404)
        self.end_headers()

    def do_GET(self):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, self.path.strip("/"))()

    def picture(self):
        self._respond(PICTURE, "text/html")  # a false header: the content decides

    def words(self):
        self._respond(b"<html>not found</html>", "image/png")

    def missing(self):
        self.send_error(404)

    def to_file(self):
        self.send_response(302)
        self.send_header("Location", "file:///etc/hostname")
        self.end_headers()

    def circle(self):
        self.send_response(302)
        self.send_header("Location", "/circle")
        self.end_headers()

    def endless(self):
        self._respond(b"", "image/png")
        for _ in range(200):
            self.wfile.write(bytes(1 << 20))

    def short(self):
        self.send_response(200)
        self.send_header("Content-Length", "5000")
        self.end_headers()
        self.wfile.write(PICTURE[:1000])

    def drip(self):
        self._respond(b"", "image/png")
        for _ in range(100):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.2)

    def _respond(self, body: bytes, kind: str):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server(samples: Samples) -> Iterator[str]:
    global PICTURE  # noqa: PLW0603
    PICTURE = next(samples.images.iterdir()).read_bytes()
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def test_a_picture_is_read_from_a_url_in_spite_of_a_false_content_type(server):
    assert pixels_of(f"{server}/picture", 16).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("words", "not an image pokesim can read"),
        ("missing", "404"),
        ("to_file", "cannot be fetched|302"),
        ("circle", "302|redirect"),
        ("short", "the connection broke after 1,000 of 5,000 bytes"),
    ],
)
def test_a_url_without_a_picture_gives_an_error_with_the_reason(server, path, reason):
    with pytest.raises(PictureError, match=reason):
        pixels_of(f"{server}/{path}", 16)


def test_an_endless_response_is_cut_off(server):
    with pytest.raises(net.NetError, match="larger than 4 MiB"):
        net.fetch(f"{server}/endless", max_bytes=4 << 20)


def test_a_slowly_dripping_server_runs_into_the_time_limit(server):
    start = time.monotonic()
    with pytest.raises(net.NetError, match="within 1 s"):
        net.fetch(f"{server}/drip", 1 << 20, seconds=1)
    assert time.monotonic() - start < 5


def test_a_port_without_a_server_gives_a_picture_error():
    with pytest.raises(PictureError, match="cannot be fetched"):
        pixels_of("http://127.0.0.1:1/x.png", 16)


def test_reachable_is_true_false_or_false_after_the_time_limit(server):
    assert net.reachable(f"{server}/picture")
    assert not net.reachable(f"{server}/gone")
    silent = socket.create_server(("127.0.0.1", 0))  # accepts, never answers
    start = time.monotonic()
    assert not net.reachable(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=1)
    assert time.monotonic() - start < 5
    silent.close()


def test_an_error_about_a_picture_from_a_url_names_the_url(server, index_path):
    with pokesim.open_index(index_path) as index:
        (answer,) = index.answer([f"{server}/words"])
    assert str(answer.error).startswith(f"{server}/words: not an image")
