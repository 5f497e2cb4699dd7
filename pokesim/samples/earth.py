"""Body plans of plants and stones."""

from dataclasses import replace

import numpy as np

from pokesim.samples.faces import face
from pokesim.samples.geometry import (
    Shape,
    both,
    corners,
    ellipse,
    leaf,
    limb,
    moved,
    smooth,
    turned,
)
from pokesim.samples.growths import GREEN, crest, feet, twins
from pokesim.samples.markings import gleam, markings
from pokesim.samples.paint import WHITE, Mark, Part, darker, lighter
from pokesim.samples.roster import Creature


def sprout(c: Creature) -> list[Part]:
    """A plant: a flower bulb, a leafy turnip or a cactus."""
    p, g = c.palette, c.girth
    if c.form == 2:
        return _cactus(c)
    bulb = (
        smooth(
            (0, -0.42),
            (0.34, -0.2),
            (0.6 * g, 0.25),
            (0.44, 0.7),
            (0, 0.8),
            (-0.44, 0.7),
            (-0.6 * g, 0.25),
            (-0.34, -0.2),
        ),
        smooth(
            (0, -0.34),
            (0.5, -0.26),
            (0.7 * g, 0.1),
            (0.4, 0.5),
            (0.08, 0.95),
            (-0.08, 0.95),
            (-0.4, 0.5),
            (-0.7 * g, 0.1),
            (-0.5, -0.26),
        ),
    )[c.form]
    arm, vein = (
        moved(turned(s, 66), 0.46 * g, 0.28)
        for s in (leaf(0.62 * c.reach, 0.3), limb([(0, -0.05), (0, -0.48)], 0.03))
    )
    stem = Part([limb([(0, -0.3), (0.03, -0.62)], 0.13)], darker(GREEN, 0.2))
    feet = [limb([(x, 0.68), (x * 1.5, 0.92)], 0.2, 0.13) for x in (-0.26, 0.26)]
    return [
        *([Part(feet, darker(p.main, 0.25)), stem] if c.form == 0 else _greens(c)),
        *twins(arm, GREEN, [Mark(both(vein), lighter(GREEN, 0.5))]),
        Part([bulb], p.main, [*markings(c, bulb), *gleam(bulb)]),
        *(_flower(c) if c.form == 0 else []),
        *face(c, 0, (0.2, 0.08)[c.form], 0.54 * c.head),
    ]


def _cactus(c: Creature) -> list[Part]:
    p, g, w = c.palette, c.girth, c.reach
    trunk = smooth(
        (0, -0.9),
        (0.34, -0.7),
        (0.42 * g, 0.0),
        (0.4 * g, 0.6),
        (0, 0.82),
        (-0.4 * g, 0.6),
        (-0.42 * g, 0.0),
        (-0.34, -0.7),
    )
    arm = limb([(0.34, 0.3), (0.72 * w, 0.28), (0.76 * w, -0.18)], 0.26, 0.26, 0.24)
    needles = [
        needle
        for x, y in (
            (0.4 * g, -0.4),
            (0.42 * g, 0.0),
            (0.82 * w, 0.05),
            (0.4 * g, 0.55),
            (0.3, -0.74),
        )
        for needle in both(limb([(x, y), (x + 0.09, y - 0.04)], 0.03))
    ]
    feet = [limb([(x, 0.68), (x, 0.92)], 0.22, 0.2) for x in (-0.2, 0.2)]
    blossom = [moved(turned(leaf(0.34, 0.26), a), 0, -0.84) for a in (-70, 70, -35, 35, 0)]
    return [
        Part(feet, darker(p.main, 0.25)),
        Part(needles, p.light),
        *twins(arm, p.main),
        Part([trunk], p.main, [*markings(c, trunk), *gleam(trunk)]),
        *[Part([petal], p.accent) for petal in blossom],
        *face(c, 0, 0.0, 0.52 * c.head, spread=0.85),
    ]


def _greens(c: Creature) -> list[Part]:
    blades = [moved(turned(leaf(0.95 * c.reach, 0.36), a), 0, -0.25) for a in (-52, 50, -24, 26, 0)]
    veins = [
        moved(turned(limb([(0, -0.05), (0, -0.7)], 0.03), a), 0, -0.25)
        for a in (-52, 50, -24, 26, 0)
    ]
    return [
        Part([s], GREEN, [Mark([vein], lighter(GREEN, 0.5))])
        for s, vein in zip(blades, veins, strict=True)
    ]


def _flower(c: Creature) -> list[Part]:
    count = 5 + c.seed % 4
    petals = [
        moved(turned(moved(leaf(0.42, 0.36), 0, -0.04), 360 * i / count), 0.03, -0.78)
        for i in range(count)
    ]
    seeds = [
        ellipse(0.03 + 0.07 * np.cos(a), -0.78 + 0.07 * np.sin(a), 0.018)
        for a in np.arange(0, 6.2, 1.05)
    ]
    heart = Part(
        [ellipse(0.03, -0.78, 0.15)],
        c.palette.light,
        [Mark(seeds, darker(c.palette.accent, 0.4))],
    )
    return [*[Part([s], c.palette.accent) for s in petals], heart]


def mushroom(c: Creature) -> list[Part]:
    """A toadstool with a face on its stalk; its cap is a dome, a tall hat or a wide brim."""
    p, g, w = c.palette, c.girth, c.reach
    stalk = smooth(
        (-0.28, -0.2),
        (0.28, -0.2),
        (0.36 * g, 0.4),
        (0.44 * g, 0.78),
        (0, 0.88),
        (-0.44 * g, 0.78),
        (-0.36 * g, 0.4),
    )
    cap = (
        smooth(
            (-0.92, 0.0),
            (-0.8, -0.42),
            (-0.35, -0.85 * w),
            (0, -0.95 * w),
            (0.4, -0.82 * w),
            (0.8, -0.42),
            (0.92, 0.0),
            (0.5, 0.12),
            (0, 0.08),
            (-0.5, 0.12),
        ),
        smooth(
            (-0.7, 0.02),
            (-0.55, -0.4),
            (-0.3, -0.95),
            (0.02, -1.4 * w),
            (0.3, -1.42 * w),
            (0.24, -1.1),
            (0.4, -0.6),
            (0.6, -0.3),
            (0.7, 0.02),
            (0.4, 0.12),
            (0, 0.08),
            (-0.4, 0.12),
        ),
        smooth(
            (-1.2 * w, -0.12),
            (-0.8, -0.36),
            (-0.3, -0.5),
            (0.3, -0.5),
            (0.8, -0.36),
            (1.2 * w, -0.12),
            (0.9, 0.12),
            (0, 0.1),
            (-0.9, 0.12),
        ),
    )[c.form]
    brim = (0.84, 0.62, 1.0)[c.form]
    gills = [
        limb([(x * 0.5 * brim, -0.05), (x * brim, 0.1)], 0.025)
        for x in np.linspace(-0.95, 0.95, 11)
    ]
    under = smooth(
        (-brim, 0.02),
        (0, -0.12),
        (brim, 0.02),
        (0.6 * brim, 0.14),
        (0, 0.16),
        (-0.6 * brim, 0.14),
    )
    dots = [
        ellipse(x, y, rx, 0.85 * rx)
        for x, y, rx in (
            (-0.5, -0.28, 0.14),
            (0.02, -0.62, 0.17),
            (0.5, -0.28, 0.13),
            (-0.08, -0.24, 0.1),
            (0.82, -0.1, 0.1),
            (-0.86, -0.05, 0.1),
            (0.1, -1.0, 0.11),
        )
    ]
    marks = [Mark(dots, p.light)] if c.pattern in ("belly", "dip") else markings(c, cap)
    return [
        *feet(c, (-0.22, 0.88), (0.22, 0.88), size=0.18),
        *twins(limb([(0.3, 0.36), (0.56, 0.5), (0.62, 0.34)], 0.16, 0.15, 0.14), p.light),
        Part(
            [stalk],
            p.light,
            [Mark([ellipse(0, 0.98, 0.6, 0.26)], darker(p.light, 0.2), soft=0.06)],
        ),
        Part([cap], p.main, [*marks, *gleam(cap)]),
        Part([under], darker(p.light, 0.18), [Mark(gills, darker(p.light, 0.45))], shade=0.4),
        *face(c, 0, 0.36, 0.48 * c.head, spread=0.95),
    ]


def crystal(c: Creature) -> list[Part]:
    """Cut stones: a cluster, one great floating gem, or a fan of three."""
    p, g, w = c.palette, c.girth, c.reach
    tinted = replace(c, palette=replace(p, main=p.accent))
    rubble = smooth(
        (-0.95, 0.84),
        (-0.6, 0.66),
        (0, 0.7),
        (0.62, 0.64),
        (0.95, 0.84),
        (0.4, 0.96),
        (-0.5, 0.96),
    )
    match c.form:
        case 0:
            y = 0.16
            stones = [
                _gem(tinted, -0.78, -0.42, 0.07, 0.14, 0.14, -14),
                _gem(tinted, 0.76, -0.5, 0.07, 0.14, 0.14, 18),
                _gem(tinted, 0.6, -0.82, 0.07, 0.14, 0.14, 8),
                _gem(c, 0.46, 0.45, 0.2, 0.62 * w, 0.4, 28),
                _gem(c, -0.46, 0.5, 0.22, 0.72 * w, 0.35, -24),
                _gem(c, 0.72, 0.66, 0.14, 0.36, 0.2, 48),
                _gem(c, -0.76, 0.68, 0.15, 0.4, 0.2, -46),
                _gem(c, 0, 0.22, 0.46 * g, 1.05, 0.66, 3),
            ]
        case 1:
            y = 0.0
            stones = [
                _gem(tinted, -0.78, -0.3, 0.12, 0.2, 0.2, -14),
                _gem(tinted, 0.8, -0.4, 0.12, 0.2, 0.2, 18),
                _gem(tinted, 0.7, 0.6, 0.12, 0.2, 0.2, 8),
                _gem(tinted, -0.7, 0.62, 0.12, 0.2, 0.2, 20),
                _gem(c, 0, 0, 0.66 * g, 1.0, 1.0, 0, foot=0.02),
            ]
        case _:
            y = 0.28
            stones = [
                _gem(c, 0.5, 0.36, 0.3, w, 0.5, 36),
                _gem(c, -0.5, 0.36, 0.3, w, 0.5, -36),
                _gem(c, 0, 0.3, 0.58 * g, 0.72, 0.6, 0),
            ]
    return [
        *stones,
        *([Part([rubble], darker(p.accent, 0.25))] if c.form != 1 else []),
        *face(c, 0.02, y, 0.56 * c.head, spread=0.95),
    ]


def _gem(
    c: Creature,
    x: float,
    y: float,
    half: float,
    up: float,
    down: float,
    lean: float,
    foot: float = 0.3,
) -> Part:
    """A stone `half` wide to each side, reaching `up` above and `down` below (x, y)."""
    p, waist = c.palette, -up * 0.45
    outline = [
        (0, -up),
        (half, waist),
        (half * 0.85, down * 0.5),
        (half * foot, down),
        (-half * foot, down),
        (-half * 0.85, down * 0.5),
        (-half, waist),
    ]
    shapes = [
        corners(*outline),
        corners(
            (0, -up),
            (-half, waist),
            (-half * 0.85, down * 0.5),
            (-half * foot, down),
            (-half * 0.25, waist * 0.6),
        ),
        corners(
            (half * 0.3, waist * 0.6),
            (half, waist),
            (half * 0.85, down * 0.5),
            (half * foot, down),
        ),
        corners((0, -up), (half * 0.3, waist * 0.6), (-half * 0.25, waist * 0.6)),
        limb([(-half * 0.62, waist * 0.7), (-half * 0.55, down * 0.3)], half * 0.09),
    ]
    stone, left, right, table, glint = (moved(turned(s, lean), x, y) for s in shapes)
    facets = [
        Mark([left], lighter(p.main, 0.35)),
        Mark([right], darker(p.main, 0.3)),
        Mark([table], p.light),
    ]
    pattern = markings(c, stone)[:1] if half > 0.4 else ()  # small stones stay plain
    shine = Mark([glint], WHITE, opacity=0.85)
    return Part([stone], p.main, [*facets, *pattern, shine], shade=0.5)


def golem(c: Creature) -> list[Part]:
    """Boulders: a man of stone, a hulk with great fists, or a leaning pile."""
    p, g, w = c.palette, c.girth, c.reach
    rng = np.random.default_rng(c.seed)

    def rock(x: float, y: float, rx: float, ry: float, marked: bool = False) -> Part:
        angle = np.linspace(0, 2 * np.pi, 9, endpoint=False) + rng.uniform(-0.18, 0.18, 9)
        radius = rng.uniform(0.92, 1.08, 9)
        shape: Shape = np.stack(
            [x + rx * radius * np.cos(angle), y + ry * radius * np.sin(angle)],
            axis=1,
        )
        facet = np.concatenate([shape[4:8], [(x + 0.1 * rx, y - 0.35 * ry)]])
        seam = ((0.3, 0.9), (0.42, 0.45), (0.7, 0.3))
        crack = limb([(x + u * rx, y + v * ry) for u, v in seam], 0.03)
        pattern = markings(c, shape) if marked else ()
        return Part(
            [shape],
            p.main,
            [Mark([facet], lighter(p.main, 0.22)), *pattern, Mark([crack], darker(p.main, 0.6))],
            shade=0.8,
        )

    head = (0.0, -0.42)
    if c.form == 0:
        body = [
            rock(-0.3, 0.8, 0.24, 0.18),
            rock(0.3, 0.8, 0.24, 0.18),
            rock(0, 0.3, 0.56 * g, 0.5, marked=True),
            *[
                rock(side * x * g, y, r, r)
                for side in (-1, 1)
                for x, y, r in ((0.62, 0.0, 0.2), (0.8, 0.38, 0.26))
            ],
        ]
    elif c.form == 1:
        body = [
            rock(-0.28, 0.86, 0.2, 0.14),
            rock(0.28, 0.86, 0.2, 0.14),
            rock(0, 0.58, 0.36, 0.3),
            rock(0, 0.08, 0.78 * g, 0.44, marked=True),
            *[
                rock(side * x, y, r, r)
                for side in (-1, 1)
                for x, y, r in ((0.84, 0.1, 0.26), (0.98, 0.6 * w, 0.38))
            ],
        ]
    else:
        head = (0.08, -0.62)
        body = [
            rock(0, 0.72, 0.78 * g, 0.3),
            rock(0.12, 0.34, 0.6 * g, 0.28),
            rock(-0.08, -0.06, 0.52, 0.28, marked=True),
            rock(-0.72, 0.1, 0.2, 0.18),
            rock(0.74, 0.0, 0.2, 0.18),
        ]
    behind, before = crest(c, *head, 0.44)
    return [*body, *behind, rock(*head, 0.46 * c.head, 0.4), *before, *face(c, *head, 0.44)]
