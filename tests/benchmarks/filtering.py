"""Time of a filtered search, relative to a search among all vectors."""

import math
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from common import seconds_of, show
from searching import QUERIES, K, mixed, write_index

import pokesim
from pokesim.index.metadata.table import Table

_SHARES = {"1 %": "n < 1", "5 %": "n < 5", "20 %": "n < 20", "50 %": "n < 50", "all": "n < 100"}
_MANY = 256


def measure(directory: Path, features: np.ndarray, count: int, rounds: int) -> None:
    """Measure single and batched queries, flat and by codes."""
    candidates, queries = features[QUERIES:], features[:QUERIES]
    many = np.repeat(queries, math.ceil(_MANY / len(queries)), axis=0)[:_MANY]
    rows = [("", "all, ms", *(f"{share} pass" for share in _SHARES), "the filter itself, ms")]
    for search in ("flat", "pca"):
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            write_index(Path(folder), mixed(candidates, count, seed=count), search, _table(count))
            with pokesim.open_index(folder) as index:
                filter_s = statistics.median(
                    seconds_of(partial(index.select, n)) for n in _SHARES.values()
                )
                for name, batches in {"one": list(queries), f"one of {_MANY}": [many]}.items():
                    ms = _times(index, batches, rounds)
                    whole = ms.pop("")
                    ratios = (f"{one / whole:.2f} ×" for one in ms.values())
                    rows.append(
                        (f"{search}, {name}", f"{whole:.2f}", *ratios, f"{1e3 * filter_s:.1f}")
                    )
    show(f"A filtered search among {count:,} vectors of {features.shape[1]} dimensions", rows)


def _times(index: pokesim.Index, batches: Sequence[np.ndarray], rounds: int) -> dict[str, float]:
    """Return the milliseconds per query for each filter, and without one under "", alternating."""
    ways = {"": None} | _SHARES
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for xq in [batches[0], *batches] * rounds:
        for name, where in ways.items():
            seconds = seconds_of(lambda: index.search(xq, K, where=where))  # noqa: B023
            taken[name].append(1e3 * seconds / len(np.atleast_2d(xq)))
    return {name: statistics.median(values) for name, values in taken.items()}


def _table(count: int) -> Table:
    """Return a table with a random number from 0 to 99 for each of ``count`` pictures."""
    numbers = np.random.default_rng(0).integers(0, 100, count).tolist()
    rows = [(str(at), number) for at, number in enumerate(numbers)]
    return Table("/numbers.csv", "", "name", {"name": False, "n": True}, rows)
