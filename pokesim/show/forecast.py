"""What an index will take, as text for people."""

from __future__ import annotations

from pokesim.plan import Forecast, size_text, time_text
from pokesim.show.text import columns


def forecast_text(found: Forecast) -> str:
    """Lay out the ways to hold and search the pictures, which to take, and the arithmetic."""
    rows = [("", "exact", "memory", "disk", "a search", "fits")]
    rows += [
        (
            one.name,
            "yes" if one.exact else "no",
            size_text(one.memory),
            size_text(one.disk),
            time_text(one.seconds),
            "yes" if one.fits else "no",
        )
        for one in found.set_ups
    ]
    best = found.recommended
    steps = [(step.what, f"{step.how}  =  {step.result}") for step in found.steps]
    return "\n".join(
        [
            columns(rows, right=(2, 3, 4)),
            "",
            f"Recommended: {best.name} ({best.command}).",
            f"Building takes {time_text(found.small_seconds)} with small pictures, "
            f"{time_text(found.large_seconds)} with JPEGs of 12 megapixels.",
            f"A query takes {time_text(found.photo_seconds + best.seconds)}: its photo "
            f"{time_text(found.photo_seconds)}, the search {time_text(best.seconds)}.",
            "",
            columns(steps),
        ]
    )
