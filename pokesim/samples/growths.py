"""What grows on creatures of several body plans: ears and horns, tails, feet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pokesim.samples.geometry import (
    Point,
    Shape,
    both,
    ellipse,
    leaf,
    limb,
    mirrored,
    moved,
    scaled,
    smooth,
    spike,
    turned,
)
from pokesim.samples.paint import WHITE, Color, Mark, Part, darker, lighter
from pokesim.samples.roster import Creature, Palette

GREEN: Color = (112, 184, 84)

ANTLER: Color = (176, 128, 84)


def twins(shape: Shape, color: Color, marks: Sequence[Mark] = (), line: float = 1.0) -> list[Part]:
    """A shape and its mirror image about x = 0, as two parts."""
    return [Part([s], color, marks, line) for s in both(shape)]


def feet(c: Creature, *places: Point, size: float = 0.2) -> list[Part]:
    """Round little feet with toes, seen from the front."""
    p = c.palette
    return [
        Part(
            [ellipse(x, y, size, 0.68 * size)],
            p.main,
            [
                Mark(
                    [
                        limb(
                            [(x + u * size, y + 0.18 * size), (x + u * size, y + 0.5 * size)],
                            0.1 * size,
                        )
                        for u in (-0.35, 0.35)
                    ],
                    darker(p.main, 0.5),
                )
            ],
        )
        for x, y in places
    ]


@dataclass(frozen=True)
class Skull:
    """A round head of radius `r` about (x, y)."""

    x: float
    y: float
    r: float

    def planted(self, shape: Shape, angle: float) -> Shape:
        """The shape, drawn upwards from the origin in units of `r`, on the head at that angle."""
        return moved(turned(moved(shape * self.r, 0, -0.9 * self.r), angle), self.x, self.y)

    def pair(self, shape: Shape, angle: float) -> list[Shape]:
        """The shape planted on the right, and its mirror image on the left."""
        return [self.planted(shape, angle), self.planted(mirrored(shape), -angle)]


Crest = tuple[list[Part], list[Part]]  # parts behind the head, parts before it


def crest(c: Creature, x: float, y: float, r: float) -> Crest:
    """What grows on a head of radius `r` about (x, y): parts behind it and parts before it."""
    return CRESTS[c.crest](c.palette, Skull(x, y, r))


def _round_ears(p: Palette, skull: Skull) -> Crest:
    inner = Mark(skull.pair(ellipse(0, -0.1, 0.2), 44), p.light)
    return [Part(skull.pair(ellipse(0, -0.1, 0.36), 44), p.main, [inner])], []


def _cat_ears(p: Palette, skull: Skull) -> Crest:
    ear = smooth((-0.36, 0.25), (-0.27, -0.25), (0.02, -0.62), (0.28, -0.25), (0.36, 0.25))
    inner = Mark(skull.pair(scaled(ear, 0.6), 36), p.accent)
    return [Part(skull.pair(ear, 36), p.main, [inner])], []


def _long_ears(p: Palette, skull: Skull) -> Crest:
    ear = moved(leaf(1.35, 0.46), 0, 0.3)
    inner = Mark(skull.pair(scaled(ear, 0.62), 20), p.light)
    return [Part(skull.pair(ear, 20), p.main, [inner])], []


def _floppy_ears(p: Palette, skull: Skull) -> Crest:
    ear = smooth(
        (-0.15, -0.1),
        (0.25, -0.12),
        (0.5, 0.35),
        (0.42, 0.95),
        (0.12, 0.9),
        (-0.02, 0.4),
    )
    ears, tips = (
        [moved(side * skull.r, skull.x, skull.y) for side in both(moved(shape, 0.8, -0.5))]
        for shape in (ear, ellipse(0.3, 0.95, 0.35, 0.25))
    )
    return [], [Part(ears, darker(p.main, 0.12), [Mark(tips, p.accent, soft=0.02)])]


def _horns(p: Palette, skull: Skull) -> Crest:
    horn = limb([(0, 0.2), (0.14, -0.25), (0.02, -0.72)], 0.34, 0.24, 0.05)
    rings = [limb([(-0.3, v), (0.4, v - 0.08)], 0.06) for v in (-0.08, -0.28, -0.46)]
    grooves = Mark([s for ring in rings for s in skull.pair(ring, 36)], darker(p.light, 0.3))
    return [Part(skull.pair(horn, 36), p.light, [grooves])], []


def _unihorn(p: Palette, skull: Skull) -> Crest:
    rings = [limb([(-0.3, v + 0.14), (0.3, v + 0.02)], 0.07) for v in (-0.12, -0.34, -0.56)]
    bands = Mark([skull.planted(ring, 0) for ring in rings], p.accent)
    return [], [Part([skull.planted(moved(spike(0.85, 0.36), 0, 0.08), 0)], p.light, [bands])]


def _antennae(p: Palette, skull: Skull) -> Crest:
    stalk = limb([(0, 0.1), (0.02, -0.4), (0.18, -0.7)], 0.09, 0.07)
    shine = Mark(skull.pair(ellipse(0.13, -0.8, 0.05), 24), WHITE)
    return [
        Part(skull.pair(stalk, 24), darker(p.main, 0.3), line=0.8),
        Part(skull.pair(ellipse(0.18, -0.74, 0.17), 24), p.accent, [shine]),
    ], []


def _tuft(p: Palette, skull: Skull) -> Crest:
    locks = [
        skull.planted(moved(spike(length, 0.36, lean), 0, 0.25), angle)
        for length, lean, angle in ((0.75, -0.2, -22), (0.95, 0.12, 0), (0.7, 0.25, 22))
    ]
    return [Part(locks, p.accent)], []


def _leaves(p: Palette, skull: Skull) -> Crest:
    veins = Mark(skull.pair(limb([(0, 0.1), (0, -0.6)], 0.04), 38), lighter(GREEN))
    return [Part(skull.pair(moved(leaf(0.85, 0.42), 0, 0.1), 38), GREEN, [veins])], []


def _antlers(p: Palette, skull: Skull) -> Crest:
    stem = limb([(0, 0.1), (0.1, -0.35), (0.02, -0.8)], 0.16, 0.12, 0.09)
    twig = limb([(0.08, -0.32), (0.3, -0.5), (0.34, -0.68)], 0.13, 0.08)
    return [Part([*skull.pair(stem, 34), *skull.pair(twig, 34)], ANTLER)], []


def _spines(p: Palette, skull: Skull) -> Crest:
    fan = [
        skull.planted(moved(spike(length, 0.34), 0, 0.25), angle)
        for length, angle in ((0.55, -52), (0.72, -27), (0.85, 0), (0.72, 27), (0.55, 52))
    ]
    return [Part(fan, p.accent)], []


CRESTS: dict[str, Callable[[Palette, Skull], Crest]] = {
    "round ears": _round_ears,
    "horns": _horns,
    "cat ears": _cat_ears,
    "tuft": _tuft,
    "long ears": _long_ears,
    "antlers": _antlers,
    "leaves": _leaves,
    "floppy ears": _floppy_ears,
    "unihorn": _unihorn,
    "antennae": _antennae,
    "spines": _spines,
}


def tail(c: Creature, x: float, y: float, size: float) -> list[Part]:
    """A tail about `size` long that leaves the body at (x, y), to the right and up."""

    def grown(shapes: Sequence[Shape]) -> list[Shape]:
        return [moved(shape * size, x, y) for shape in shapes]

    return [
        Part(grown(part.shapes), part.color, [Mark(grown(m.shapes), m.color) for m in part.marks])
        for part in TAILS[c.tail](c.palette)
    ]


def _stem(p: Palette) -> Part:
    path = [(-0.1, 0.1), (0.35, 0.12), (0.55, -0.2), (0.62, -0.55)]
    return Part([limb(path, 0.24, 0.17, 0.12)], p.main)


def _bushy(p: Palette) -> list[Part]:
    brush = smooth(
        (-0.1, 0.1),
        (0.3, 0.28),
        (0.75, 0.0),
        (0.95, -0.5),
        (0.85, -1.0),
        (0.5, -0.72),
        (0.25, -0.3),
    )
    tip = smooth((0.4, -0.62), (0.68, -0.5), (0.8, -0.62), (1.1, -0.4), (1.1, -1.2), (0.5, -1.2))
    return [Part([brush], p.main, [Mark([tip], p.light)])]


def _tufted(p: Palette) -> list[Part]:
    tuft = smooth(
        (0.62, -0.35),
        (0.8, -0.55),
        (0.78, -0.85),
        (0.68, -1.1),
        (0.5, -0.85),
        (0.45, -0.55),
    )
    return [_stem(p), Part([tuft], p.accent)]


def _curl(p: Palette) -> list[Part]:
    path = [(-0.1, 0.1), (0.4, 0.15), (0.72, -0.18), (0.58, -0.55), (0.28, -0.48), (0.3, -0.22)]
    return [Part([limb(path, 0.24, 0.2, 0.17, 0.12, 0.08)], p.main)]


def _ball(p: Palette) -> list[Part]:
    return [Part([ellipse(0.22, -0.1, 0.3)], p.light)]


def _spade(p: Palette) -> list[Part]:
    spade = smooth(
        (0.62, -0.42),
        (0.86, -0.5),
        (0.8, -0.75),
        (0.66, -1.05),
        (0.47, -0.78),
        (0.36, -0.55),
    )
    return [_stem(p), Part([spade], darker(p.accent, 0.1))]


def _leaf(p: Palette) -> list[Part]:
    vein = Mark([limb([(0.6, -0.45), (0.74, -1.0)], 0.04)], lighter(GREEN))
    return [_stem(p), Part([moved(turned(leaf(0.75, 0.42), 14), 0.6, -0.42)], GREEN, [vein])]


def _club(p: Palette) -> list[Part]:
    thorn = moved(spike(0.22, 0.2), 0, -0.18)
    thorns = [moved(turned(thorn, angle), 0.64, -0.68) for angle in (-80, -20, 40, 100)]
    return [_stem(p), Part(thorns, p.light), Part([ellipse(0.64, -0.68, 0.24)], p.accent)]


def _feathers(p: Palette) -> list[Part]:
    eye = ellipse(0, -0.7, 0.09, 0.12)
    return [
        Part([turned(leaf(0.95, 0.36), angle)], color, [Mark([turned(eye, angle)], p.light)])
        for angle, color in ((78, p.main), (52, p.accent), (26, p.main))
    ]


TAILS: dict[str, Callable[[Palette], list[Part]]] = {
    "bushy": _bushy,
    "tuft": _tufted,
    "curl": _curl,
    "ball": _ball,
    "spade": _spade,
    "leaf": _leaf,
    "club": _club,
    "feathers": _feathers,
}
