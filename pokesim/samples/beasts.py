"""Body plans of creatures on legs."""

import numpy as np

from pokesim.samples.faces import face, mouth
from pokesim.samples.geometry import (
    both,
    corners,
    curve,
    egg,
    ellipse,
    leaf,
    limb,
    moved,
    scaled,
    smooth,
    spike,
    turned,
)
from pokesim.samples.growths import GREEN, crest, feet, tail, twins
from pokesim.samples.markings import back_markings, gleam, markings
from pokesim.samples.paint import WHITE, Color, Mark, Part, darker, lighter, stretched
from pokesim.samples.roster import Creature


def head(c: Creature, x: float, y: float, r: float, muzzle: bool = True) -> list[Part]:
    """A round head of radius `r` about (x, y) with its crest and face."""
    behind, before = crest(c, x, y, r)
    ball = ellipse(x, y, 1.08 * r, 0.95 * r)
    marks = markings(c, ball) if c.pattern in ("patch", "speckles") else ()
    if muzzle:
        marks += (Mark([ellipse(x, y + 0.6 * r, 0.55 * r, 0.38 * r)], c.palette.light, 0.01),)
    skull = Part([ball], c.palette.main, [*marks, *gleam(ball)])
    return [*behind, skull, *before, *face(c, x, y + 0.08 * r, 0.92 * r)]


def biped(c: Creature) -> list[Part]:
    """An upright fellow: a cub with raised hands, a lanky one or a pear-shaped one."""
    p, g, w = c.palette, c.girth, c.reach
    half, tall, y, skull = (
        (0.44, 0.48, 0.42, 0.56),
        (0.31, 0.36, 0.24, 0.48),
        (0.62, 0.56, 0.34, 0.42),
    )[c.form]
    half *= g
    arms = (
        limb([(0.3 * g, 0.2), (0.52 * w, 0.36), (0.62 * w, 0.2)], 0.2, 0.19, 0.2),
        limb([(0.2, 0.05), (0.42 * w, 0.26), (0.5 * w, 0.58)], 0.15, 0.14, 0.2),
        limb([(0.44 * g, 0.02), (0.74 * w, 0.26), (0.56 * w, 0.44)], 0.22, 0.2, 0.2),
    )
    body = egg(0, y, half, tall, 0.16)
    belly = Mark([egg(0, y + 0.13, 0.6 * half, 0.62 * tall, 0.1)], p.light, soft=0.008)
    legs = []
    if c.form == 1:
        legs = [Part(both(limb([(0.14, 0.4), (0.2, 0.86)], 0.2, 0.16)), p.main)]
    return [
        *tail(c, 0.68 * half, y + 0.24, 0.62),
        *legs,
        *feet(c, (-0.5 * half - 0.03, 0.88), (0.5 * half + 0.03, 0.88)),
        Part([body], p.main, [*back_markings(c, body), belly]),
        *twins(arms[c.form], p.main),
        *head(c, 0, y - 0.78 * tall - 0.68 * skull, skull * c.head),
    ]


def quadruped(c: Creature) -> list[Part]:
    """A four-legged beast from the side, its face to us: sturdy, long and low, or long-necked."""
    p, g = c.palette, c.girth
    length, drop = ((1.0, 0.92), (1.4, 0.78), (0.88, 1.12))[c.form]
    drop *= 0.75 + 0.25 * c.reach
    x, y = ((-0.42, -0.26), (-0.74, -0.18), (-0.5, -0.78))[c.form]
    body = smooth(
        (-0.5, 0.05),
        (-0.1, 0.0),
        (0.4, -0.02),
        (0.66, 0.2),
        (0.6, 0.5 * g),
        (0.1, 0.56 * g),
        (-0.45, 0.52 * g),
        (-0.62, 0.28),
    ) * np.array([length, 1])
    sock_color = p.light if c.pattern == "belly" else p.accent

    def leg(at: float, far: bool) -> Part:
        at *= length
        sock = Mark([ellipse(at, drop, 0.3, 0.2)], sock_color)
        shapes = [
            limb([(at, 0.3), (at, drop - 0.12)], 0.27, 0.23),
            ellipse(at - 0.03, drop - 0.06, 0.16, 0.11),
        ]
        return Part(shapes, darker(p.main, 0.3) if far else p.main, [sock])

    neck = limb([(-0.3, 0.25), (-0.42, -0.1), (-0.48, -0.7)], 0.46, 0.34, 0.3)
    return [
        *tail(c, 0.52 * length, 0.2, 0.85),
        leg(-0.2, True),
        leg(0.32, True),
        leg(-0.4, False),
        *([Part([neck], p.main, markings(c, neck))] if c.form == 2 else []),
        Part([body], p.main, markings(c, body)),
        leg(0.5, False),
        *head(c, x, y, (0.52, 0.5, 0.44)[c.form] * c.head),
    ]


def dragon(c: Creature) -> list[Part]:
    """A young dragon sitting, looking left: winged, with a comb of spikes, or long-necked."""
    p, g = c.palette, c.girth
    x, y = ((-0.18, -0.5), (-0.2, -0.42), (-0.3, -0.92))[c.form]
    rump = limb([(0.1, 0.65), (0.6, 0.8), (0.95, 0.55), (0.9, 0.2)], 0.46, 0.32, 0.22, 0.08)
    tip = moved(turned(smooth((-0.16, 0.02), (0, -0.1), (0.16, 0.02), (0, -0.34)), 8), 0.9, 0.2)
    body = smooth(
        (-0.18, -0.3),
        (0.12, -0.25),
        (0.36, 0.2),
        (0.42 * g, 0.72),
        (0.1, 0.9),
        (-0.3, 0.86),
        (-0.36, 0.4),
        (-0.3, 0.0),
    )
    neck = limb([(-0.02, 0.1), (0.0, -0.3), (-0.2, -0.85)], 0.5, 0.36, 0.34)
    belly = smooth(
        (-0.2, -0.2),
        (0.0, -0.1),
        (0.08, 0.4),
        (0.02, 0.86),
        (-0.28, 0.84),
        (-0.34, 0.4),
        (-0.28, 0.0),
    )
    plates = [
        limb([(-0.5, v), (-0.12, v + 0.05), (0.2, v - 0.02)], 0.03) for v in np.arange(0, 0.9, 0.16)
    ]
    skull, snout = ellipse(x, y, 0.42 * c.head, 0.37), ellipse(x - 0.2, y + 0.16, 0.32, 0.22, -8)
    nostrils = [ellipse(x - 0.4, y + 0.08, 0.028), ellipse(x - 0.26, y + 0.05, 0.028)]
    behind, before = crest(c, x, y, 0.4)
    return [
        *([_wing(c, darker(p.accent, 0.4), -0.12, -0.06)] if c.form == 0 else []),
        Part([tip], p.accent),
        *([_comb(c)] if c.form == 1 else []),
        Part([rump], p.main),
        *([Part([neck], p.main, markings(c, neck))] if c.form == 2 else []),
        Part(
            [body],
            p.main,
            [
                *back_markings(c, body),
                Mark([belly], p.light),
                Mark(plates, darker(p.light, 0.35)),
            ],
        ),
        *([_wing(c, p.accent, 0, 0)] if c.form == 0 else []),
        *([_wing(c, p.accent, 0.06, 0.2, size=0.7)] if c.form == 2 else []),
        Part([ellipse(0.2, 0.62, 0.27 * g, 0.3, -20)], p.main),
        Part([ellipse(0.02, 0.86, 0.24, 0.12)], p.main),
        Part([limb([(-0.12, 0.15), (-0.34, 0.34), (-0.5, 0.26)], 0.17, 0.14, 0.12)], p.main),
        *behind,
        Part(
            [skull, snout],
            p.main,
            [
                Mark([moved(snout, -0.02, 0.1)], p.light, soft=0.02),
                Mark(nostrils, darker(p.main, 0.7)),
                *gleam(skull),
            ],
        ),
        *before,
        *face(c, x - 0.02, y - 0.06, 0.46 * c.head, spread=0.95, lips=False),
        *mouth(c, x - 0.2, y + 0.22, 0.24),
    ]


def _wing(c: Creature, color: Color, x: float, y: float, size: float = 1.0) -> Part:
    """A dragon's right wing."""
    w = c.reach
    sail = np.concatenate(
        [
            curve([(0.1, -0.05), (0.35, -0.6), (0.7 * w, -0.95)]),
            curve(
                [
                    (1.15 * w, -0.55),
                    (0.95 * w, -0.42),
                    (0.98 * w, -0.12),
                    (0.75, -0.12),
                    (0.66, 0.14),
                    (0.46, 0.08),
                    (0.2, 0.25),
                ]
            ),
        ]
    )
    ribs = [limb([(0.7 * w, -0.93), end], 0.05, 0.025) for end in ((0.98 * w, -0.14), (0.66, 0.12))]
    sail, *ribs = (moved(shape * size, x, y) for shape in (sail, *ribs))
    return Part([sail], color, [Mark(ribs, darker(color, 0.45))])


def _comb(c: Creature) -> Part:
    """The spikes along a dragon's back."""
    spikes = [
        moved(turned(spike(0.32 * c.reach, 0.26, 0.06), angle), x, y)
        for angle, x, y in (
            (25, 0.08, -0.3),
            (48, 0.25, -0.06),
            (58, 0.35, 0.2),
            (40, 0.5, 0.6),
            (12, 0.72, 0.68),
        )
    ]
    return Part(spikes, c.palette.accent)


def turtle(c: Creature) -> list[Part]:
    """A tortoise looking left, its shell a plain dome, a spiked one or a garden."""
    p, tall = c.palette, (1.0, 0.85, 1.25)[c.form]
    dome = np.concatenate(
        [
            curve(
                [
                    (-0.62, 0.36),
                    (-0.55, -0.12 * tall),
                    (-0.1, -0.5 * tall),
                    (0.4, -0.42 * tall),
                    (0.78, 0.0),
                    (0.84, 0.36),
                ]
            ),
            [(0.1, 0.44)],
        ]
    )
    spots = ((-0.26, -0.06), (0.16, -0.14), (0.56, -0.02), (-0.04, 0.24), (0.38, 0.22))
    plates = [
        corners(
            (x - 0.17, y),
            (x - 0.08, y - 0.2),
            (x + 0.12, y - 0.2),
            (x + 0.2, y),
            (x + 0.11, y + 0.19),
            (x - 0.1, y + 0.19),
        )
        for x, y in spots
    ]
    near = [limb([(x, 0.4), (x - 0.04, 0.78)], 0.3, 0.28) for x in (-0.42, 0.5)]
    far = [limb([(x, 0.4), (x, 0.72)], 0.26, 0.24) for x in (-0.12, 0.26)]
    claws = Mark(
        [ellipse(x + u, 0.86, 0.05, 0.09) for x in (-0.46, 0.46) for u in (-0.1, 0, 0.1)],
        p.light,
    )
    spikes = [
        moved(turned(spike(0.4 * c.reach, 0.3), angle), x, y)
        for angle, x, y in (
            (-42, -0.42, -0.14),
            (-12, -0.06, -0.36),
            (16, 0.34, -0.3),
            (46, 0.68, -0.06),
        )
    ]
    bush = [moved(turned(leaf(0.62 * c.reach, 0.3), a), 0.15, -0.52) for a in (-62, 60, -22, 24)]
    on_top = ([], [Part(spikes, p.light)], [Part([s], GREEN) for s in bush])[c.form]
    shell = [*markings(c, dome)] if c.pattern in ("stripes", "bands", "dip", "speckles") else []
    return [
        Part([limb([(0.7, 0.42), (1.0, 0.48)], 0.18, 0.03)], p.main),
        Part(far, darker(p.main, 0.3)),
        Part(near, p.main, [claws]),
        *on_top,
        Part(
            [dome],
            p.accent,
            [
                *shell,
                Mark(plates, lighter(p.accent, 0.3)),
                Mark([scaled(s, 0.6) for s in plates], p.main, opacity=0.6),
                *gleam(dome),
            ],
        ),
        Part([limb([(-0.66, 0.36), (0.1, 0.45), (0.88, 0.36)], 0.16)], p.light),
        *head(c, -0.74, 0.08, 0.42 * c.head, muzzle=False),
    ]


def frog(c: Creature) -> list[Part]:
    """A wide-mouthed frog squatting, eyes on top: broad, upright or with puffed cheeks."""
    p, g, wide = c.palette, c.girth, 0.72 * c.head
    across, down = ((1.0, 1.0), (0.8, 1.2), (1.12, 0.94))[c.form]
    skull, bumps = ellipse(0, -0.12, wide, 0.42), both(ellipse(0.38 * c.head, -0.46, 0.25))
    arms = limb([(0.3, 0.35), (0.34, 0.76)], 0.18, 0.15)
    toes = [s for u in (-0.13, 0, 0.13) for s in both(ellipse(0.34 + u, 0.82, 0.09, 0.07))]
    webs = [s for u in (-0.1, 0.1) for s in both(ellipse(0.72 * g + u, 0.78, 0.15, 0.08))]
    lips = limb(
        [(-0.7 * wide, -0.02), (-0.25, 0.09), (0, 0.07), (0.25, 0.09), (0.7 * wide, -0.02)],
        0.045,
    )
    chin = Mark([ellipse(0, 0.28, 0.7, 0.25)], p.light, soft=0.01)
    cheeks = ellipse(0.62 * wide, 0.16, 0.3, 0.26)
    body = [
        *twins(
            ellipse(0.62 * g, 0.42, 0.32, 0.38, 24),
            p.main,
            [Mark(both(ellipse(0.74 * g, 0.3, 0.1)), p.accent)],
        ),
        Part(webs, p.main),
        Part(
            [egg(0, 0.3, 0.66 * g, 0.5, 0.14)],
            p.main,
            [Mark([egg(0, 0.42, 0.46 * g, 0.42, 0.1)], p.light, soft=0.01)],
        ),
        Part([*both(arms), *toes], p.main),
        *(twins(cheeks, p.light, gleam(cheeks)) if c.form == 2 else []),
        Part(
            [skull, *bumps],
            p.main,
            [
                *back_markings(c, skull),
                chin,
                Mark([lips], darker(p.main, 0.7)),
                *gleam(skull),
            ],
        ),
    ]
    behind, before = crest(c, 0, -0.24 * down, 0.34)
    return [
        *(behind if c.form == 1 else []),
        *stretched(body, across, down),
        *(before if c.form == 1 else []),
        *face(c, 0, -0.46 * down, 0.66, spread=1.15 * c.head * across, lips=False),
    ]


def hedgehog(c: Creature) -> list[Part]:
    """A ball of prickles, needles or leaves with a pointed face looking left."""
    p, g = c.palette, c.girth
    length, width = ((0.36, 0.2), (0.62 * c.reach, 0.13), (0.44, 0.36))[c.form]
    coat = ellipse(0.2, 0.18, 0.72 * g, 0.64 * g)
    rings = []
    for radius, step in ((0.66, 17), (0.46, 22), (0.24, 27)):
        angles = np.arange(-78, 118, step) + radius * 30
        quill = leaf(length, width) if c.form == 2 else spike(length, width)
        rings.append([moved(turned(moved(quill, 0, -radius * g), a), 0.2, 0.18) for a in angles])
    front = smooth(
        (-0.98, 0.34),
        (-0.68, 0.1),
        (-0.4, -0.3),
        (-0.05, -0.36),
        (0.1, 0.1),
        (0.12, 0.6),
        (-0.4, 0.72),
        (-0.75, 0.55),
    )
    shades = (darker(p.main, 0.35), p.main, lighter(p.main, 0.25))
    behind, before = crest(c, -0.24, 0.08, 0.4)
    return [
        *feet(c, (0.5, 0.78), (-0.25, 0.8), size=0.17),
        Part([coat], shades[0]),
        *[Part(ring, shade, markings(c, coat)) for ring, shade in zip(rings, shades, strict=True)],
        *behind,
        Part([front], p.light),
        *before,
        Part(
            [ellipse(-0.98, 0.32, 0.1, 0.09)],
            darker(p.accent, 0.4),
            [Mark([ellipse(-1.0, 0.29, 0.03)], WHITE)],
        ),
        *face(c, -0.42, 0.16, 0.46 * c.head, spread=0.95, lips=False),
        *mouth(c, -0.56, 0.44, 0.24),
    ]
