"""Outlines to draw with: closed polygons in creature units.

A creature is about two units high; x grows to the right and y grows down, as in pictures.
Every function returns a `Shape`: an (n, 2) array of corner points, dense enough to look smooth.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]

Shape = NDArray[np.float64]


def ellipse(x: float, y: float, rx: float, ry: float | None = None, turn: float = 0.0) -> Shape:
    """An ellipse about (x, y), turned clockwise by `turn` degrees; a circle without `ry`."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    outline = np.stack([rx * np.cos(angle), (rx if ry is None else ry) * np.sin(angle)], axis=1)
    return moved(turned(outline, turn), x, y)


def egg(x: float, y: float, rx: float, ry: float, taper: float) -> Shape:
    """An ellipse that is wider below (`taper` > 0) or above (`taper` < 0)."""
    outline = ellipse(0, 0, rx, ry)
    outline[:, 0] *= 1 + taper * outline[:, 1] / ry
    return moved(outline, x, y)


def curve(points: Sequence[Point], closed: bool = False, steps: int = 12) -> Shape:
    """A Catmull-Rom spline through the points."""
    knots = np.array(points, dtype=np.float64)
    if closed:
        knots = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        knots = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    before, start, end, after = knots[:-3], knots[1:-2], knots[2:-1], knots[3:]
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    outline: Shape = (
        start[:, None]
        + 0.5 * t * (end - before)[:, None]
        + t**2 * (before - 2.5 * start + 2 * end - 0.5 * after)[:, None]
        + t**3 * (1.5 * (start - end) + 0.5 * (after - before))[:, None]
    ).reshape(-1, 2)
    return outline if closed else np.concatenate([outline, knots[-2:-1]])


def smooth(*points: Point) -> Shape:
    """A closed soft outline through the points."""
    return curve(points, closed=True)


def corners(*points: Point) -> Shape:
    """A closed outline with straight sides."""
    return np.array(points, dtype=np.float64)


def limb(points: Sequence[Point], *widths: float) -> Shape:
    """A round-ended tube along a spline; `widths` (full widths) are spread evenly over it."""
    spine = curve(points)
    at = np.linspace(0, 1, len(spine))
    half = np.interp(at, np.linspace(0, 1, len(widths)), widths)[:, None] / 2
    along = np.gradient(spine, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    swing = np.linspace(0, np.pi, 12)[1:-1, None]
    far = spine[-1] + half[-1] * (np.cos(swing) * across[-1] + np.sin(swing) * along[-1])
    near = spine[0] - half[0] * (np.cos(swing) * across[0] + np.sin(swing) * along[0])
    rim = np.concatenate([spine + half * across, far, (spine - half * across)[::-1], near])
    # In the crook of a tight bend the rim would cross itself: leave out what lies inside the tube.
    gap = np.linalg.norm(rim[:, None] - spine, axis=2) - half[:, 0]
    outline: Shape = rim[gap.min(axis=1) > -1e-3]
    return outline


def leaf(length: float, width: float) -> Shape:
    """A leaf pointing up, its stalk end at the origin and its tip at (0, -length)."""
    t = np.linspace(0, 1, 24)
    half = width / 2 * np.sin(np.pi * t**0.8) ** 0.85
    side = np.stack([half, -length * t], axis=1)
    return np.concatenate([side, mirrored(side)[::-1]])


def spike(length: float, width: float, lean: float = 0.0) -> Shape:
    """A thorn pointing up from the origin, its sides bowed out, its tip shifted by `lean`."""
    base, tip = width / 2, (lean, -length)
    left = curve([(-base, 0.05 * length), (-base * 0.7 + lean * 0.3, -length * 0.5), tip])
    right = curve([tip, (base * 0.7 + lean * 0.3, -length * 0.5), (base, 0.05 * length)])
    return np.concatenate([left, right[1:]])


def moved(shape: Shape, dx: float, dy: float) -> Shape:
    """The shape shifted by (dx, dy)."""
    result: Shape = shape + np.array([dx, dy])
    return result


def turned(shape: Shape, degrees: float) -> Shape:
    """The shape turned clockwise about the origin."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    result: Shape = shape @ np.array([[c, s], [-s, c]])
    return result


def scaled(shape: Shape, factor: float) -> Shape:
    """The shape made smaller or larger about its middle."""
    middle = (shape.min(axis=0) + shape.max(axis=0)) / 2
    result: Shape = middle + (shape - middle) * factor
    return result


def mirrored(shape: Shape) -> Shape:
    """The shape's mirror image, left for right about x = 0."""
    result: Shape = shape * np.array([-1.0, 1.0])
    return result


def both(shape: Shape) -> tuple[Shape, Shape]:
    """The shape and its mirror image."""
    return shape, mirrored(shape)
