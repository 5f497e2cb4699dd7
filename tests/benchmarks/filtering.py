"""Time of a search among a part of the vectors, against the search among all."""

import math
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from common import seconds_of, show
from searching import ASKED, DIMENSION, K, mixed, published

import pokesim
from pokesim.index.metadata.table import Table

_SHARES = {"1 %": "n < 1", "10 %": "n < 10", "50 %": "n < 50", "99 %": "n < 99", "all": "n < 100"}
_MANY = 256


def measure(home: Path, features: np.ndarray, count: int, rounds: int) -> None:
    """Measure single queries and a batch of them, flat and with Panorama."""
    known, asked = features[ASKED:], features[:ASKED]
    many = np.repeat(asked, math.ceil(_MANY / len(asked)), axis=0)[:_MANY]
    rows = [("", "all, ms", *(f"{share} pass" for share in _SHARES), "the filter itself, ms")]
    for search in ("flat", "panorama"):
        with tempfile.TemporaryDirectory(dir=home) as folder:
            published(Path(folder), mixed(known, count, seed=count), search, _table(count))
            with pokesim.open_index(folder) as index:
                told = statistics.median(
                    seconds_of(partial(index.select, n)) for n in _SHARES.values()
                )
                for name, parts in {"one": list(asked), f"one of {_MANY}": [many]}.items():
                    ms = _times(index, parts, rounds)
                    whole = ms.pop("")
                    ratios = (f"{one / whole:.2f} ×" for one in ms.values())
                    rows.append((f"{search}, {name}", f"{whole:.2f}", *ratios, f"{1e3 * told:.1f}"))
    show(f"A filtered search among {count:,} vectors of {DIMENSION} dimensions", rows)


def _times(index: pokesim.Index, parts: Sequence[np.ndarray], rounds: int) -> dict[str, float]:
    """Return milliseconds a query for each share, and for no filter under "", asked in turns."""
    ways = {"": None} | _SHARES
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for xq in [parts[0], *parts] * rounds:
        for name, where in ways.items():
            seconds = seconds_of(lambda: index.search(xq, K, where=where))  # noqa: B023
            taken[name].append(1e3 * seconds / len(np.atleast_2d(xq)))
    return {name: statistics.median(values) for name, values in taken.items()}


def _table(count: int) -> Table:
    """Return a table with a number below 100 for each of so many pictures."""
    numbers = np.random.default_rng(0).integers(0, 100, count).tolist()
    rows = [(str(at), number) for at, number in enumerate(numbers)]
    return Table("", "", "name", {"name": False, "n": True}, rows)
