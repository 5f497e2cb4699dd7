"""Eyes, mouths and cheeks."""

from collections.abc import Callable, Sequence

from pokesim.samples.geometry import (
    Point,
    Shape,
    corners,
    curve,
    ellipse,
    limb,
    moved,
    smooth,
    spike,
    turned,
)
from pokesim.samples.paint import INK, WHITE, Color, Mark, Part, blend, darker, lighter
from pokesim.samples.roster import Creature, Palette

FLUSH: Color = (255, 110, 120)

THROAT: Color = (110, 36, 52)

TONGUE: Color = (232, 110, 118)


def stroke(points: Sequence[Point], width: float, color: Color = INK) -> Part:
    """A flat line through the points."""
    return Part([limb(points, width)], color, line=0, shade=0)


def face(
    c: Creature,
    x: float,
    y: float,
    size: float,
    spread: float = 1.0,
    lips: bool = True,
    cheeks: bool = True,
) -> list[Part]:
    """Eyes, cheeks if it blushes, and mouth, about (x, y); each eye is about `size` / 2 high."""
    gap = 0.5 * size * spread
    parts = [
        part
        for side in (-1, 1)
        for part in EYES[c.eyes](c.palette, x + side * gap, y, 0.27 * size, side)
    ]
    if c.blush and cheeks:
        glow = [
            ellipse(x + side * gap * 1.36, y + 0.42 * size, 0.15 * size, 0.1 * size)
            for side in (-1, 1)
        ]
        color = blend(c.palette.accent, FLUSH, 0.6)
        parts.append(Part(glow, color, line=0, shade=0, opacity=0.6))
    if lips:
        parts += mouth(c, x, y + 0.46 * size, 0.4 * size)
    return parts


def mouth(c: Creature, x: float, y: float, w: float) -> list[Part]:
    """The creature's mouth, `w` wide, about (x, y)."""
    return MOUTHS[c.mouth](x, y, w)


def _glints(x: float, y: float, r: float) -> Mark:
    big, small = (
        ellipse(x - 0.3 * r, y - 0.42 * r, 0.27 * r),
        ellipse(
            x + 0.25 * r,
            y + 0.4 * r,
            0.13 * r,
        ),
    )
    return Mark([big, small], WHITE)


def _eyeball(p: Palette, x: float, y: float, r: float, side: int, lid: Sequence[Mark] = ()) -> Part:
    """A white eye with iris and pupil, looking a little inward, under what lid there is."""
    inward = x - side * 0.12 * r
    marks = (
        Mark([ellipse(inward, y + 0.04 * r, 0.66 * r, 0.78 * r)], p.iris),
        Mark([ellipse(inward, y + 0.4 * r, 0.5 * r, 0.32 * r)], lighter(p.iris, 0.4), soft=0.015),
        Mark([ellipse(inward, y + 0.02 * r, 0.38 * r, 0.5 * r)], INK),
        _glints(x, y, r),
    )
    return Part([ellipse(x, y, 0.86 * r, r)], WHITE, [*marks, *lid], shade=0)


def _round(p: Palette, x: float, y: float, r: float, side: int) -> list[Part]:
    return [_eyeball(p, x, y, r, side)]


def _bead(p: Palette, x: float, y: float, r: float, side: int) -> list[Part]:
    return [Part([ellipse(x, y, 0.66 * r, 0.74 * r)], INK, [_glints(x, y, r)], line=0.4, shade=0)]


def _tall(p: Palette, x: float, y: float, r: float, side: int) -> list[Part]:
    glow = Mark([ellipse(x, y + 0.75 * r, 0.6 * r)], p.iris, soft=0.03)
    glints = [
        ellipse(x - 0.12 * r, y - 0.55 * r, 0.32 * r, 0.42 * r),
        ellipse(x + 0.2 * r, y + 0.45 * r, 0.16 * r),
    ]
    marks = [glow, Mark(glints, WHITE)]
    return [Part([ellipse(x, y, 0.66 * r, 1.2 * r)], INK, marks, line=0.5, shade=0)]


def _fierce(p: Palette, x: float, y: float, r: float, side: int) -> list[Part]:
    out, inner = x + side * 1.5 * r, x - side * 1.2 * r
    brow = corners(
        (out, y - 1.6 * r),
        (out, y - 0.85 * r),
        (inner, y - 0.02 * r),
        (inner, y - 1.6 * r),
    )
    edge = [(x + side * r, y - 0.95 * r), (x - side * 0.95 * r, y - 0.1 * r)]
    return [_eyeball(p, x, y, r, side, [_lid(p, brow)]), stroke(edge, 0.2 * r)]


def _sleepy(p: Palette, x: float, y: float, r: float, side: int) -> list[Part]:
    low = y + 0.05 * r
    cover = corners((x - r, y - 1.2 * r), (x + r, y - 1.2 * r), (x + r, low), (x - r, low))
    edge = [(x - 0.95 * r, low), (x + 0.95 * r, low)]
    return [_eyeball(p, x, y, r, side, [_lid(p, cover)]), stroke(edge, 0.18 * r)]


def _lid(p: Palette, shape: Shape) -> Mark:
    return Mark([shape], darker(p.main, 0.22))


def _slit(p: Palette, x: float, y: float, r: float, side: int) -> list[Part]:
    slit = Mark([ellipse(x - side * 0.12 * r, y, 0.17 * r, 0.72 * r)], INK)
    rim = Mark([ellipse(x, y + 0.5 * r, 0.7 * r, 0.5 * r)], lighter(p.iris, 0.45), soft=0.03)
    return [Part([ellipse(x, y, 0.86 * r, r)], p.iris, [rim, slit, _glints(x, y, r)], shade=0)]


def _happy(p: Palette, x: float, y: float, r: float, side: int) -> list[Part]:
    arch = [(x - 0.75 * r, y + 0.3 * r), (x, y - 0.45 * r), (x + 0.75 * r, y + 0.3 * r)]
    return [stroke(arch, 0.3 * r)]


def _wide(p: Palette, x: float, y: float, r: float, side: int) -> list[Part]:
    inward = x - side * 0.1 * r
    dot = Mark([ellipse(inward, y, 0.36 * r)], INK)
    shine = Mark([ellipse(inward - 0.12 * r, y - 0.14 * r, 0.13 * r)], WHITE)
    return [Part([ellipse(x, y, 1.12 * r)], WHITE, [dot, shine], shade=0)]


EYES: dict[str, Callable[[Palette, float, float, float, int], list[Part]]] = {
    "round": _round,
    "bead": _bead,
    "tall": _tall,
    "fierce": _fierce,
    "slit": _slit,
    "sleepy": _sleepy,
    "happy": _happy,
    "wide": _wide,
}


def _thick(w: float) -> float:
    return 0.1 * w + 0.012  # a thinner line would be lost on a small face


def _smile(x: float, y: float, w: float) -> list[Part]:
    return [stroke([(x - 0.5 * w, y), (x, y + 0.3 * w), (x + 0.5 * w, y)], _thick(w))]


def _grin(x: float, y: float, w: float) -> list[Part]:
    bowl = curve(
        [
            (x - 0.5 * w, y),
            (x - 0.38 * w, y + 0.42 * w),
            (x, y + 0.62 * w),
            (x + 0.38 * w, y + 0.42 * w),
            (x + 0.5 * w, y),
        ]
    )
    tongue = Mark([ellipse(x, y + 0.62 * w, 0.34 * w, 0.26 * w)], TONGUE)
    return [Part([bowl], THROAT, [tongue], line=0.7, shade=0)]


def _cat(x: float, y: float, w: float) -> list[Part]:
    return [
        stroke(
            [(x + (u - 0.5) * w, y), (x + (u - 0.25) * w, y + 0.2 * w), (x + u * w, y)],
            _thick(w),
        )
        for u in (0, 0.5)
    ]


def _fangs(x: float, y: float, w: float) -> list[Part]:
    fang = turned(spike(0.3 * w, 0.2 * w), 180)
    fangs = [moved(fang, x + u * w, y + 0.17 * w) for u in (-0.28, 0.28)]
    return [Part(fangs, WHITE, line=0.5, shade=0), *_smile(x, y, w)]


def _oh(x: float, y: float, w: float) -> list[Part]:
    tongue = Mark([ellipse(x, y + 0.32 * w, 0.16 * w, 0.14 * w)], TONGUE)
    return [
        Part([ellipse(x, y + 0.15 * w, 0.2 * w, 0.25 * w)], THROAT, [tongue], line=0.7, shade=0),
    ]


def _smirk(x: float, y: float, w: float) -> list[Part]:
    line = [(x - 0.4 * w, y + 0.14 * w), (x + 0.1 * w, y + 0.2 * w), (x + 0.5 * w, y - 0.08 * w)]
    return [stroke(line, _thick(w))]


def _teeth(x: float, y: float, w: float) -> list[Part]:
    bar = smooth(
        (x - 0.5 * w, y),
        (x, y + 0.06 * w),
        (x + 0.5 * w, y),
        (x + 0.36 * w, y + 0.36 * w),
        (x, y + 0.44 * w),
        (x - 0.36 * w, y + 0.36 * w),
    )
    middle = [(x - 0.5 * w, y + 0.2 * w), (x, y + 0.25 * w), (x + 0.5 * w, y + 0.2 * w)]
    gaps = [
        limb(
            [(x + u * w, y - 0.1 * w), (x + u * w, y + 0.6 * w)],
            0.05 * w,
        )
        for u in (-0.22, 0, 0.22)
    ]
    seams = Mark([limb(middle, 0.05 * w), *gaps], blend(INK, WHITE, 0.35))
    return [Part([bar], WHITE, [seams], line=0.8, shade=0)]


MOUTHS: dict[str, Callable[[float, float, float], list[Part]]] = {
    "smile": _smile,
    "grin": _grin,
    "cat": _cat,
    "fangs": _fangs,
    "oh": _oh,
    "smirk": _smirk,
    "teeth": _teeth,
}
