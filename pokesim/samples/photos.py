"""Take a "photo" of a creature, as of a figurine put up somewhere."""

import numpy as np
from PIL import Image, ImageFilter

from pokesim.samples.creatures import draw_creature
from pokesim.samples.roster import roster
from pokesim.samples.scenes import SCENES, Pixels

PHOTO_SIZES = ((640, 480), (480, 640), (800, 600), (512, 512), (600, 450))

PHOTO_COUNT = 40


def photographed() -> tuple[str, ...]:
    """The creatures of which `write_samples` takes photos: a chance pick, in order of name."""
    by_chance = sorted(roster().values(), key=lambda creature: creature.seed)
    return tuple(sorted(creature.name for creature in by_chance[:PHOTO_COUNT]))


def draw_photo(name: str) -> Image.Image:
    """A photo of the creature, RGB, its longer side 512 to 800 pixels.

    Raises KeyError for a name that is not in `CREATURES`.
    """
    seed = roster()[name].seed
    rng = np.random.default_rng([seed, 1])
    w, h = PHOTO_SIZES[seed % len(PHOTO_SIZES)]
    scene = _behind(SCENES[seed // 7 % len(SCENES)](w // 2, h // 2, rng), (w, h))

    figure = _posed(draw_creature(name, round(rng.uniform(0.74, 0.9) * min(w, h))), rng)
    left = round((w - figure.width) * rng.uniform(0.3, 0.7))
    # The ground begins at 0.72 of the height at the latest: the feet belong below that.
    top = max(0, round(h * rng.uniform(0.82, 0.95)) - figure.height)
    placed = Image.new("RGBA", (w, h))
    placed.paste(figure, (left, top))
    layer = np.asarray(placed, dtype=np.float32)
    color, cover = layer[..., :3], layer[..., 3:] / 255

    shade = _shadow(placed, figure.height, rng)
    pixels = scene * (1 - 0.62 * shade)
    # The surroundings' light falls on the figure too; without it it looks cut out and stuck on.
    ambient = scene.mean(axis=(0, 1)) / max(float(scene.mean()), 1.0)
    color = color * (0.75 + 0.25 * ambient)
    pixels = pixels * (1 - cover) + color * cover
    return _developed(pixels, rng)


def _behind(scene: Pixels, size: tuple[int, int]) -> Pixels:
    """The scene enlarged to the photo's size, which leaves it as soft as it should be."""
    small = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)


def _posed(figure: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The figure seen a little askew and leaning up to 20 degrees, cropped to what is seen."""
    n = figure.width
    pull = rng.uniform(0, 0.07, 8) * n
    # Corners of the quadrilateral of the figure that is stretched over the square.
    quad = np.array([0, 0, 0, n, n, n, n, 0]) + pull * np.array([-1, -1, -1, 1, 1, 1, 1, -1])
    askew = figure.transform((n, n), Image.Transform.QUAD, tuple(quad), Image.Resampling.BILINEAR)
    lean = float(rng.uniform(-20, 20))
    leaning = askew.rotate(lean, Image.Resampling.BILINEAR, expand=True)
    return leaning.crop(leaning.getchannel("A").getbbox())


def _shadow(placed: Image.Image, height: int, rng: np.random.Generator) -> Pixels:
    """The soft shadow, (h, w, 1) from 0 to 1, that the figure throws on the ground behind it."""
    alpha = placed.getchannel("A")
    left, _, right, bottom = alpha.getbbox() or (0, 0, 1, 1)
    flat = alpha.crop((left, bottom - height, right, bottom)).resize(
        (right - left, max(1, round(0.3 * height)))
    )
    shadow = Image.new("L", placed.size)
    aside = round(float(rng.uniform(-0.12, 0.12)) * (right - left))
    shadow.paste(flat, (left + aside, bottom - round(0.93 * flat.height)))
    far = np.asarray(shadow.filter(ImageFilter.GaussianBlur(0.035 * height)), dtype=np.float32)
    return far[..., None] / 255


def _developed(pixels: Pixels, rng: np.random.Generator) -> Image.Image:
    """The scene with the camera's failings: light from one side, a cast, softness, grain."""
    h, w = pixels.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    x, y = np.linspace(-0.5, 0.5, w)[None, :, None], np.linspace(-0.5, 0.5, h)[:, None, None]
    slope = 1 + rng.uniform(0.1, 0.35) * (np.cos(angle) * x + np.sin(angle) * y)
    corners = 1 - 0.4 * (x**2 + y**2)
    light = (slope * corners).astype(np.float32)
    cast = (rng.uniform(0.9, 1.08, 3) * rng.uniform(0.85, 1.1)).astype(np.float32)
    exposed = np.clip(pixels * light * cast, 0, 255).astype(np.uint8)
    soft = Image.fromarray(exposed).filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.0)))
    grain = np.float32(rng.uniform(2, 5)) * rng.standard_normal((h, w, 1), dtype=np.float32)
    return Image.fromarray(np.clip(np.asarray(soft) + grain, 0, 255).astype(np.uint8))
