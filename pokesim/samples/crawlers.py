"""Body plans of creatures that creep, crawl or coil."""

import numpy as np

from pokesim.samples.beasts import head
from pokesim.samples.faces import face, mouth
from pokesim.samples.geometry import Shape, both, egg, ellipse, limb, moved, smooth, spike, turned
from pokesim.samples.growths import crest, twins
from pokesim.samples.markings import gleam, markings
from pokesim.samples.paint import Mark, Part, darker, lighter
from pokesim.samples.roster import Creature


def serpent(c: Creature) -> list[Part]:
    """A snake: on its coils, rearing with a spread hood, or on its winding way."""
    p = c.palette
    underside = Mark([ellipse(-0.3, -0.22, 0.5, 0.13)], p.light, soft=0.02)
    skull = smooth(
        (-0.68, -0.38),
        (-0.55, -0.7),
        (-0.2, -0.86),
        (0.16, -0.7),
        (0.22, -0.45),
        (-0.05, -0.26),
        (-0.4, -0.24),
    )
    tongue = [
        limb([(-0.5, -0.3), (-0.62, -0.18), (-0.72, -0.2)], 0.05, 0.04, 0.02),
        limb([(-0.62, -0.18), (-0.68, -0.08)], 0.04, 0.02),
    ]
    behind, before = crest(c, -0.2, -0.52, 0.4)
    return [
        *(_coils(c), _cobra(c), _winding(c))[c.form],
        *behind,
        Part(tongue, (214, 60, 80), line=0.5),
        Part([skull], p.main, [underside, *gleam(skull)]),
        *before,
        *face(c, -0.26, -0.56, 0.46 * c.head),
    ]


def _coils(c: Creature) -> list[Part]:
    p = c.palette
    tip = Part(
        [limb([(0.5, 0.72), (0.95, 0.68), (1.1, 0.42 * c.reach)], 0.22, 0.14, 0.03)],
        p.accent,
    )
    parts = [tip]
    for y, half in ((0.7, 0.72), (0.46, 0.6), (0.24, 0.46)):
        coil = ellipse(0.08, y, half * c.girth, 0.24)
        belly = Mark([ellipse(0.08, y + 0.22, half * 1.1, 0.14)], p.light, soft=0.02)
        parts.append(Part([coil], p.main, [*markings(c, coil), belly]))
    neck = limb([(0.3, 0.2), (0.2, -0.12), (-0.12, -0.36)], 0.34, 0.3, 0.3)
    throat = Mark([limb([(0.14, 0.3), (0.04, -0.1), (-0.26, -0.3)], 0.16)], p.light, soft=0.02)
    return [*parts, Part([neck], p.main, [throat])]


def _cobra(c: Creature) -> list[Part]:
    p = c.palette
    tail = limb(
        [(0.1, 0.85), (0.5, 0.9), (0.78, 0.7), (0.74, 0.4 * c.reach)],
        0.34,
        0.26,
        0.16,
        0.03,
    )
    trunk = limb([(-0.2, -0.3), (-0.24, 0.3), (-0.1, 0.85), (0.25, 0.92)], 0.36, 0.34, 0.4, 0.34)
    hood = smooth(
        (-0.2, -0.75),
        (0.3, -0.55),
        (0.48 * c.girth, -0.1),
        (0.2, 0.4),
        (-0.2, 0.55),
        (-0.62, 0.4),
        (-0.88 * c.girth, -0.1),
        (-0.7, -0.55),
    )
    plates = [
        limb([(-0.6, y), (-0.22, y + 0.05), (0.2, y)], 0.03) for y in np.arange(-0.1, 0.9, 0.14)
    ]
    throat = limb([(-0.2, -0.3), (-0.24, 0.3), (-0.12, 0.95)], 0.26, 0.24, 0.2)
    return [
        Part([tail], p.main, markings(c, tail)),
        Part([hood], p.accent, markings(c, hood)),
        Part([trunk], p.main, [Mark([throat], p.light), Mark(plates, darker(p.light, 0.3))]),
    ]


def _winding(c: Creature) -> list[Part]:
    p = c.palette
    path = [
        (-0.2, -0.4),
        (-0.3, 0.2),
        (0.05, 0.62),
        (0.5, 0.4),
        (0.62, -0.05),
        (1.0, -0.2),
        (1.3 * c.reach, 0.15),
        (1.42 * c.reach, 0.5),
    ]
    body = limb(path, *(w * c.girth for w in (0.3, 0.36, 0.42, 0.42, 0.36, 0.3, 0.18, 0.04)))
    belly = limb([(x - 0.12, y + 0.1) for x, y in path[:4]], 0.14, 0.2, 0.2, 0.1)
    return [Part([body], p.main, [*markings(c, body), Mark([belly], p.light, soft=0.02)])]


def beetle(c: Creature) -> list[Part]:
    """A beetle from above: a round one, one with nippers, or one about to fly."""
    p, g, w = c.palette, c.girth, c.reach
    legs = [
        limb([(0.4, y), (0.78 * w, y - 0.1), (0.98 * w, y + bend)], 0.13, 0.1, 0.07)
        for y, bend in ((-0.3, -0.32), (0.1, 0.16), (0.45, 0.32))
    ]
    nipper = smooth(
        (0.14, 0.8),
        (0.42, 0.82),
        (0.5, 1.1),
        (0.3, 1.34),
        (0.14, 1.36),
        (0.3, 1.18),
        (0.3, 1.02),
        (0.12, 0.94),
    )
    ball = ellipse(0, 0.55, 0.46 * c.head, 0.37)
    behind, before = crest(c, 0, 0.55, 0.42)
    return [
        *[part for shape in legs for part in twins(shape, darker(p.main, 0.6))],
        *(_open_wings(c) if c.form == 2 else [_wing_case(c)]),
        Part([ellipse(0, 0.42, 0.52 * g, 0.3)], darker(p.accent, 0.35)),
        *(twins(nipper, darker(p.accent, 0.2)) if c.form == 1 else []),
        *behind,
        Part([ball], p.light, gleam(ball)),
        *before,
        *face(c, 0, 0.52, 0.42, spread=1.1),
    ]


def _wing_case(c: Creature) -> Part:
    g, form = c.girth, c.form
    shell = (egg(0, -0.08, 0.68 * g, 0.78, -0.05), egg(0, -0.2, 0.5 * g, 0.98, -0.1))[form]
    seam = Mark([limb([(0, -1.3), (0, 0.8)], 0.035)], darker(c.palette.main, 0.65))
    return Part([shell], c.palette.main, [*markings(c, shell), seam, *gleam(shell)])


def _open_wings(c: Creature) -> list[Part]:
    p, g = c.palette, c.girth
    case = moved(turned(egg(0, -0.62, 0.34 * g, 0.66, -0.1), 26), 0.12, 0.3)
    veil = moved(turned(egg(0, -0.7, 0.26, 0.62, -0.3), 58), 0.16, 0.3)
    rings = [limb([(-0.5, y), (0.5, y)], 0.06) for y in (-0.5, -0.3, -0.1, 0.1)]
    return [
        *twins(veil, lighter(p.light, 0.5)),
        Part([egg(0, 0.0, 0.36 * g, 0.7, -0.1)], p.light, [Mark(rings, p.accent)]),
        *[Part([s], p.main, [*markings(c, s), *gleam(s)]) for s in both(case)],
    ]


def snail(c: Creature) -> list[Part]:
    """A snail gliding left under a coiled, a towering or a spiked shell."""
    p, g = c.palette, c.girth
    foot = smooth(
        (-0.95, 0.15),
        (-0.72, -0.1),
        (-0.45, 0.1),
        (-0.3, 0.42),
        (0.3, 0.5),
        (1.0, 0.78),
        (0.5, 0.86),
        (-0.5, 0.86),
        (-0.85, 0.66),
    )
    up = -0.42 * c.reach
    stalks = [limb([(x, -0.05), (x - 0.04, up)], 0.1, 0.08) for x in (-0.9, -0.64)]
    bulbs = [ellipse(x, up, 0.17) for x in (-0.97, -0.64)]
    return [
        Part([*stalks, *bulbs], p.light),
        *(_spiked(c) if c.form == 1 else _tower(c) if c.form else []),
        Part(
            [foot],
            p.light,
            [Mark([ellipse(0, 0.95, 1.2, 0.24)], darker(p.light, 0.25), soft=0.03)],
        ),
        *(_coiled(c, 0.64 * g) if c.form != 2 else []),
        *face(c, -0.805, up, 0.46 * c.head, spread=0.75 / c.head, lips=False, cheeks=False),
        *mouth(c, -0.78, 0.28, 0.26),
    ]


def _coiled(c: Creature, r: float) -> list[Part]:
    """A round shell of radius `r` with its spiral."""
    shell = ellipse(0.2, 0.02, r, 0.94 * r)
    angle = np.linspace(0.3, 4.6 * np.pi, 60)
    radius = 0.88 * r * (angle / angle[-1]) ** 0.85
    spiral = [
        (0.2 + float(s * np.cos(a)), 0.02 + float(s * np.sin(a)))
        for s, a in zip(radius, angle, strict=True)
    ]
    groove = Mark([limb(spiral, 0.05)], darker(c.palette.main, 0.55))
    return [Part([shell], c.palette.main, [*markings(c, shell), groove, *gleam(shell)])]


def _spiked(c: Creature) -> list[Part]:
    spikes = [
        moved(turned(moved(spike(0.36, 0.26), 0, -0.6 * c.girth), a), 0.2, 0.02)
        for a in range(-48, 120, 28)
    ]
    return [Part(spikes, c.palette.accent)]


def _tower(c: Creature) -> list[Part]:
    """Ever smaller whorls piled up into a leaning cone."""
    p, whorls = c.palette, []
    for i in range(5):
        r = 0.6 * c.girth * (1 - 0.17 * i)
        whorl = ellipse(0.16 + 0.1 * i, 0.4 - 0.34 * i + 0.022 * i * i, r, 0.72 * r, 14)
        whorls.append(
            Part(
                [whorl],
                p.main if i % 2 == 0 else p.accent,
                [*markings(c, whorl), *gleam(whorl)],
            ),
        )
    return whorls[::-1]


def caterpillar(c: Creature) -> list[Part]:
    """A caterpillar in rings: trailing behind its head, arched like an inchworm, or upright."""
    p, g = c.palette, c.girth
    path, at = (
        ([(1.0, 0.3), (0.72, 0.46), (0.36, 0.52), (0.0, 0.42), (-0.26, 0.2)], (-0.46, -0.22)),
        ([(1.06, 0.62), (0.94, 0.2), (0.62, -0.14), (0.2, -0.12), (-0.06, 0.2)], (-0.36, 0.42)),
        ([(0.72, 0.72), (0.42, 0.78), (0.12, 0.66), (0.0, 0.36), (0.02, 0.04)], (-0.02, -0.42)),
    )[c.form]
    parts = []
    for i, (x, y) in enumerate(path):
        r = (0.24 + 0.035 * i) * g
        ring = ellipse(x, y, r, r * 1.08)
        lean = (40 - 12 * i, 75 - 32 * i, 10 + 18 * i)[c.form]
        thorn = moved(turned(moved(spike(0.24 * c.reach, 0.14), 0, -0.95 * r), lean), x, y)
        feet: list[Shape] = [ellipse(x + u * r, y + r, 0.07, 0.1) for u in (-0.35, 0.35)]
        parts += [Part(feet, darker(p.accent, 0.2)), Part([thorn], p.accent)]
        parts.append(Part([ring], p.main if i % 2 else p.light, [*markings(c, ring), *gleam(ring)]))
    return [*parts, *head(c, *at, 0.46 * c.head, muzzle=False)]
