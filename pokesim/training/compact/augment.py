"""Augmentation of pictures in JAX: draw the random parameters of a batch, and render its pixels.

`draw` draws a projective warp, a background behind the alpha channel, a 3x3 colour matrix and a
light map for each picture, and for some pictures a reduced resolution, a hidden patch, fewer
levels, or noise. `render` makes the pixels. All of it runs on the GPU, as part of a training step.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from pokesim.training.compact.data import Array
from pokesim.training.compact.network import Tensor

# The six orders of the colour channels. A species in another order is trained as another species.
CHANNEL_ORDERS = np.array(
    [np.eye(3)[list(p)] for p in itertools.permutations(range(3))], np.float32
)  # (6, 3, 3)
COARSE = range(20, 68, 4)  # sides of the reduced resolutions
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


class Random:
    """A stream of random arrays whose first axis has length n; no two calls draw the same."""

    def __init__(self, key: Tensor, n: int) -> None:
        self._key, self._n = key, n

    def key(self) -> Tensor:
        """Return a fresh key."""
        self._key, fresh = jax.random.split(self._key)
        return fresh

    def uniform(self, low: float = 0.0, high: float = 1.0, shape: tuple[int, ...] = ()) -> Tensor:
        """Draw from a uniform distribution: (n, *shape)."""
        return jax.random.uniform(self.key(), (self._n, *shape), minval=low, maxval=high)

    def normal(self, scale: float, shape: tuple[int, ...] = ()) -> Tensor:
        """Draw from a normal distribution about 0: (n, *shape)."""
        return scale * jax.random.normal(self.key(), (self._n, *shape))

    def chance(self, probability: Tensor | float) -> Tensor:
        """Return True with a probability, (n,) or one number: bool (n,)."""
        return self.uniform() < probability

    def integers(self, low: int, high: int) -> Tensor:
        """Draw integers from low to high - 1: int (n,)."""
        return jax.random.randint(self.key(), (self._n,), low, high)


def _matrix(rows: list[list[Tensor | float]], n: int) -> Tensor:
    spread = [jnp.stack([jnp.broadcast_to(v, (n,)) for v in row], -1) for row in rows]
    return jnp.stack(spread, -2)


def draw_warps(
    random: Random,
    size: int,
    source: int,
    aspect: Tensor,
    opaque: Tensor,
    frame: Tensor,
    calm: Tensor,
) -> Tensor:
    """Draw projective warps (n, 3, 3), from an output pixel (x, y, 1) to a source pixel.

    Some pictures keep roughly their position in the file (``frame``). Otherwise a cutout is shown
    whole or almost whole, and occasionally cropped, while an opaque picture is usually cropped.
    The aspect ratio varies between the true one and that of the squashed picture. ``calm``
    pictures are moved less.
    """
    n, where = len(aspect), jnp.where
    strength = where(calm, 0.35, 1.0)
    closer = where(calm, random.uniform(0.9, 1.2), random.uniform(1.0, 1.55))
    scale = where(
        opaque,
        where(random.chance(0.2), random.uniform(0.7, 1.0), closer),
        where(calm, random.uniform(0.6, 1.0), random.uniform(0.4, 1.12)),
    )
    portrait = ~calm & ~opaque & random.chance(0.12)
    scale = where(portrait, random.uniform(1.0, 2.0), scale)
    true_shape = where(opaque, 0.0, 1.0 * random.chance(0.75)) * random.uniform(0.4, 1)
    stretch = aspect**true_shape * jnp.exp(random.normal(0.12) * strength)
    width = scale * jnp.minimum(1, stretch)
    height = scale * jnp.minimum(1, 1 / stretch)
    framed = ~portrait & random.chance(where(calm, 0.7, 0.35))
    jitter = jnp.exp(random.normal(0.1, (2,)) * strength[:, None])
    width = where(framed, frame[:, 2] * jitter[:, 0], width)
    height = where(framed, frame[:, 3] * jitter[:, 1], height)
    # The centre moves within the room that the picture (or crop) leaves, or slightly beyond it.
    x = 0.5 + random.uniform(-0.5, 0.5) * (jnp.abs(1 - width) + 0.08 * strength)
    y = 0.5 + random.uniform(-0.5, 0.5) * (jnp.abs(1 - height) + 0.08 * strength)
    x = where(framed, frame[:, 0] + random.normal(0.04), x)
    y = where(framed, frame[:, 1] + random.normal(0.04), y)
    turn = random.normal(0.16) * strength * random.chance(0.7)
    flip = where(random.chance(0.5), -1.0, 1.0)
    slant = random.normal(0.08) * strength
    tilt = random.normal(0.1, (2,)) * (strength * random.chance(0.4))[:, None]

    cos, sin = jnp.cos(turn), jnp.sin(turn)
    to_centre = _matrix(
        [[1 / size, 0, 0.5 / size - x], [0, 1 / size, 0.5 / size - y], [0, 0, 1]], n
    )
    rotate = _matrix([[cos, sin, 0], [-sin, cos, 0], [tilt[:, 0], tilt[:, 1], 1]], n)
    unscale = _matrix([[flip / width, slant / width, 0], [0, 1 / height, 0], [0, 0, 1]], n)
    half = source / 2 - 0.5
    to_source = _matrix([[source, 0, half], [0, source, half], [0, 0, 1]], n)
    with jax.default_matmul_precision("highest"):  # a GPU would round to 10 bits
        return to_source @ unscale @ rotate @ to_centre


def draw_colours(random: Random, order: Tensor, calm: Tensor, grey: Tensor) -> Tensor:
    """Draw colour matrices (n, 3, 3), for rgb @ matrix: channel order, hue shift, saturation."""
    strength = jnp.where(calm, 0.4, 1.0)
    saturation = 1 + random.normal(0.25) * strength
    saturation = jnp.where(grey, 0.0, saturation.clip(0.2, 1.8))[:, None, None]
    angle = random.normal(0.14) * strength
    cos, sin = jnp.cos(angle)[:, None, None], jnp.sin(angle)[:, None, None]
    axis = jnp.ones((3, 3)) / 3  # a rotation about the grey axis, by Rodrigues' formula
    cross = jnp.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / jnp.sqrt(3)
    hue = cos * jnp.eye(3) + sin * cross + (1 - cos) * axis
    luminance = jnp.outer(LUMINANCE, jnp.ones(3))
    fade = saturation * jnp.eye(3) + (1 - saturation) * luminance
    return jnp.asarray(CHANNEL_ORDERS)[order] @ hue @ fade


def draw(
    key: Tensor,
    size: int,
    source: int,
    aspect: Tensor,
    opaque: Tensor,
    frame: Tensor,
    calm: Tensor,
    order: Tensor,
    backgrounds: int,
) -> dict[str, Tensor]:
    """Draw the parameters of a batch of n pictures; ``order`` (n,) indexes CHANNEL_ORDERS."""
    n, where = len(aspect), jnp.where
    random = Random(key, n)
    background = random.uniform()  # white, flat colour, gradient or photograph
    white = background < where(calm, 0.75, 0.3)
    flat = random.uniform(0, 255, (1, 1, 3)) + jnp.zeros((n, 2, 2, 3))
    gradient = random.chance(0.5)[:, None, None, None]
    corners = where(gradient, random.uniform(0, 255, (2, 2, 3)), flat)
    corners = where(white[:, None, None, None], 255.0, corners)
    photo = ~white & random.chance(0.5)
    strength = where(calm, 0.4, 1.0)[:, None, None, None]
    light = jnp.exp(random.normal(0.18, (1, 1, 1)) * strength)
    light = light * jnp.exp(random.normal(0.18, (2, 2, 1)) * strength)
    light = light * jnp.exp(random.normal(0.05, (1, 1, 3)) * strength)
    contrast = jnp.exp(random.normal(0.15, (1, 1, 1)) * strength)
    untouched = white & random.chance(where(calm, 0.5, 0.2))
    coarse = random.chance(where(calm, 0.15, 0.25))
    # Two-tone pictures, like the sprites of early consoles: grey, then a curve for each channel.
    duotone = ~calm & random.chance(0.1)
    grey = duotone | random.chance(0.04)
    curve = where(duotone[:, None], random.uniform(-0.9, 0.9, (3,)), random.normal(0.08, (3,)))
    few_levels = random.chance(where(calm, 0.0, where(duotone, 0.6, 0.08)))
    patch = random.uniform(0, 1, (2,))
    hidden = random.chance(where(calm, 0.0, 0.2))
    half = where(hidden, random.uniform(0.05, 0.2), 0.0)[:, None]
    noise = -4.0 * jnp.log1p(-random.uniform()) * random.chance(0.3)
    kept_curve = untouched & ~duotone
    return {
        "warp": draw_warps(random, size, source, aspect, opaque, frame, calm),
        "colour": draw_colours(random, order, calm, grey),
        "curve": where(kept_curve[:, None], 0.0, curve)[:, None, None],
        "corners": corners,
        "photo": where(photo, random.integers(0, backgrounds), -1),
        "light": where(untouched[:, None, None, None], 1.0, light * contrast),
        "offset": where(untouched[:, None, None, None], 0.0, 127.5 * (1 - contrast)),
        "coarse": where(coarse, random.integers(0, 2 * len(COARSE)), 2 * len(COARSE)),
        "grain": random.key(),
        "levels": where(few_levels, random.integers(3, 9), 256)[:, None, None, None],
        "patch": jnp.stack([patch - half, patch + half], 1),
        "noise": noise[:, None, None, None],
    }


def resampling_maps(size: int) -> Array:
    """Return maps (2 * len(COARSE) + 1, size, size) that reduce a row of pixels and enlarge it.

    The first half enlarge by repeating pixels (a pixelated picture), the second half by
    interpolation (a blurred one); the last changes nothing.
    """
    maps = []
    for smooth in (False, True):
        for side in COARSE:
            # The position of each pixel on the coarse grid.
            fine = (np.arange(size) + 0.5) * side / size - 0.5  # (size,)
            apart = np.abs(fine[:, None] - np.arange(side)[None, :])  # (size, side)
            down = np.maximum(0, 1 - apart) / np.maximum(0, 1 - apart).sum(0)
            near = np.clip(fine, 0, side - 1)[:, None] - np.arange(side)[None, :]
            up = np.maximum(0, 1 - np.abs(near)) if smooth else (np.round(near) == 0) * 1.0
            up = up / up.sum(1, keepdims=True)
            maps.append(up @ down.T)
    return np.array([*maps, np.eye(size)], np.float32)


def warped(cutouts: Tensor, warps: Tensor, size: int) -> Tensor:
    """Warp pictures (n, c, c, 4), bilinearly, with zeros outside, to (n, size, size, 4)."""
    n, source = cutouts.shape[:2]
    ticks = jnp.arange(size, dtype=jnp.float32)
    y, x = jnp.meshgrid(ticks, ticks, indexing="ij")
    grid = jnp.stack([x.ravel(), y.ravel(), jnp.ones(size * size)])  # (3, size²)
    at = jnp.matmul(warps, grid, precision="highest")  # (n, 3, size²)
    column, row = at[:, 0] / at[:, 2], at[:, 1] / at[:, 2]
    left, top = jnp.floor(column), jnp.floor(row)
    pixels = cutouts.reshape(n, source * source, 4)
    result = jnp.zeros((n, size * size, 4), jnp.float32)
    for down, right in itertools.product((0, 1), repeat=2):
        r, c = top + down, left + right
        weight = (1 - jnp.abs(row - r)) * (1 - jnp.abs(column - c))
        inside = (r >= 0) & (r < source) & (c >= 0) & (c < source)
        flat = (r.clip(0, source - 1) * source + c.clip(0, source - 1)).astype(jnp.int32)
        found = jnp.take_along_axis(pixels, flat[..., None], 1).astype(jnp.float32)
        result += found * (weight * inside)[..., None]
    return result.reshape(n, size, size, 4)


def render(
    cutouts: Tensor, backgrounds: Tensor, resampling: Tensor, params: dict[str, Tensor], size: int
) -> Tensor:
    """Return the pixels (n, size, size, 3) float32 of a batch.

    cutouts (n, c, c, 4) uint8 premultiplied; backgrounds (m, size, size, 3) uint8; resampling as
    returned by `resampling_maps`; params as drawn by `draw`.
    """
    x = warped(cutouts, params["warp"], size)
    is_photo = (params["photo"] >= 0)[:, None, None, None]
    photos = backgrounds[jnp.maximum(params["photo"], 0)].astype(jnp.float32)
    behind = jnp.where(is_photo, photos, _spread(params["corners"], size))
    x = x[..., :3] + behind * (1 - x[..., 3:] / 255)
    x = jnp.einsum("nhwc,ncd->nhwd", x, params["colour"])
    x = x + params["curve"] * x * (1 - x / 255)
    x = x * _spread(params["light"], size) + params["offset"]
    blur = resampling[params["coarse"]]  # (n, size, size)
    x = jnp.einsum("nxw,nyh,nhwc->nyxc", blur, blur, x)
    return _finished(x, params, size)


def _spread(corners: Tensor, size: int) -> Tensor:
    """Interpolate between the values at the corners (n, 2, 2, c), to (n, size, size, c)."""
    ramp = (jnp.arange(size) + 0.5) / size
    down = (
        corners[:, :1] + (corners[:, 1:] - corners[:, :1]) * ramp[:, None, None]
    )  # (n, size, 2, c)
    return down[:, :, :1] + (down[:, :, 1:] - down[:, :, :1]) * ramp[:, None]


def _finished(x: Tensor, params: dict[str, Tensor], size: int) -> Tensor:
    """Hide a patch, reduce the levels and add noise.

    The patch is that of Zhong et al. 2020, "Random Erasing Data Augmentation".
    """
    ramp = (jnp.arange(size) + 0.5) / size
    start, stop = params["patch"][:, 0, :, None], params["patch"][:, 1, :, None]  # (n, 2, 1)
    inside = (ramp >= start) & (ramp <= stop)  # (n, 2, size)
    hidden = (inside[:, 0, :, None] & inside[:, 1, None, :])[..., None]
    x = jnp.where(hidden, params["corners"][:, :1, :1], x)
    step = 255 / (params["levels"] - 1)
    x = jnp.floor(x / step + 0.5) * step
    grain = jax.random.normal(params["grain"], (1, size, size, 3))
    return (x + params["noise"] * grain).clip(0, 255)


def background_crops(rng: np.random.Generator, pixels: Array, count: int, size: int) -> Array:
    """Crop backgrounds (count, size, size, 3) uint8 from photographs (n, c, c, 4)."""
    crops = np.empty((count, size, size, 3), np.uint8)
    source = pixels.shape[1]
    for crop in crops:
        photo = pixels[rng.integers(len(pixels))]
        side = int(rng.uniform(0.35, 1) * source)
        top, left = rng.integers(0, source - side + 1, 2)
        grid = (np.arange(size) * side) // size
        crop[:] = photo[top + grid[:, None], left + grid[None, :], :3]
    return crops
