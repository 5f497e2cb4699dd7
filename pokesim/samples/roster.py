"""Who the sample creatures are: their names, body plans, colours and features."""

import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np

from pokesim.samples.paint import Color

SEED = "pokesim samples 1"

# Body plan -> names of the creatures built on it.
NAMES: dict[str, tuple[str, ...]] = {
    "biped": ("brumbel", "tuffkin", "hugmoor", "nubbert", "waddlo", "pompuku"),
    "quadruped": ("fennimp", "dapplet", "russkit", "prowlet", "mirrifox", "taggle"),
    "bird": ("chirpel", "plumkin", "tweedlo", "fluttra", "pipsong", "larkeet"),
    "owl": ("hootle", "noctavo", "parliam", "duskowl", "whoolip", "pingora"),
    "fish": ("finnolo", "glubbin", "rippley", "scalamar", "puffoam", "tidelet"),
    "serpent": ("coilusk", "sissaro", "vipprel", "loopid", "hisskin", "anguro"),
    "blob": ("gloopie", "jellump", "oozlet", "wobblum", "slurpin", "muddolo"),
    "beetle": ("shellix", "dottabug", "clickle", "scarabo", "bugglet", "carapim"),
    "moth": ("flitterna", "dustara", "mothelle", "papilune", "lumoth", "velvella"),
    "sprout": ("budlin", "thistlo", "petalop", "mossprig", "fernella", "radikin"),
    "ghost": ("wispurr", "boolite", "phantel", "shivvo", "murkist", "vaporin"),
    "crystal": ("gemmule", "quartzi", "prismo", "facetta", "shardel", "glintar"),
    "crab": ("pinchum", "crablet", "snippo", "clawdine", "brinkle", "scuttlo"),
    "mushroom": ("capshroo", "sporello", "toadling", "fungimp", "morelka", "truffin"),
    "jelly": ("medusel", "driftum", "umbrelo", "lumijel", "tendrix", "bellopod"),
    "dragon": ("drakolin", "embrax", "wyverno", "smoldrin", "scorchel", "tarragrim"),
    "turtle": ("tortugo", "shellby", "mossback", "slowmere", "plodder", "domeling"),
    "snail": ("spiralo", "snailette", "gastrum", "whorlin", "creepel", "helixo"),
    "bat": ("flapsy", "vesperin", "nightflap", "echolo", "battina", "gloamer"),
    "frog": ("ribbet", "hoplite", "croakum", "puddlin", "lilypod", "bullop"),
    "caterpillar": ("munchel", "inchwig", "larvello", "segmo", "wriggly", "crawlo"),
    "octopus": ("octavin", "inkletta", "squidlo", "tentoo", "suckero"),
    "starfish": ("stellino", "pentara", "astrella", "twinklo", "fiveray"),
    "flame": ("flickra", "cindrel", "pyrolo", "blazelet", "sparkin"),
    "golem": ("bouldro", "cobblin", "granitto", "rubblek", "slatemar"),
    "hedgehog": ("prickolo", "bristlin", "quillow", "needlim", "spinella"),
}


@dataclass(frozen=True)
class Palette:
    """A creature's colours: its main one, a light and a contrasting one, and its eyes'."""

    main: Color
    light: Color
    accent: Color
    iris: Color


@dataclass(frozen=True)
class Creature:
    """All that is decided about a creature before it is drawn.

    `form` (0, 1 or 2) picks among the shapes its body plan comes in; `girth`, `head` and `reach`
    are about 1 and scale its body's width, its head and its limbs; `seed` is for the small
    irregularities of its pattern.
    """

    name: str
    plan: str
    form: int
    palette: Palette
    pattern: str
    eyes: str
    mouth: str
    crest: str
    tail: str
    girth: float
    head: float
    reach: float
    blush: bool
    seed: int


def _palette(colors: str) -> Palette:
    def color(digits: str) -> Color:
        r, g, b = bytes.fromhex(digits)
        return r, g, b

    return Palette(*map(color, colors.split()))


# Main, light, accent and eye colour, in the order of the main one's hue.
PALETTES = tuple(
    _palette(colors)
    for colors in (
        "e4574c fbd9b8 7a2e46 3c8dad",  # coral
        "f0743e ffe3b3 5b4a86 2f7f6f",  # vermilion
        "f29a38 fff0cc 8a4b2a 4a7d3a",  # pumpkin
        "c98a4b f6e2c0 5e3b2e 2f8f7f",  # caramel
        "f2c23e fff6d2 d2603a 7a4fb0",  # gold
        "f5e063 fffbe0 5b8c5a c0563f",  # lemon
        "b5d44a f6fad0 3f7f4f d0703a",  # lime
        "6fbf4b eaf6c4 e8a33c b0453f",  # leaf
        "3f8f55 d5ebc0 c7533f d8a030",  # forest
        "8edbb0 f1fceb e97f8e 3f7f8f",  # mint
        "2fa39a d2f3e4 f2b441 c04f4f",  # teal
        "4cc7cf e6fbf7 3965a8 8f4fa0",  # turquoise
        "7cc4f2 f4fbff f59fb4 3f5fb0",  # sky
        "3e8fe0 d8edff f6c945 d0662f",  # azure
        "34508f bfd3f2 e86a5e e8b53f",  # navy
        "5b57b8 d9d6f7 6fd0c2 3fa89a",  # indigo
        "8e62cf ebddfb f4c95d 4f9f4f",  # violet
        "c3a6ec f9f1ff 6a5aae c0508f",  # lavender
        "8a3f7d f3cfe2 f2a65a d0902f",  # plum
        "d956a8 ffe0f0 5b4a9c 2f8fb0",  # magenta
        "f7a1be fff1f0 b2477e 5f7fd0",  # pink
        "e8718f ffe3dc 4f9d8b 6f4f9f",  # rose
        "75808f dfe6ea e9724c 3f8fc0",  # slate
        "444755 b9bcc9 9be05a e0b030",  # charcoal
        "f3ead8 ffffff d98f5c 6f8f3f",  # cream
        "e4eff7 ffffff 5a8fc4 c0604f",  # snow
        "7b4f38 e9cda8 7fc29b d0803f",  # chocolate
    )
)

PATTERNS = ("belly", "spots", "stripes", "dip", "scales", "patch", "speckles", "bands", "diamonds")

EYES = ("round", "bead", "tall", "fierce", "slit", "sleepy", "happy", "wide")

MOUTHS = ("smile", "grin", "cat", "fangs", "oh", "smirk", "teeth")

CRESTS = (
    "round ears",
    "horns",
    "cat ears",
    "tuft",
    "long ears",
    "antlers",
    "leaves",
    "floppy ears",
    "unihorn",
    "antennae",
    "spines",
)

TAILS = ("bushy", "tuft", "curl", "ball", "spade", "leaf", "club", "feathers")


@cache
def roster() -> dict[str, Creature]:
    """All creatures by name, in alphabetical order."""
    creatures = {
        name: _creature(name, plan, place, sibling)
        for place, (plan, names) in enumerate(NAMES.items())
        for sibling, name in enumerate(names)
    }
    return dict(sorted(creatures.items()))


def _creature(name: str, plan: str, place: int, sibling: int) -> Creature:
    """Decide a creature's looks; it is the `sibling`-th on the `place`-th body plan.

    What is told apart at a glance (colours, pattern, face, crest) goes round in turn, with
    strides that keep siblings different from each other; only proportions are left to chance.
    """
    seed = int.from_bytes(hashlib.sha256(f"{SEED} {name}".encode()).digest()[:8])
    rng = np.random.default_rng(seed)
    girth, head, reach = (float(v) for v in rng.uniform(0.86, 1.16, size=3))
    return Creature(
        name=name,
        plan=plan,
        form=sibling % 3,
        palette=PALETTES[(2 * place + 5 * sibling) % len(PALETTES)],
        pattern=PATTERNS[(place + 2 * sibling) % len(PATTERNS)],
        eyes=EYES[(3 * place + sibling) % len(EYES)],
        mouth=MOUTHS[(place + sibling) % len(MOUTHS)],
        crest=CRESTS[(5 * place + 2 * sibling) % len(CRESTS)],
        tail=TAILS[(3 * place + 3 * sibling) % len(TAILS)],
        girth=girth,
        head=head,
        reach=reach,
        blush=bool(rng.random() < 0.4),
        seed=seed,
    )
