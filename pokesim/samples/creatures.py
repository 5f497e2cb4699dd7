"""Draw a sample creature by its name."""

from collections.abc import Callable

from PIL import Image

from pokesim.samples import beasts, crawlers, earth, flyers, spirits, waters
from pokesim.samples.paint import Part, render
from pokesim.samples.roster import Creature, roster

# Body plan -> what draws it, as parts from the lowest to the uppermost.
PLANS: dict[str, Callable[[Creature], list[Part]]] = {
    "biped": beasts.biped,
    "quadruped": beasts.quadruped,
    "bird": flyers.bird,
    "owl": flyers.owl,
    "fish": waters.fish,
    "serpent": crawlers.serpent,
    "blob": spirits.blob,
    "beetle": crawlers.beetle,
    "moth": flyers.moth,
    "sprout": earth.sprout,
    "ghost": spirits.ghost,
    "crystal": earth.crystal,
    "crab": waters.crab,
    "mushroom": earth.mushroom,
    "jelly": waters.jelly,
    "dragon": beasts.dragon,
    "turtle": beasts.turtle,
    "snail": crawlers.snail,
    "bat": flyers.bat,
    "frog": beasts.frog,
    "caterpillar": crawlers.caterpillar,
    "octopus": waters.octopus,
    "starfish": waters.starfish,
    "flame": spirits.flame,
    "golem": earth.golem,
    "hedgehog": beasts.hedgehog,
}


def draw_creature(name: str, size: int = 256) -> Image.Image:
    """The creature as a (size, size) RGBA picture on a transparent ground.

    Raises KeyError for a name that is not in `CREATURES`.
    """
    creature = roster()[name]
    return render(PLANS[creature.plan](creature), size)
