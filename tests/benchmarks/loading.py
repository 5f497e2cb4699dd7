"""Throughput, latency and memory of a server under load, relative to its embedder alone."""

import json
import re
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from common import HERE, Setting, in_turns, python, show

import pokesim
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.images import pixels_of
from pokesim.web.service import QUEUE

sys.path.append(str(HERE.parent))
from support.serving import Server, serving

CLIENTS, SEARCHES, MORE = 32, 2000, 10_000
_ROUNDS, _BATCHES = 3, 8


def measure(setting: Setting) -> None:
    """Measure searches by concurrent clients, alternating with the embedder alone."""
    indexes = {
        "compact": setting.folder / "serve-compact",
        setting.embedder: setting.folder / "serve",
    }
    pokesim.build_index(setting.images, indexes["compact"], embedder="compact")
    pokesim.build_index(setting.images, indexes[setting.embedder], **setting.options)
    rows = [("", "searches/s", "of embedder with reading", "of network alone", "errors", "503")]
    rows[0] += ("p50, ms", "p99, ms", "bound, ms")
    for name, path in indexes.items():
        with serving(path) as server, pokesim.open_index(path) as index:
            rows.append((name, *_loaded(server, index, setting.photos)))
            if name == "compact":
                memory = _growth(server, setting.photos)
    show(f"{_ROUNDS} × {SEARCHES:,} searches by {CLIENTS} clients at once", rows)
    print(f"Memory grew by {memory:.1f} MB over {MORE:,} searches.")


def _loaded(server: Server, index: pokesim.Index, photos: list[Path]) -> tuple[str, ...]:
    many = [photos[number % len(photos)] for number in range(_BATCHES * BATCH_SIZE)]
    side = index.manifest.embedder.side
    batch = np.stack([pixels_of(photo, side) for photo in many[:BATCH_SIZE]])
    found: list[tuple[int, float]] = []

    def served() -> float:
        answers = _searched(server, SEARCHES, photos)
        found.extend(answers["found"])
        return answers["seconds"] / SEARCHES

    def read_and_embedded() -> float:
        start = time.perf_counter()
        assert len(list(index.embed_photos(many))) == len(many)
        return (time.perf_counter() - start) / len(many)

    def embedded() -> float:
        start = time.perf_counter()
        for _ in range(_BATCHES):
            index.embed_pixels(batch)
        return (time.perf_counter() - start) / len(many)

    read_and_embedded()
    _searched(server, 100, photos)
    ways = {"server": served, "with reading": read_and_embedded, "alone": embedded}
    seconds = in_turns(ways, _ROUNDS)
    waited = sorted(taken for _, taken in found)
    statuses = Counter(status for status, _ in found)
    bound = 3 * (QUEUE / BATCH_SIZE) * (BATCH_SIZE * seconds["alone"])
    return (
        f"{1 / seconds['server']:.0f}",
        f"{seconds['with reading'] / seconds['server']:.2f}",
        f"{seconds['alone'] / seconds['server']:.2f}",
        str(len(found) - statuses[200] - statuses[503]),
        str(statuses[503]),
        f"{1e3 * statistics.median(waited):.0f}",
        f"{1e3 * waited[int(0.99 * len(waited))]:.0f}",
        f"{1e3 * bound:.0f}",
    )


def _growth(server: Server, photos: list[Path]) -> float:
    """Return the MB by which the memory of a warm server grows under further load."""
    before = _memory(server)
    _searched(server, MORE, photos)
    return _memory(server) - before


def _searched(server: Server, count: int, photos: list[Path]) -> dict:
    counts = (str(server.port), str(count), str(CLIENTS))
    return json.loads(python(HERE / "clients.py", *counts, *photos))


def _memory(server: Server) -> float:
    """Return the resident memory of a server in MB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1e3
