"""Limits of the server on photos, clients and time; hostile photos beside honest ones."""

import contextlib
import io
import os
import shutil
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from support.serving import START, form, serving

import pokesim

SHORT_TIMEOUTS = (
    "import pokesim.web.server as s, pokesim.web.uploads as u;"
    "s.IDLE_SECONDS = 0.5; u.BODY_SECONDS = 0.5;" + START
)


def test_requests_beyond_the_limit_get_503_and_retry_after(server, photos):
    with Image.open(photos[0]) as picture:
        large = io.BytesIO()
        picture.resize((1500, 1500)).save(large, "PNG", compress_level=1)
    with ThreadPoolExecutor(120) as pool:
        replies = list(pool.map(lambda _: server.post("/api/search", large.getvalue()), range(120)))
    statuses = {reply.status for reply in replies}
    assert statuses == {200, 503}
    refused = next(reply for reply in replies if reply.status == 503)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert "try again in" in refused.json["error"]
    assert server.post("/api/search", photos[0]).status == 200


def test_shutdown_waits_for_requests_in_progress(described, photos):
    body, kind = form("me.jpg", photos[0].read_bytes())
    with serving(described) as server, contextlib.closing(server.connect()) as connection:
        connection.putrequest("POST", "/api/search")
        connection.putheader("Content-Type", kind)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:1000])
        time.sleep(0.3)
        server.process.terminate()
        time.sleep(0.5)
        with pytest.raises(ConnectionError):
            server.get("/healthz")
        connection.send(body[1000:])
        assert connection.getresponse().status == 200
        assert server.process.wait(60) == 0
    assert server.lines[-1] == "Stopped.\n"


def test_slow_clients_are_disconnected(described):
    head = b"POST /api/search HTTP/1.1\r\nHost: localhost\r\n"
    with serving(described, start=SHORT_TIMEOUTS) as server, contextlib.ExitStack() as stack:

        def begun(data):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            connection.sendall(data)
            return stack.enter_context(connection)

        idle, slow_head = begun(b""), begun(head)
        slow_body = begun(head + b"Content-Length: 100\r\n\r\nx")
        with slow_body.makefile("rb") as answer:
            response = answer.read()
        assert response.startswith(b"HTTP/1.1 408")
        assert b"did not arrive within" in response
        for connection in (idle, slow_head):
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        assert server.get("/healthz").status == 200


def test_a_picture_that_takes_too_long_is_abandoned(described, photos):
    hasty = "import pokesim.web.batching as b; b.READ_SECONDS = 0.5; " + START
    with serving(described, start=hasty) as server:
        for _ in range(3):
            slow = server.ask("POST", "/api/search", slow_jpeg())
            assert slow.status == 400, slow.body
            assert "reading it took over 0.5 s" in slow.json["error"]
        time.sleep(2)
        assert server.post("/api/search", photos[0]).status == 200


def slow_jpeg():
    """Return 5 MB that Pillow takes minutes to read: it copies the EXIF data for each segment."""
    out = io.BytesIO()
    Image.new("RGB", (40, 40)).save(out, "JPEG")
    return b"\xff\xd8" + b"\xff\xe1\x00\x09Exif\0\0x" * 450_000 + out.getvalue()[2:]


def test_slow_photos_do_not_delay_others(described, photos):
    """Those in pure Python are refused; slow headers leave the processor to the others."""
    plain = b"P3 1200 1200 255\n" + b"1 " * 2_500_000
    hasty = "import pokesim.web.batching as b; b.READ_SECONDS = 1;" + START
    with serving(described, start=hasty) as server, ThreadPoolExecutor(12) as pool:
        assert server.post("/api/search", photos[0]).status == 200
        slow = [pool.submit(server.post, "/api/search", data) for data in 2 * [plain, slow_jpeg()]]
        answered = 0
        while not all(job.done() for job in slow):
            reply = server.post("/api/search", photos[answered % len(photos)])
            assert reply.status == 200, reply.body
            answered += 1
        statuses = {job.result().status for job in slow}
        assert statuses <= {400, 503}
        assert answered > 4  # in the seconds that the slow ones take
        assert server.post("/api/search", photos[0]).status == 200


def test_waiting_for_a_thread_has_a_limit(described, photos):
    hasty = "import pokesim.web.batching as b; b.WAIT_SECONDS = 0.1; b.READ_SECONDS = 1;" + START
    with serving(described, start=hasty) as server, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: server.post("/api/search", slow_jpeg()), range(6)))
        busy = [reply for reply in replies if reply.status == 503]
        assert busy
        assert all(int(reply.headers["Retry-After"]) >= 1 for reply in busy)
        assert {reply.status for reply in replies} <= {400, 503}
        assert server.post("/api/search", photos[0]).status == 200


def test_an_indexed_file_that_became_a_pipe_is_gone(described, tmp_path, photos):
    home = shutil.copytree(described.parent, tmp_path / "home")
    pokesim.build_index(home / "creatures", home / "index")
    with pokesim.open_index(home / "index") as index:
        best = index.query(photos[0], k=1)[0]
    Path(best.path).unlink()
    os.mkfifo(best.path)
    with serving(home / "index") as server:
        assert server.get(f"/images/{best.id}").status == 404
        assert server.get(f"/thumbnails/{best.id}").status == 404
        card = server.post("/api/card", photos[0])
        assert (card.status, card.headers["Content-Type"]) == (200, "image/png")
        assert server.post(f"/api/explain?match={best.id}", photos[0]).status == 404
