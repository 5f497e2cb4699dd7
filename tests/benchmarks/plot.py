"""Plot the benchmarks: pictures per second when building, milliseconds per search."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from searching import (
    CODES_ONCE,
    DIMENSIONS,
    FLAT,
    FLAT_ALONE,
    NUMPY,
    OURS,
    PANORAMA,
    VECTORS_ONCE,
    WAYS,
    Timing,
)

_OURS, _THEIRS, _LIMIT = "#3b6fd4", "#9aa3ad", "#d8dde3"
_LINES = {
    FLAT: ("#b0483a", "-"),
    FLAT_ALONE: ("#b0483a", "--"),
    PANORAMA: ("#4f8a5b", "-"),
    NUMPY: ("#c98a2b", "-"),
    VECTORS_ONCE: ("#4a4f55", ":"),
    CODES_ONCE: (_OURS, ":"),
    OURS: (_OURS, "-"),
}


def draw(building: dict[str, float], timings: Sequence[Timing], embedder: str, path: Path) -> None:
    """Plot the seconds per picture of each way to build, and the search times, in a file."""
    mpl.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    figure, (left, *others) = plt.subplots(1, 3, figsize=(13, 5), width_ratios=(1.2, 1, 1))
    names = list(building)[::-1]
    rates = [1 / building[name] for name in names]
    left.barh(names, rates, color=[_colour(name) for name in names])
    for at, rate in enumerate(rates):
        left.text(rate, at, f" {rate:.0f}", va="center")
    left.set_title(f"Building with {embedder}, pictures a second", loc="left")
    left.spines["bottom"].set_visible(False)
    left.set_xticks([])
    left.tick_params(left=False)
    others[1].sharey(others[0])
    for plot, dimension in zip(others, DIMENSIONS, strict=True):
        _draw_search(plot, [one for one in timings if one.dimension == dimension])
        plot.set_title(f"One search, ms: {dimension:,} numbers", loc="left")
    handles, _ = others[0].get_legend_handles_labels()
    explained = [f"{name}: {what}" for name, what in WAYS.items()]
    figure.tight_layout(w_pad=3, rect=(0, 0.2, 1, 1))
    figure.legend(handles, explained, loc="lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=110)


def _draw_search(plot: Axes, timings: Sequence[Timing]) -> None:
    for name, (colour, style) in _LINES.items():
        found = [(timing.count, timing.ms[name]) for timing in timings if name in timing.ms]
        width = 2.5 if name == OURS else 1.3
        points = zip(*found, strict=True) if found else ([], [])
        plot.plot(*points, style, color=colour, marker="o", markersize=3, lw=width, label=name)
    plot.set_xscale("log")
    plot.set_yscale("log")
    plot.set_xlabel("vectors")
    plot.yaxis.set_major_formatter("{x:g}")
    plot.grid(axis="y", color=_LIMIT, lw=0.6)


def _colour(name: str) -> str:
    if name.startswith("pokesim"):
        return _OURS
    return _LIMIT if name.startswith("bare") else _THEIRS
