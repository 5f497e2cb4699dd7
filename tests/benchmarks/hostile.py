"""Latency of honest clients while others upload photos made to be slow, against without them."""

import io
import json
import statistics
import struct
import sys
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import HERE, Setting, python, show
from PIL import Image

import pokesim

sys.path.append(str(HERE.parent))
from support.serving import Server, serving

CLIENTS, SEARCHES, UPLOADS = 16, 1_000, 64
_ROUNDS = 3


def measure(setting: Setting) -> None:
    """Measure 16 honest clients beside 64 uploads, of which half are hostile or missing."""
    index = setting.folder / "serve-hostile"
    pokesim.build_index(setting.images, index, embedder="compact")
    honest = [photo.read_bytes() for photo in setting.photos]
    hostile = slow_photos()
    rows = [("", "p50, ms", "p99, ms", "honest: errors", "honest: 503", "hostile: statuses")]
    ways = {"without hostile photos": [], "with hostile photos": hostile}
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in ways}
    statuses: dict[str, Counter[int]] = {name: Counter() for name in ways}
    with serving(index) as server:
        _searched(server, setting.photos, 100)
        for _ in range(_ROUNDS):
            for name, bad in ways.items():
                answers, seen = _beside(server, setting.photos, honest, bad)
                found[name] += answers
                statuses[name] += seen
    for name, answers in found.items():
        waited = sorted(taken for _, taken in answers)
        good = Counter(status for status, _ in answers)
        errors = len(answers) - good[200] - good[503]
        p50, p99 = statistics.median(waited), waited[int(0.99 * len(waited))]
        seen = ", ".join(f"{status}: {count}" for status, count in sorted(statuses[name].items()))
        rows.append(
            (name, f"{1e3 * p50:.0f}", f"{1e3 * p99:.0f}", str(errors), str(good[503]), seen)
        )
    show(f"{_ROUNDS} × {SEARCHES:,} searches by {CLIENTS} clients beside {UPLOADS} uploads", rows)


def _beside(
    server: Server, photos: list[Path], honest: list[bytes], hostile: list[bytes]
) -> tuple[list[tuple[int, float]], Counter[int]]:
    """Search while 64 photos are uploaded at once; return (status, seconds), hostile statuses."""
    half = UPLOADS // 2
    good = [honest[at % len(honest)] for at in range(half)]
    bad = [hostile[at % len(hostile)] for at in range(half if hostile else 0)]
    with ThreadPoolExecutor(1 + UPLOADS) as pool:
        searches = pool.submit(_searched, server, photos, SEARCHES)
        uploads = [pool.submit(server.post, "/api/search", one) for one in good]
        slow = [pool.submit(server.post, "/api/search", one) for one in bad]
        for upload in uploads:
            assert upload.result().status in (200, 503)
        return searches.result()["found"], Counter(one.result().status for one in slow)


def _searched(server: Server, photos: list[Path], count: int) -> dict:
    counts = (str(server.port), str(count), str(CLIENTS))
    return json.loads(python(HERE / "clients.py", *counts, *photos))


def slow_photos() -> list[bytes]:
    """Return photos of a few MB at most that take long, or much memory, to read."""
    ramp = Image.linear_gradient("L")

    def encoded(mode: str, side: int, image_format: str, **options: object) -> bytes:
        out = io.BytesIO()
        ramp.resize((side, side)).convert(mode).save(out, image_format, **options)
        return out.getvalue()

    small = encoded("RGB", 40, "JPEG")
    png = encoded("RGB", 40, "PNG")
    text = b"a\0b"
    chunk = struct.pack(">I", 3) + b"tEXt" + text + struct.pack(">I", zlib.crc32(b"tEXt" + text))
    scans = encoded("L", 3_000, "JPEG", progressive=True, quality=1)
    last = scans[scans.rindex(b"\xff\xda") : -2]
    return [
        b"P3 1200 1200 255\n" + b"1 " * 2_500_000,  # decoded in Python
        b"\xff\xd8" + b"\xff\xe1\x00\x09Exif\0\0x" * 450_000 + small[2:],  # copied for each segment
        b"\xff\xd8" + b"\xff" * 5_000_000 + small[2:],  # skipped in Python
        png[:33] + chunk * 300_000 + png[33:],
        scans[:-2] + last * 400 + scans[-2:],
        encoded("RGBA", 9_400, "PNG", compress_level=1),
        encoded("RGB", 5_500, "JPEG2000"),
        encoded("RGB", 5_900, "WEBP", method=0),
    ]
