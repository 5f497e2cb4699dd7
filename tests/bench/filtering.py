"""Time of a search among a part of the vectors, against the search among all."""

import math
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from common import seconds_of, show
from searching import ASKED, K, mixed

import pokesim
from pokesim.index.items import Item
from pokesim.index.manifest import EmbedderRecord, Manifest
from pokesim.index.publish import SnapshotWriter, new_snapshot, publish
from pokesim.index.structure import SearchRecord
from pokesim.index.table import Table

_SHARES = {"1 %": "n < 1", "10 %": "n < 10", "50 %": "n < 50", "99 %": "n < 99", "all": "n < 100"}
_MANY = 256


def measure(home: Path, features: np.ndarray, count: int, rounds: int) -> None:
    """Measure single queries and a batch of them, flat and with Panorama."""
    known, asked = features[ASKED:], features[:ASKED]
    many = np.repeat(asked, math.ceil(_MANY / len(asked)), axis=0)[:_MANY]
    xb = mixed(known, count, seed=count)
    rows = [("", "all, ms", *(f"{share} pass" for share in _SHARES), "the filter itself, ms")]
    for search in ("flat", "panorama"):
        with tempfile.TemporaryDirectory(dir=home) as folder:
            _publish(Path(folder), xb, search)
            with pokesim.open_index(folder) as index:
                told = statistics.median(
                    seconds_of(partial(index.select, n)) for n in _SHARES.values()
                )
                for name, parts in {"one": list(asked), f"one of {_MANY}": [many]}.items():
                    ms = _times(index, parts, rounds)
                    whole = ms.pop("")
                    ratios = (f"{one / whole:.2f} ×" for one in ms.values())
                    rows.append((f"{search}, {name}", f"{whole:.2f}", *ratios, f"{1e3 * told:.1f}"))
    show(f"A filtered search among {count:,} vectors of {xb.shape[1]} dimensions", rows)


def _times(index: pokesim.Index, parts: Sequence[np.ndarray], rounds: int) -> dict[str, float]:
    """Return milliseconds a query for each share, and for no filter under "", asked in turns."""
    ways = {"": None} | _SHARES
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for xq in [parts[0], *parts] * rounds:
        for name, where in ways.items():
            seconds = seconds_of(lambda: index.search(xq, K, where=where))  # noqa: B023
            taken[name].append(1e3 * seconds / len(np.atleast_2d(xq)))
    return {name: statistics.median(values) for name, values in taken.items()}


def _publish(home: Path, xb: np.ndarray, search: str) -> None:
    """Write an index where each picture has a row with a number below 100."""
    numbers = np.random.default_rng(0).integers(0, 100, len(xb)).tolist()
    rows = [(f"{at}", number) for at, number in enumerate(numbers)]
    table = Table("", "", "name", {"name": False, "n": True}, rows)
    with (
        new_snapshot(home) as folder,
        closing(SnapshotWriter(folder, xb.shape[1], table)) as writer,
    ):
        for start in range(0, len(xb), 8192):
            block = xb[start : start + 8192]
            ids = range(start, start + len(block))
            writer.add(block, [Item(i, f"{i}.png", str(i), 1, 1, "") for i in ids])
        metadata = writer.finish()
        record = EmbedderRecord("compact", "", 1, 8, "", True)
        manifest = Manifest(str(home), record, xb.shape[1], len(xb), (), metadata=metadata)
        publish(folder, home, replace(manifest, search=SearchRecord(search)))
