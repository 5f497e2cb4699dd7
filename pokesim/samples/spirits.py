"""Body plans of slimes, spirits and flames."""

import numpy as np

from pokesim.samples.faces import face
from pokesim.samples.geometry import curve, ellipse, limb, moved, smooth
from pokesim.samples.growths import crest, twins
from pokesim.samples.markings import gleam, markings
from pokesim.samples.paint import Mark, Part, blend, darker, lighter
from pokesim.samples.roster import Creature


def blob(c: Creature) -> list[Part]:
    """Slime in its puddle: a drop, a dripping dome or a wobbling cube."""
    p, g, w = c.palette, c.girth, c.reach
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    bulge = (np.cos(angle) ** 6 + np.sin(angle) ** 6) ** (-1 / 6)  # a square with round corners
    body = (
        smooth(
            (-0.72 * g, 0.66),
            (-0.6 * g, 0.1),
            (-0.3, -0.4),
            (-0.06, -0.95 * w),
            (0.14, -0.92 * w),
            (0.3, -0.4),
            (0.6 * g, 0.1),
            (0.74 * g, 0.66),
            (0.3, 0.8),
            (-0.3, 0.8),
        ),
        smooth(
            (-0.85 * g, 0.66),
            (-0.8 * g, 0.1),
            (-0.5, -0.34),
            (0, -0.48),
            (0.5, -0.34),
            (0.8 * g, 0.1),
            (0.86 * g, 0.66),
            (0.3, 0.8),
            (-0.3, 0.8),
        ),
        np.stack([0.66 * g * bulge * np.cos(angle), 0.12 + 0.66 * bulge * np.sin(angle)], axis=1),
    )[c.form]
    puddle = smooth(
        (-1.0 * w, 0.74),
        (-0.5, 0.6),
        (0.5, 0.6),
        (1.0 * w, 0.72),
        (0.6, 0.88),
        (0.1, 0.85),
        (-0.55, 0.9),
    )
    drips = [
        limb([(x * g, 0.4), (x * g, y)], 0.3, 0.2, 0.24)
        for x, y in ((-0.7, 0.98), (-0.3, 0.9), (0.12, 1.06), (0.64, 0.92))
    ]
    lid = ellipse(0, -0.46, 0.56 * g, 0.09)
    bubbles = [
        ellipse(x, y, r)
        for x, y, r in (
            (0.42, 0.5, 0.08),
            (0.5, 0.28, 0.05),
            (-0.46, 0.56, 0.06),
            (0.28, 0.64, 0.04),
        )
    ]
    glow = Mark([ellipse(0.1, 0.75, 0.6 * g, 0.35)], lighter(p.main, 0.5), soft=0.1)
    top = [Mark([lid], lighter(p.main, 0.5), soft=0.02)] if c.form == 2 else []
    behind, before = ([], []) if c.form == 0 else crest(c, 0, (0.05, -0.1)[c.form - 1], 0.54)
    return [
        *([Part([puddle], darker(p.main, 0.1))] if c.form != 1 else []),
        *behind,
        Part(
            [body, *(drips if c.form == 1 else [])],
            p.main,
            [glow, *markings(c, body), *top, Mark(bubbles, p.light, opacity=0.8), *gleam(body)],
        ),
        *before,
        *face(c, 0, 0.14, 0.6 * c.head),
    ]


def ghost(c: Creature) -> list[Part]:
    """A hovering spirit: in a ragged sheet, ending in a wisp, or under a pointed hood."""
    p, g, w = c.palette, c.girth, c.reach
    hem = [
        (x * g, y)
        for x, y in (
            (0.62, 0.6),
            (0.5, 0.86),
            (0.32, 0.66),
            (0.12, 0.92),
            (-0.08, 0.68),
            (-0.3, 0.94),
            (-0.44, 0.7),
            (-0.64, 0.82),
        )
    ]
    sheet = np.concatenate(
        [
            curve(
                [
                    (-0.64 * g, 0.8),
                    (-0.6 * g, 0.1),
                    (-0.48, -0.5),
                    (0, -0.82),
                    (0.48, -0.5),
                    (0.6 * g, 0.1),
                    (0.62 * g, 0.6),
                ]
            ),
            curve(hem)[1:],
        ]
    )
    robe = (
        sheet,
        smooth(
            (0, -0.72),
            (0.52, -0.5),
            (0.62 * g, 0.0),
            (0.4, 0.45),
            (0.16, 0.72),
            (0.34, 0.98),
            (0.62, 0.92),
            (0.3, 1.2),
            (-0.12, 1.08),
            (-0.3, 0.7),
            (-0.56, 0.34),
            (-0.62 * g, -0.1),
            (-0.5, -0.5),
        ),
        np.concatenate(
            [
                curve(
                    [
                        (-0.64 * g, 0.8),
                        (-0.56 * g, 0.1),
                        (-0.44, -0.4),
                        (-0.1, -0.95),
                        (0.3, -1.3 * w),
                        (0.3, -0.8),
                        (0.5, -0.3),
                        (0.58 * g, 0.1),
                        (0.62 * g, 0.6),
                    ]
                ),
                curve(hem)[1:],
            ]
        ),
    )[c.form]
    arm = limb([(0.45 * g, 0.05), (0.78 * w, 0.08), (0.92 * w, -0.16)], 0.26, 0.2, 0.12)
    wisps = [
        smooth((x, y + 0.14), (x + 0.08, y), (x, y - 0.2), (x - 0.09, y))
        for x, y in ((-0.92, -0.5), (0.88, -0.62))
    ]
    mist = Mark([ellipse(0, 0.95, 0.9, 0.38)], p.light, soft=0.16)
    behind, before = crest(c, 0, -0.26, 0.5) if c.form < 2 else ([], [])
    depth = Part([ellipse(0, -0.14, 0.42 * g, 0.36)], darker(p.main, 0.7), shade=0.4)
    return [
        Part(wisps, p.accent),
        *twins(arm, p.main),
        *behind,
        Part([robe], p.main, [*markings(c, sheet), mist, *gleam(sheet)]),
        *([depth] if c.form == 2 else []),
        *before,
        *face(c, 0, -0.2, (0.62 if c.form < 2 else 0.52) * c.head, lips=c.form < 2),
    ]


def flame(c: Creature) -> list[Part]:
    """A living flame with a bright heart: blazing, a single tongue, or wide and low."""
    p, g, w = c.palette, c.girth, c.reach
    outer = (
        smooth(
            (0, 0.9),
            (-0.5 * g, 0.78),
            (-0.72 * g, 0.3),
            (-0.6, -0.1),
            (-0.66, -0.5 * w),
            (-0.36, -0.2),
            (-0.22, -0.6),
            (0.06, -1.0 * w),
            (0.14, -0.52),
            (0.34, -0.3),
            (0.52, -0.62 * w),
            (0.58, -0.12),
            (0.74 * g, 0.3),
            (0.5 * g, 0.78),
        ),
        smooth(
            (0, 0.9),
            (-0.46 * g, 0.76),
            (-0.62 * g, 0.3),
            (-0.4, -0.3),
            (-0.18, -0.7),
            (-0.26, -1.25 * w),
            (0.16, -0.92),
            (0.42, -0.35),
            (0.62 * g, 0.3),
            (0.46 * g, 0.76),
        ),
        smooth(
            (0, 0.9),
            (-0.7, 0.82),
            (-1.0 * g, 0.4),
            (-1.05 * w, -0.35),
            (-0.74, -0.02),
            (-0.6, -0.7 * w),
            (-0.3, -0.2),
            (0.0, -0.9 * w),
            (0.3, -0.2),
            (0.6, -0.7 * w),
            (0.74, -0.02),
            (1.05 * w, -0.35),
            (1.0 * g, 0.4),
            (0.7, 0.82),
        ),
    )[c.form]
    middle, heart = moved(outer * [0.74, 0.72], 0, 0.2), moved(outer * [0.5, 0.42], 0, 0.46)
    arm = smooth((0.55, 0.3), (0.85, 0.2), (0.98, -0.12), (1.02, 0.25), (0.85, 0.5), (0.6, 0.56))
    sparks = [
        smooth((x, y + 0.09), (x + 0.06, y), (x, y - 0.13), (x - 0.06, y))
        for x, y in ((-0.86, -0.3), (0.8, -0.62), (-0.42, -0.82))
    ]
    glow = [
        Mark([middle], blend(p.main, p.light, 0.55), soft=0.03),
        *markings(c, outer)[:1],
        Mark([heart], p.light, soft=0.03),
    ]
    return [
        *([Part(sparks, p.accent)] if c.form < 2 else []),
        *(twins(arm, p.main) if c.form < 2 else []),
        Part([outer], p.main, glow),
        *face(c, 0, 0.3, 0.58 * c.head),
    ]
