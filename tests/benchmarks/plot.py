"""Plot the benchmarks: pictures per second when building, milliseconds per search."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from searching import DIMENSION, Timing

_OURS, _THEIRS, _LIMIT = "#3b6fd4", "#9aa3ad", "#d8dde3"
_LINES = {"flat": _THEIRS, "pca": _OURS, "NumPy": "#c98a2b", "memory read once": "#4a4f55"}


def draw(building: dict[str, float], timings: Sequence[Timing], embedder: str, path: Path) -> None:
    """Plot the seconds per picture of each way to build, and the search times, in a file."""
    mpl.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(1.25, 1))
    names = list(building)[::-1]
    rates = [1 / building[name] for name in names]
    left.barh(names, rates, color=[_colour(name) for name in names])
    for at, rate in enumerate(rates):
        left.text(rate, at, f" {rate:.0f}", va="center")
    left.set_title(f"Building with {embedder}, pictures a second", loc="left")
    left.spines["bottom"].set_visible(False)
    left.set_xticks([])
    left.tick_params(left=False)
    counts = [timing.count for timing in timings]
    for name, colour in _LINES.items():
        times = [timing.ms[name] for timing in timings]
        dashed = "--" if name == "memory read once" else "-"
        right.plot(counts, times, dashed, color=colour, marker="o", markersize=3)
        above = {"memory read once": "bottom", "NumPy": "top"}.get(name, "center")
        right.annotate(f" {name}", (counts[-1], times[-1]), color=colour, va=above)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_title(f"One exact search, ms ({DIMENSION} dimensions)", loc="left")
    right.set_xlabel("vectors")
    right.margins(x=0.02)
    figure.tight_layout(w_pad=3)
    figure.savefig(path, dpi=110)


def _colour(name: str) -> str:
    if name.startswith("pokesim"):
        return _OURS
    return _LIMIT if name.startswith("bare") else _THEIRS
