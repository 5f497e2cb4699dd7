"""Patterns and shine on creatures' bodies."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pokesim.samples.geometry import Point, Shape, corners, curve, egg, ellipse, limb, smooth
from pokesim.samples.paint import WHITE, Mark, darker
from pokesim.samples.roster import Creature, Palette


@dataclass(frozen=True)
class Box:
    """The box round a body: its middle and its half width and half height."""

    x: float
    y: float
    w: float
    h: float

    def at(self, u: float, v: float) -> Point:
        """The point at (u, v), each of which runs from -1 to 1 across the box."""
        return self.x + u * self.w, self.y + v * self.h


def _box(body: Shape) -> Box:
    low, high = body.min(axis=0), body.max(axis=0)
    (x, y), (w, h) = (low + high) / 2, (high - low) / 2
    return Box(float(x), float(y), float(w), float(h))


def markings(c: Creature, body: Shape) -> tuple[Mark, ...]:
    """The creature's pattern, laid out over the box round `body`."""
    return PATTERNS[c.pattern](_box(body), c.palette, np.random.default_rng(c.seed))


def back_markings(c: Creature, body: Shape) -> tuple[Mark, ...]:
    """The creature's pattern for a body that is given a light belly anyway."""
    return () if c.pattern == "belly" else markings(c, body)


def gleam(body: Shape) -> tuple[Mark, ...]:
    """A shine on the upper left of a smooth, round body."""
    b = _box(body)
    return (Mark([ellipse(*b.at(-0.45, -0.55), 0.24 * b.w, 0.13 * b.h, -32)], WHITE, 0.012, 0.55),)


def _belly(b: Box, p: Palette, _: np.random.Generator) -> tuple[Mark, ...]:
    return (Mark([egg(*b.at(0, 0.42), 0.58 * b.w, 0.62 * b.h, 0.1)], p.light, soft=0.012),)


def _spots(b: Box, p: Palette, rng: np.random.Generator) -> tuple[Mark, ...]:
    sizes = rng.uniform(0.13, 0.22, 11) * b.w
    places = _scattered(rng, 11)
    spots = [ellipse(*b.at(*at), r, 0.9 * r, 20) for at, r in zip(places, sizes, strict=True)]
    return (Mark(spots, p.accent),)


def _speckles(b: Box, p: Palette, rng: np.random.Generator) -> tuple[Mark, ...]:
    dots = [ellipse(*b.at(*at), 0.022 * (b.w + b.h)) for at in _scattered(rng, 44)]
    return (Mark(dots, p.light),)


def _stripes(b: Box, p: Palette, _: np.random.Generator) -> tuple[Mark, ...]:
    stripes = [
        limb(
            [b.at(side * 1.1, v - 0.12), b.at(side * 0.7, v), b.at(side * 0.3, v + 0.02)],
            0.24 * b.h,
            0.15 * b.h,
            0.02 * b.h,
        )
        for side in (-1, 1)
        for v in (-0.62, -0.2, 0.22, 0.62)
    ]
    return (Mark(stripes, p.accent),)


def _bands(b: Box, p: Palette, _: np.random.Generator) -> tuple[Mark, ...]:
    bands = [
        limb([b.at(-1.1, v - 0.1), b.at(0, v + 0.1), b.at(1.1, v - 0.1)], 0.2 * b.h)
        for v in (-0.65, -0.12, 0.42, 0.95)
    ]
    return (Mark(bands, p.light),)


def _dip(b: Box, p: Palette, _: np.random.Generator) -> tuple[Mark, ...]:
    """The lower half dipped in paint."""
    wave = [b.at(u, 0.22 + 0.12 * (-1) ** i) for i, u in enumerate(np.linspace(-1.2, 1.2, 9))]
    return (Mark([np.concatenate([curve(wave), [b.at(1.2, 1.3), b.at(-1.2, 1.3)]])], p.accent),)


def _scales(b: Box, p: Palette, _: np.random.Generator) -> tuple[Mark, ...]:
    arcs = [
        limb([b.at(u - 0.15, v), b.at(u, v + 0.22), b.at(u + 0.15, v)], 0.045 * b.h)
        for row, v in enumerate(np.arange(-0.95, 1.1, 0.3))
        for u in np.arange(-1.05, 1.2, 0.3) + 0.15 * (row % 2)
    ]
    belly = egg(*b.at(0, 0.75), 0.8 * b.w, 0.55 * b.h, 0)
    return Mark([belly], p.light, soft=0.08), Mark(arcs, darker(p.main, 0.4), opacity=0.75)


def _patch(b: Box, p: Palette, _: np.random.Generator) -> tuple[Mark, ...]:
    left = smooth(
        b.at(-1.2, -1.2),
        b.at(0.1, -1.2),
        b.at(0.02, -0.35),
        b.at(-0.5, 0.2),
        b.at(-1.2, 0.2),
    )
    right = smooth(
        b.at(0.3, 0.5),
        b.at(0.8, 0.1),
        b.at(1.3, 0.4),
        b.at(1.2, 1.2),
        b.at(0.4, 1.2),
    )
    return Mark([left], p.accent), Mark([right], p.light)


def _diamonds(b: Box, p: Palette, _: np.random.Generator) -> tuple[Mark, ...]:
    diamonds = [
        corners(b.at(u, v - 0.2), b.at(u + 0.15, v), b.at(u, v + 0.2), b.at(u - 0.15, v))
        for v, row in ((-0.5, (-0.6, 0, 0.6)), (-0.02, (-0.3, 0.3)), (0.46, (-0.6, 0, 0.6)))
        for u in row
    ]
    return (Mark(diamonds, p.accent),)


def _scattered(rng: np.random.Generator, count: int) -> list[Point]:
    """Points spread evenly but irregularly over the unit disc, on a sunflower's spiral."""
    index = np.arange(count) + 0.5
    angle = index * np.pi * (3 - np.sqrt(5)) + rng.uniform(0, 2 * np.pi)
    radius = 0.95 * np.sqrt(index / count) + rng.uniform(-0.05, 0.05, count)
    return [
        (float(r * np.cos(a)), float(r * np.sin(a))) for r, a in zip(radius, angle, strict=True)
    ]


Pattern = Callable[[Box, Palette, np.random.Generator], tuple[Mark, ...]]

PATTERNS: dict[str, Pattern] = {
    "belly": _belly,
    "spots": _spots,
    "stripes": _stripes,
    "dip": _dip,
    "scales": _scales,
    "patch": _patch,
    "speckles": _speckles,
    "bands": _bands,
    "diamonds": _diamonds,
}
