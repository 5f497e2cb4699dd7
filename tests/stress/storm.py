"""Hostile requests, and a check that the server still answers correctly."""

import contextlib
import io
import os
import random
import re
import socket
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image
from support.serving import START, Server, form, serving

import pokesim
from pokesim.samples import CREATURES, builtin_samples

Say = Callable[[str], object]

# Short timeouts; with the defaults of about a minute the test would only take longer.
IMPATIENT = (
    "import pokesim.web.server as s, pokesim.web.uploads as u;"
    "s.IDLE_SECONDS = 2; u.BODY_SECONDS = 2;" + START
)
HANGS_AFTER = 40.0
MOST_FILES = 40
GROWTH = 300 * 1024 * 1024

# Without this the allocator keeps a varying part of the memory of large pictures.
MALLOC_SETTINGS = {"MALLOC_MMAP_THRESHOLD_": "1000000", "MALLOC_TRIM_THRESHOLD_": "1000000"}


def storm(home: Path, requests: int, say: Say) -> None:
    """Send many hostile requests at once: no crash, no hang, correct answers in between."""
    samples = builtin_samples()
    table = home / "types.csv"
    table.write_text("Name,a\n" + "".join(f"{name},{name[0]}\n" for name in CREATURES))
    pokesim.build_index(samples.images, home / "index", embedder="compact", metadata=table)
    photos = sorted(samples.photos.iterdir())
    chance = random.Random(3)
    seen: Counter[str] = Counter()
    with (
        serving(home / "index", start=IMPATIENT, env=os.environ | MALLOC_SETTINGS) as server,
        ThreadPoolExecutor(24) as pool,
    ):
        good = [server.post("/api/search", photo).json["matches"] for photo in photos[:5]]
        before = _memory(server)
        kinds = _attacks(photos)
        sent = [kinds[number % len(kinds)] for number in range(requests)]
        jobs = [pool.submit(_outcome, server, attack(chance)) for attack in sent]
        for number, job in enumerate(jobs):
            seen[job.result()] += 1
            if number % 50 == 0:
                _check_search(server, photos[0], good[0])
        for photo, expected in zip(photos, good, strict=False):
            _check_search(server, photo, expected)
        open_files = _open_files(server)
        grown = _memory(server) - before
        assert server.end() == 0
    answers = ", ".join(f"{outcome}: {count}" for outcome, count in sorted(seen.items()))
    say(f"storm: {requests} hostile requests: 0 crashes, 0 hangs, {grown >> 20} MiB more memory")
    say(f"  {answers}")
    assert not [outcome for outcome in seen if outcome.startswith("5") and outcome != "503"], seen
    assert open_files < MOST_FILES
    assert grown < GROWTH


def _check_search(server: Server, photo: Path, expected: object) -> None:
    for _ in range(60):
        reply = server.post("/api/search", photo)
        if reply.status != 503:
            break
        time.sleep(0.5)
    assert (reply.status, reply.json.get("matches")) == (200, expected)


def _open_files(server: Server) -> int:
    """Return the number of open files of a server once its connections have had time to end."""
    until = time.monotonic() + 6
    while True:
        count = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
        if count < MOST_FILES or time.monotonic() > until:
            return count
        time.sleep(0.1)


def _memory(server: Server) -> int:
    """Return the resident memory of a server, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def _outcome(server: Server, pieces: list[bytes | float]) -> str:
    """Send bytes, sleeping for each number among them; return the status or "closed"."""
    received = b""
    deadline = time.monotonic() + HANGS_AFTER
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))) as client:
        client.settimeout(HANGS_AFTER)
        try:
            for piece in pieces:
                if isinstance(piece, float):
                    time.sleep(piece)
                else:
                    client.sendall(piece)
            while data := client.recv(65536):
                received += data[: 100 - len(received)] if len(received) < 100 else b""
                assert time.monotonic() < deadline, "the server hangs"
        except TimeoutError as hang:
            raise AssertionError("the server hangs") from hang
        except OSError:
            pass  # the server closed the connection
    found = re.match(rb"HTTP/1\.[01] (\d{3})", received)
    return found[1].decode() if found else "closed"


def _attacks(photos: list[Path]) -> list[Callable[[random.Random], list[bytes | float]]]:
    photo = photos[0].read_bytes()
    return [
        partial(attack, photo)
        for attack in (
            _broken_form,
            _slow_body,
            _giant_head,
            _wrong_length,
            _path_traversal,
            _bomb,
            _garbage,
            _damaged_picture,
            _odd_query,
            _client_that_does_not_read,
        )
    ]


def _post(body: bytes, kind: str = "image/png", path: str = "/api/search", *more: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    head += [f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*head, "", ""]).encode() + body


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def _broken_form(photo: bytes, chance: random.Random) -> list[bytes | float]:
    body, kind = form("a.png", photo)
    broken = [
        (body[: chance.randrange(len(body))], kind),
        (body, "multipart/form-data"),
        (body, "multipart/form-data; boundary=" + "x" * 300),
        (body, "multipart/form-data; boundary=other"),
        (b"\r\n" * 1_000_000, kind),
        (b"--edge\r" * 500_000, kind),
        (b"--edge\r\nA: b\r\n\r\n" * 50_000 + b"--edge--", kind),
        (b"--edge\r\n" + b"X: y\r\n" * 100_000 + b"\r\n--edge--", kind),
        (b"--edge\r\n" + b"N" * 1_000_000, kind),
        (b'--edge\r\nContent-Disposition: form-data; name="photo"' + b'; filename="' * 9999, kind),
        (form("../../../../etc/passwd\x00.png", b"")[0], kind),
        (chance.randbytes(50_000), kind),
    ]
    return [_post(*chance.choice(broken))]


def _slow_body(photo: bytes, chance: random.Random) -> list[bytes | float]:
    request = _post(photo)
    head = request[: -len(photo)]
    at = chance.randrange(len(request))
    return chance.choice(
        [
            [head, *([photo[:1], 0.4] * 8)],  # longer than the server waits
            [request[:at], 3.0, request[at:]],
            [head[:20], 3.0, head[20:]],
            [b"", 3.0],
        ]
    )


def _giant_head(_: bytes, chance: random.Random) -> list[bytes | float]:
    start = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    return [
        chance.choice(
            [
                start + b"X: " + b"y" * 5_000_000,
                start + b"X: y\r\n" * 500_000,
                b"GET /" + b"a" * 2_000_000 + b" HTTP/1.1\r\n\r\n",
                _get("/" + "a" * 12_000),
                _get("/api/info?" + "a=b&" * 3_000),
                start + b"Cookie: " + b"a=b;" * 3_000 + b"\r\nConnection: close\r\n\r\n",
                start + b"If-None-Match: " + b'"a",' * 3_000 + b"\r\nConnection: close\r\n\r\n",
            ]
        )
    ]


def _wrong_length(photo: bytes, chance: random.Random) -> list[bytes | float]:
    def head(*lines: str) -> bytes:
        return "\r\n".join(
            ["POST /api/search HTTP/1.1", "Host: localhost", *lines, "", ""]
        ).encode()

    return [
        chance.choice(
            [
                head(f"Content-Length: {len(photo) * 2}"),
                head(f"Content-Length: {len(photo) // 2}"),
                head("Content-Length: -1"),
                head("Content-Length: 99999999999999999999"),
                head("Content-Length: 1e3"),
                head("Content-Length: 5", "Content-Length: 6"),
                head("Content-Length: 5", "Transfer-Encoding: chunked"),
                head("Transfer-Encoding: chunked") + b"FFFFFFFFFFFFFFFF\r\n",
                head("Transfer-Encoding: chunked") + b"-5\r\n",
                head("Transfer-Encoding: chunked") + b"5\r\nab\r\n0\r\n\r\n",
                head("Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 20_000,
                head("Transfer-Encoding: gzip"),
                head("Expect: 100-continue", f"Content-Length: {len(photo)}"),
            ]
        ),
        photo,
    ]


def _path_traversal(_: bytes, chance: random.Random) -> list[bytes | float]:
    up = chance.choice(
        ["../", "..%2f", "%2e%2e/", "..\\", "..%5c", "....//", "%c0%ae%c0%ae/", "./"]
    )
    start = chance.choice(["/static/", "/images/", "/thumbnails/", "/", "//", "/api/items/"])
    end = chance.choice(
        ["etc/passwd", "etc/passwd%00.png", "app.py", "proc/self/environ", "%ff%fe"]
    )
    return [_get(start + up * chance.randrange(1, 12) + end)]


def _bomb(_: bytes, chance: random.Random) -> list[bytes | float]:
    side = chance.choice([4_000, 9_400, 30_000, 2**31 - 1])
    rows = min(side, 30_000)
    bomb = chance.choice([_zero_png(side, rows), _text_bomb(), _gif(65_535), _tiff(side)])
    path = chance.choice(["/api/search", "/api/card"])
    return [_post(bomb, "image/png", path)]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _zero_png(side: int, rows: int) -> bytes:
    """Return a square PNG, by its header, of about a kilobyte per megapixel."""
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + (min(side, 30_000) + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data)


def _text_bomb() -> bytes:
    """Return a small PNG with 200 MB of text in 200 kB."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    png = out.getvalue()
    text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000), 9))
    return png[:33] + text + png[33:]


def _gif(side: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6) + b"," + bytes(64)


def _tiff(side: int) -> bytes:
    """Return a TIFF whose directory points at itself."""
    tags = [
        (256, side),
        (257, side),
        (258, 8),
        (259, 5),
        (273, 8),
        (277, 3),
        (278, side),
        (279, 99),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 8)


def _garbage(photo: bytes, chance: random.Random) -> list[bytes | float]:
    return [
        chance.choice(
            [
                chance.randbytes(2_000),
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(500),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"GET /\r\n\r\n",
                b"get / http/1.1\r\nhost: localhost\r\n\r\n",
                b"GET / HTTP/1.1\nHost: localhost\n\n",
                b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
                _get("http://evil.example/"),
                b"CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\n\r\n",
                b"\0" * 10_000,
                _get("/") * 300,
                _post(photo).replace(b"Host: localhost", b"Host: \xff\xfe"),
                b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                b"TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            ]
        )
    ]


def _damaged_picture(photo: bytes, chance: random.Random) -> list[bytes | float]:
    with Image.open(io.BytesIO(photo)) as picture:
        out = io.BytesIO()
        kind = chance.choice(
            ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "ICO", "TGA", "JPEG2000"]
        )
        picture.resize((200, 150)).save(out, kind)
    data = bytearray(out.getvalue())
    for _ in range(chance.randrange(1, 30)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return [_post(bytes(data[: chance.randrange(1, len(data) + 1)]))]


def _odd_query(photo: bytes, chance: random.Random) -> list[bytes | float]:
    queries = [
        "k=" + "9" * 5_000,
        "k=%00",
        "k=1&" * 2_000,
        "where=" + "(" * 9_000,
        "where=" + "not+" * 2_000,
        "where=" + "a=1+and+" * 1_500 + "a=1",
        "where=%ff%fe",
        "where=a%00b=1",
        "label=" + "%F0%9F%92%A9" * 900,
        "group=%0d%0aX:y",
        "item=" + "1" * 4_000,
    ]
    odd = chance.choice(queries)
    path = chance.choice(["/api/search", "/api/card", "/api/explain"])
    return chance.choice(
        [[_post(photo, "image/jpeg", f"{path}?{odd}")], [_get(f"/api/items/3/similar?{odd}")]]
    )


def _client_that_does_not_read(photo: bytes, chance: random.Random) -> list[bytes | float]:
    """Request a lot on one connection, and disconnect, or read late."""
    many = _get(f"/images/{chance.randrange(151)}").replace(b"Connection: close\r\n", b"") * 200
    return [many, chance.choice([0.0, 3.0])]
