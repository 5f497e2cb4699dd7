"""Body plans of creatures with wings."""

import numpy as np

from pokesim.samples.faces import face, stroke
from pokesim.samples.geometry import (
    both,
    curve,
    egg,
    ellipse,
    leaf,
    limb,
    mirrored,
    moved,
    scaled,
    smooth,
    turned,
)
from pokesim.samples.growths import crest, twins
from pokesim.samples.markings import back_markings, gleam, markings
from pokesim.samples.paint import WHITE, Mark, Part, blend, darker, lighter
from pokesim.samples.roster import Creature

HORN = (250, 180, 50)  # beaks and feet tend to this


def bird(c: Creature) -> list[Part]:
    """A bird from the side, looking left: a songbird, a round chick or a wader."""
    p, g = c.palette, c.girth
    x, y = ((-0.28, -0.34), (-0.26, -0.2), (-0.55, -0.95))[c.form]
    body = (
        smooth(
            (-0.62, -0.42),
            (-0.3, -0.72),
            (0.05, -0.52),
            (0.3, -0.1),
            (0.72, 0.22),
            (0.45, 0.52 * g),
            (-0.05, 0.66 * g),
            (-0.5, 0.42),
            (-0.66, 0.0),
        ),
        egg(-0.05, 0, 0.66 * g, 0.64, 0.1),
        smooth(
            (-0.52, -0.1),
            (-0.1, -0.3),
            (0.4, -0.12),
            (0.78, 0.2),
            (0.4, 0.42 * g),
            (-0.1, 0.48 * g),
            (-0.48, 0.24),
        ),
    )[c.form]
    breast = Mark([ellipse(-0.45, 0.3, 0.42, 0.55, 20)], p.light, soft=0.03)
    marks = back_markings(c, body)
    wing = smooth(
        (-0.18, -0.02),
        (0.12, -0.08),
        (0.5, 0.1),
        (0.88, 0.2),
        (0.62, 0.34),
        (0.5, 0.42),
        (0.3, 0.45),
        (0, 0.38),
    )
    quills = [
        limb([(0.1 + 0.14 * i, 0.3), (0.34 + 0.14 * i, 0.36 - 0.03 * i)], 0.03) for i in range(3)
    ]
    wing_marks = [
        Mark(quills, lighter(p.main)),
        Mark([ellipse(0.75, 0.25, 0.25, 0.2)], p.accent, soft=0.02),
    ]
    train = (0.75, 0.42, 0.5)[c.form] * c.reach
    plumes = [moved(turned(leaf(train, 0.24), a), 0.5, 0.28) for a in (112, 92, 74)]
    long = 1.6 if c.form == 2 else 1.0
    beak = moved(
        smooth(
            (-0.24, -0.02),
            (-0.5 * long, 0.07),
            (-0.67 * long, 0.18),
            (-0.48 * long, 0.22),
            (-0.24, 0.2),
        ),
        x,
        y,
    )
    gap = moved(limb([(-0.67 * long, 0.17), (-0.45, 0.14), (-0.28, 0.14)], 0.025), x, y)
    beak_color, leg_color = blend(p.accent, HORN, 0.6), darker(blend(p.accent, HORN, 0.3), 0.2)
    ground = (0.88, 0.84, 1.2)[c.form]
    legs = [stroke([(v, 0.4), (v, ground - 0.03)], 0.06, leg_color) for v in (-0.12, 0.16)]
    toes = [
        stroke(
            [(v - 0.14, ground + 0.03), (v, ground - 0.04), (v + 0.13, ground + 0.03)],
            0.065,
            leg_color,
        )
        for v in (-0.12, 0.16)
    ]
    neck = limb([(-0.3, 0.1), (-0.5, -0.3), (-0.42, -0.6), (-0.52, -0.9)], 0.36, 0.2, 0.18, 0.2)
    skull = ellipse(x, y, 0.3, 0.28)
    tall = [Part([neck], p.main, markings(c, neck)), Part([skull], p.main, gleam(skull))]
    behind, before = crest(c, x, y, 0.27 if c.form == 2 else 0.38)
    if c.form == 1:  # a chick is all head
        behind, before = crest(c, -0.05, -0.05, 0.62)
    return [
        *[
            Part([plume], p.accent if i == 1 else darker(p.main, 0.15))
            for i, plume in enumerate(plumes)
        ],
        *legs,
        *toes,
        *behind,
        *(tall if c.form == 2 else []),
        Part([body], p.main, [breast, *marks, *gleam(ellipse(-0.28, -0.3, 0.4))]),
        Part([wing], darker(p.main, 0.18), wing_marks),
        *before,
        Part([beak], beak_color, [Mark([gap], darker(p.accent, 0.6))]),
        *face(c, x, y, (0.46, 0.56, 0.36)[c.form], spread=0.75, lips=False),
    ]


def owl(c: Creature) -> list[Part]:
    """A stout bird facing us: an owl, a penguin or a parrot with its wings up."""
    p, g, w = c.palette, c.girth, c.reach
    half, tall = ((0.62, 0.82), (0.52, 0.88), (0.56, 0.68))[c.form]
    body = egg(0, 0.92 - tall, half * g, tall, 0.04)
    belly = egg(0, 0.42, 0.7 * half * g, 0.48, 0.05)
    wing = (
        smooth(
            (0.48 * g, -0.2),
            (0.7 * g, 0.05),
            (0.86 * g * w, 0.55),
            (0.62 * g, 0.62),
            (0.46 * g, 0.3),
        ),
        smooth((0.36 * g, -0.16), (0.6, -0.05), (0.98 * w, 0.42), (0.86 * w, 0.52), (0.4 * g, 0.3)),
        smooth(
            (0.36 * g, 0.3),
            (0.62, -0.2),
            (1.05 * w, -0.62),
            (1.1 * w, -0.2),
            (0.98 * w, 0.1),
            (0.82, 0.32),
        ),
    )[c.form]
    mask = (
        [ellipse(side * 0.25, -0.26, 0.32, 0.34, side * 12) for side in (-1, 1)],
        [ellipse(side * 0.2, -0.28, 0.26, 0.3) for side in (-1, 1)],
        [],
    )[c.form]
    size = (1.0, 1.0, 1.6)[c.form]
    beak = (
        smooth(
            (-0.11, -0.03),
            (0, -0.07),
            (0.11, -0.03),
            (0.06, 0.13),
            (0, 0.23),
            (-0.06, 0.13),
        )
        * size
    )
    toes = [ellipse(side * 0.24 + u, 0.93, 0.08, 0.1) for side in (-1, 1) for u in (-0.13, 0, 0.13)]
    train = [moved(turned(leaf(0.8, 0.3), a), 0, 0.5) for a in (150, 210, 180)]
    horn = blend(p.accent, HORN, 0.6)
    marks = [Mark([belly], p.light), *back_markings(c, belly), Mark(mask, p.light)]
    wings = twins(
        wing,
        darker(p.main, 0.2),
        [Mark(both(ellipse(0.78 * w, (0.65, 0.5, -0.5)[c.form], 0.34, 0.2)), p.accent, soft=0.02)],
    )
    behind, before = crest(c, 0, -0.22 if c.form < 2 else -0.02, 0.5)
    y = -0.26 if c.form < 2 else -0.08
    return [
        *([Part([s], p.accent) for s in train] if c.form == 2 else []),
        Part(toes, horn),
        *(wings if c.form == 2 else []),
        *behind,
        Part([body], p.main, [*marks, *gleam(body)]),
        *(wings if c.form < 2 else []),
        *before,
        *face(c, 0, y, 0.62 * c.head, spread=0.85, lips=False),
        Part([moved(beak, 0, y + 0.14)], horn),
    ]


def moth(c: Creature) -> list[Part]:
    """Wings spread, seen from above: a moth, a swallowtail or a dragonfly."""
    p, w = c.palette, c.reach
    upper, lower = (
        (
            smooth(
                (0.05, -0.05),
                (0.3, -0.5),
                (0.72 * w, -0.82),
                (1.05 * w, -0.62),
                (0.98 * w, -0.18),
                (0.6, 0.08),
            ),
            smooth(
                (0.05, 0.05),
                (0.5, 0.02),
                (0.82 * w, 0.22),
                (0.78 * w, 0.6),
                (0.5, 0.78),
                (0.22, 0.5),
            ),
        ),
        (
            smooth(
                (0.05, 0.0),
                (0.4, -0.6),
                (0.85 * w, -1.0),
                (1.02 * w, -0.85),
                (0.8 * w, -0.3),
                (0.62, 0.1),
            ),
            smooth(
                (0.05, 0.05),
                (0.5, 0.0),
                (0.72 * w, 0.3),
                (0.6, 0.62),
                (0.66, 1.15 * w),
                (0.5, 1.12 * w),
                (0.38, 0.66),
                (0.18, 0.5),
            ),
        ),
        (
            smooth((0.06, -0.12), (0.5, -0.42), (1.15 * w, -0.55), (1.24 * w, -0.36), (0.7, -0.14)),
            smooth((0.06, -0.02), (0.6, -0.08), (1.1 * w, 0.06), (1.1 * w, 0.28), (0.6, 0.22)),
        ),
    )[c.form]
    eyes = ((0.68 * w, -0.42, 0.17), (0.55 * w, 0.38, 0.13))
    if c.form == 2:
        eyes = ((1.0 * w, -0.4, 0.1), (0.9 * w, 0.14, 0.09))
    spots = [s for eye in eyes for s in both(ellipse(*eye))]
    rings = (Mark(spots, p.accent), Mark([scaled(s, 0.55) for s in spots], WHITE))
    pattern = markings(c, upper) + markings(c, mirrored(upper))
    if c.pattern in ("belly", "dip", "patch"):  # which make no sense on a wing
        pattern = ()
    long = 0.48 if c.form < 2 else 0.7
    body = egg(0, long - 0.26, 0.17 * c.girth, long, -0.1)
    belts = [limb([(-0.3, y), (0, y + 0.05), (0.3, y)], 0.08) for y in np.arange(0.15, 1.2, 0.2)]
    ball = ellipse(0, -0.28, 0.34 * c.head, 0.32)
    behind, before = crest(c, 0, -0.28, 0.32)
    return [
        *twins(
            lower,
            darker(p.light, 0.4),
            [Mark(both(scaled(lower, 0.82)), p.light, soft=0.01), *rings],
        ),
        *twins(
            upper,
            darker(p.main, 0.45),
            [Mark(both(scaled(upper, 0.82)), p.main, soft=0.01), *pattern, *rings],
        ),
        Part([body], p.light, [Mark(belts, p.accent)]),
        *behind,
        Part([ball], p.light, gleam(ball)),
        *before,
        *face(c, 0, -0.26, 0.36),
    ]


def bat(c: Creature) -> list[Part]:
    """A round bat on the wing: gliding, with wings raised, or with long sickle wings."""
    p, w = c.palette, c.reach
    sail = np.concatenate(
        [
            curve([(0.2, -0.2), (0.5, -0.62), (0.82 * w, -0.62), (1.2 * w, -0.2)]),
            curve(
                [
                    (1.3 * w, 0.35),
                    (1.08 * w, 0.2),
                    (0.92 * w, 0.55),
                    (0.74, 0.3),
                    (0.56, 0.6),
                    (0.42, 0.34),
                    (0.2, 0.4),
                ]
            ),
        ]
    )
    bones = [
        limb([(0.82 * w, -0.6), end], 0.05, 0.02)
        for end in ((0.92 * w, 0.5), (0.56, 0.55), (1.3 * w, 0.3))
    ]
    pose, factor = ((0, (1, 1)), (-22, (0.86, 1.12)), (-10, (1.15, 0.62)))[c.form]
    sail, *bones = [turned(s, pose) * np.array(factor) for s in (sail, *bones)]
    ball = ellipse(0, 0, (0.48, 0.52, 0.44)[c.form] * c.girth, 0.48)
    fur = Mark([ellipse(0, 0.42, 0.34, 0.24)], p.light, soft=0.01)
    feet = [ellipse(side * 0.16, 0.5, 0.08, 0.12) for side in (-1, 1)]
    behind, before = crest(c, 0, 0, 0.48)
    return [
        *twins(sail, p.accent, [Mark([s for b in bones for s in both(b)], darker(p.main, 0.3))]),
        Part(feet, darker(p.main, 0.3)),
        *behind,
        Part([ball], p.main, [*back_markings(c, ball), fur, *gleam(ball)]),
        *before,
        *face(c, 0, -0.02, 0.44 * c.head),
    ]
