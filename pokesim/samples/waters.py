"""Body plans of creatures of the sea and the shore."""

import numpy as np

from pokesim.samples.faces import face, mouth
from pokesim.samples.geometry import (
    both,
    corners,
    curve,
    ellipse,
    limb,
    moved,
    scaled,
    smooth,
    spike,
    turned,
)
from pokesim.samples.growths import crest, twins
from pokesim.samples.markings import gleam, markings
from pokesim.samples.paint import WHITE, Mark, Part, darker, lighter, stretched
from pokesim.samples.roster import Creature


def fish(c: Creature) -> list[Part]:
    """A fish swimming left: a plain one, a tall disc-shaped one or a long hunter."""
    p, g, w = c.palette, c.girth, c.reach
    across, down = ((1.0, 1.0), (0.72, 1.35), (1.3, 0.68))[c.form]
    body = smooth(
        (-0.85, 0.05),
        (-0.55, -0.38 * g),
        (0.0, -0.52 * g),
        (0.45, -0.24),
        (0.62, 0.02),
        (0.45, 0.26),
        (0.0, 0.54 * g),
        (-0.55, 0.44 * g),
    )
    tail = (
        smooth(
            (0.5, 0.02),
            (0.8, -0.3),
            (1.15, -0.52 * w),
            (1.02, 0.02),
            (1.15, 0.52 * w),
            (0.8, 0.3),
        ),
        smooth((0.5, 0.02), (0.85, -0.42 * w), (1.2, -0.2), (1.22, 0.2), (0.85, 0.45 * w)),
        smooth(
            (0.5, 0.02),
            (0.85, -0.2),
            (1.15, -0.85 * w),
            (1.0, -0.05),
            (1.1, 0.7 * w),
            (0.75, 0.25),
        ),
    )[c.form]
    back = (
        corners(
            (-0.45, -0.3),
            (-0.35, -0.75),
            (-0.15, -0.55),
            (0.0, -0.86 * w),
            (0.16, -0.55),
            (0.36, -0.7),
            (0.45, -0.2),
        ),
        smooth((-0.25, -0.35), (0.1, -0.7), (0.75, -1.0 * w), (0.5, -0.5), (0.45, -0.2)),
        smooth((-0.3, -0.35), (-0.15, -0.8 * w), (0.2, -0.62), (0.5, -0.7), (0.5, -0.2)),
    )[c.form]
    under = (
        smooth((-0.1, 0.4), (0.15, 0.8 * w), (0.38, 0.72), (0.3, 0.3)),
        smooth((-0.25, 0.35), (0.1, 0.7), (0.7, 1.0 * w), (0.5, 0.5), (0.45, 0.2)),
        smooth((0.1, 0.35), (0.3, 0.8 * w), (0.5, 0.7), (0.45, 0.2)),
    )[c.form]
    side = smooth((-0.12, 0.1), (0.2, 0.02), (0.4, 0.2), (0.28, 0.34), (0.0, 0.28))
    rays = Mark(
        [limb([(0.7, y / 3), (1.2, y)], 0.025) for y in (-0.35, -0.12, 0.12, 0.35)],
        darker(p.accent, 0.35),
    )
    shine = Mark(
        [limb([(-0.6, -0.27 * g), (-0.25, -0.4 * g), (0.1, -0.42 * g)], 0.03, 0.08, 0.02)],
        WHITE,
        0.012,
        0.6,
    )
    belly = Mark([ellipse(-0.15, 0.5 * g, 0.75, 0.3)], p.light, soft=0.04)
    parts = [
        Part([tail], p.accent, [rays]),
        Part([back], p.accent),
        Part([under], darker(p.accent, 0.15)),
        Part([body], p.main, [belly, *markings(c, moved(body, 0.18, 0)), shine]),
        Part([side], lighter(p.accent, 0.2)),
    ]
    return [
        *stretched(parts, across, down),
        *face(c, -0.46 * across, -0.08 * down, 0.5 * c.head, spread=0.8, lips=False),
        *mouth(c, -0.64 * across, 0.18, 0.24),
    ]


def crab(c: Creature) -> list[Part]:
    """A crab raising its claws: a plain one, one with a mighty claw, or a spiny one."""
    p, g = c.palette, c.girth
    legs = [
        limb([(0.4, 0.3), (0.7, y - 0.12), (0.9 * c.reach, y + 0.16)], 0.15, 0.12, 0.05)
        for y in (0.28, 0.5, 0.7)
    ]
    arm = limb([(0.5, 0.1), (0.82, 0.0), (0.86, -0.25)], 0.17, 0.15)
    claw = smooth(
        (0.78, -0.18),
        (0.6, -0.45),
        (0.66, -0.8),
        (0.92, -0.92),
        (0.86, -0.62),
        (0.98, -0.56),
        (1.12, -0.86),
        (1.2, -0.55),
        (1.02, -0.22),
    )
    tip = ellipse(0.98, -0.85, 0.4, 0.3)

    def grown(factor: float) -> list[Part]:
        shape, end = ((s - [0.86, -0.2]) * factor + [0.86, -0.2] for s in (claw, tip))
        return twins(shape, p.main, [Mark(both(end), p.accent, soft=0.03)])

    left, right = grown((1.0, 1.5, 0.85)[c.form])[1], grown((1.0, 0.7, 0.85)[c.form])[0]
    shell = smooth(
        (-0.74 * g, 0.05),
        (-0.45, -0.32),
        (0, -0.4),
        (0.45, -0.32),
        (0.74 * g, 0.05),
        (0.5, 0.5),
        (0, 0.6),
        (-0.5, 0.5),
    )
    spikes = [
        moved(turned(spike(0.34, 0.22), angle), x * g, y)
        for angle, x, y in (
            (-75, -0.58, -0.06),
            (-40, -0.38, -0.18),
            (0, 0, -0.24),
            (40, 0.38, -0.18),
            (75, 0.58, -0.06),
        )
    ]
    stalks = [limb([(x, -0.25), (x * 1.1, -0.55)], 0.11, 0.09) for x in (-0.22, 0.22)]
    bulbs = [ellipse(side * 0.26, -0.62, 0.17) for side in (-1, 1)]
    belly = Mark([ellipse(0, 0.62, 0.62, 0.26)], p.light, soft=0.02)
    return [
        *[part for s in legs for part in twins(s, darker(p.main, 0.15))],
        *twins(arm, p.main),
        left,
        right,
        *([Part(spikes, p.accent)] if c.form == 2 else []),
        Part([*stalks, *bulbs], p.main),
        Part([shell], p.main, [*markings(c, shell), belly, *gleam(shell)]),
        *face(c, 0, -0.62, 0.56, spread=0.92, lips=False, cheeks=False),
        *mouth(c, 0, 0.08, 0.34),
    ]


def jelly(c: Creature) -> list[Part]:
    """A jellyfish: a dome, a tall bell or a wide saucer over its ribbons."""
    p, g, w = c.palette, c.girth, c.reach
    across, down = ((1.0, 1.0), (0.78, 1.25), (1.3, 0.72))[c.form]
    hem = [(0.74 * g * u, 0.06 + 0.07 * (-1) ** i) for i, u in enumerate(np.linspace(1, -1, 9))]
    rim = [
        (-0.74 * g, 0.05),
        (-0.7 * g, -0.4),
        (-0.3, -0.86),
        (0.3, -0.86),
        (0.7 * g, -0.4),
        (0.74 * g, 0.05),
    ]
    bell = np.concatenate([curve(rim), curve(hem)])
    ribbons = [
        limb(
            [(x, 0.0), (x + 0.1, 0.3), (x - 0.08, 0.6), (x + 0.06, (0.95 if i % 2 else 0.82) * w)],
            0.15,
            0.12,
            0.1,
            0.04,
        )
        for i, x in enumerate((-0.5, -0.25, 0.0, 0.25, 0.5))
    ]
    frills = [
        limb([(x, 0.0), (x - 0.1, 0.25), (x + 0.1, 0.5), (x, 0.7)], 0.2, 0.16, 0.06)
        for x in (-0.14, 0.16)
    ]
    glow = Mark([ellipse(0, 0.05, 0.7 * g, 0.3)], p.light, soft=0.06)
    behind, before = crest(c, 0, -0.32 * down, 0.56 * down)
    bodies = [
        *[Part([s], p.accent if i % 2 else p.main, opacity=0.85) for i, s in enumerate(ribbons)],
        Part(frills, p.light),
        *stretched(behind, 1 / across, 1 / down),
        Part([bell], p.main, [glow, *markings(c, scaled(bell, 0.9)), *gleam(bell)], opacity=0.9),
    ]
    return [*stretched(bodies, across, down), *before, *face(c, 0, -0.3 * down, 0.5 * c.head)]


def octopus(c: Creature) -> list[Part]:
    """An octopus or, its head pointed and finned, a squid with its arms curled."""
    p, w = c.palette, c.reach
    arms = (
        ([(0.2, 0.3), (0.62, 0.3), (0.92 * w, 0.05), (0.82 * w, -0.2), (0.66, -0.1)], True),
        ([(0.2, 0.35), (0.62, 0.58), (1.0 * w, 0.5), (1.08 * w, 0.25), (0.92 * w, 0.2)], False),
        ([(0.15, 0.4), (0.42, 0.72), (0.74 * w, 0.9), (0.95 * w, 0.78), (0.84 * w, 0.66)], True),
        ([(0.08, 0.4), (0.14, 0.75), (0.3, 0.98), (0.5, 0.98), (0.46, 0.84)], False),
    )
    g = c.girth
    dome = (
        smooth(
            (-0.5, 0.2),
            (-0.62 * g, -0.35),
            (-0.3, -0.85),
            (0.3, -0.85),
            (0.62 * g, -0.35),
            (0.5, 0.2),
            (0.26, 0.48),
            (-0.26, 0.48),
        ),
        smooth(
            (-0.42, 0.2),
            (-0.46 * g, -0.4),
            (-0.2, -1.0),
            (0, -1.25),
            (0.2, -1.0),
            (0.46 * g, -0.4),
            (0.42, 0.2),
            (0.24, 0.48),
            (-0.24, 0.48),
        ),
        smooth(
            (-0.62, 0.2),
            (-0.86 * g, -0.2),
            (-0.4, -0.6),
            (0.4, -0.6),
            (0.86 * g, -0.2),
            (0.62, 0.2),
            (0.3, 0.48),
            (-0.3, 0.48),
        ),
    )[c.form]
    fin = smooth((0.1, -1.2), (0.5, -1.12), (0.78, -0.72), (0.6, -0.6), (0.25, -0.6))
    parts = twins(fin, p.accent) if c.form == 1 else []
    for points, far in arms[2:] if c.form == 1 else arms:
        arm = limb(points, 0.28, 0.2, 0.15, 0.1, 0.06)
        cups = [s for x, y in points[1:3] for s in both(ellipse(x, y + 0.07, 0.045))]
        parts += twins(arm, darker(p.main, 0.25) if far else p.main, [Mark(cups, p.light)])
    behind, before = crest(c, 0, -0.4, 0.48) if c.form == 0 else crest(c, 0, -0.16, 0.5)
    return [
        *parts,
        *(behind if c.form != 1 else []),
        Part([dome], p.main, [*markings(c, dome), *gleam(dome)]),
        *(before if c.form != 1 else []),
        *face(c, 0, -0.1, 0.58 * c.head),
    ]


def starfish(c: Creature) -> list[Part]:
    """A star with five thick arms, six slender ones or eight short ones."""
    p = c.palette
    rays, tip, waist = ((5, 0.98, 0.5), (6, 1.05, 0.36), (8, 0.98, 0.58))[c.form]
    middles = 2 * np.pi * np.arange(rays) / rays - np.pi / 2
    knots = [
        (float(radius * np.cos(a + turn)), float(radius * np.sin(a + turn)))
        for a in middles
        for turn, radius in (
            (-0.1, tip * c.reach),
            (0.1, tip * c.reach),
            (np.pi / rays, waist * c.girth),
        )
    ]
    body = curve(knots, closed=True)
    warts = [
        ellipse(r * np.cos(a), r * np.sin(a), 0.09 - 0.05 * r) for r in (0.62, 0.8) for a in middles
    ]
    tips = [ellipse(1.05 * np.cos(a), 1.05 * np.sin(a), 0.3) for a in middles]
    disc = Mark([scaled(body, 0.78)], lighter(p.main, 0.25), soft=0.05)
    marks = [disc, *markings(c, body), Mark(tips, p.accent, soft=0.03), Mark(warts, p.light)]
    return [
        Part([body], p.main, [*marks, *gleam(scaled(body, 0.7))]),
        *face(c, 0, -0.05, 0.56 * c.head),
    ]
