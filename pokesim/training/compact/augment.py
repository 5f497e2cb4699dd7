"""Augmentation of pictures, cheap enough for a CPU that trains at the same time.

`draw` draws the random parameters of a batch in numpy, as small arrays. `render` then makes the
pixels in a few batched TensorFlow operations: a projective warp, a background behind the alpha
channel, a 3x3 colour matrix and a light map for each picture, and for some pictures a reduced
resolution, a hidden patch, fewer levels, or noise.
"""

import itertools

import numpy as np
import tensorflow as tf

from pokesim.training.compact.data import Array
from pokesim.training.compact.network import Tensor

# The six orders of the colour channels. A species in another order is trained as another species.
CHANNEL_ORDERS = np.array(
    [np.eye(3)[list(p)] for p in itertools.permutations(range(3))]
)  # (6, 3, 3)
COARSE = range(20, 68, 4)  # sides of the reduced resolutions
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def draw_warps(
    rng: np.random.Generator,
    size: int,
    source: int,
    aspect: Array,
    opaque: Array,
    frame: Array,
    calm: Array,
) -> Array:
    """Draw projective warps (n, 8), output pixel -> source pixel, for ImageProjectiveTransformV3.

    Some pictures keep roughly their position in the file (``frame``). Otherwise a cutout is shown
    whole or almost whole, and occasionally cropped, while an opaque picture is usually cropped.
    The aspect ratio varies between the true one and that of the squashed picture. ``calm``
    pictures are moved less.
    """
    n = len(aspect)
    strength = np.where(calm, 0.35, 1.0)
    scale = np.where(
        opaque,
        np.where(rng.random(n) < 0.2, rng.uniform(0.7, 1.0, n), rng.uniform(1.0, 1.55, n)),
        np.where(calm, rng.uniform(0.6, 1.0, n), rng.uniform(0.4, 1.12, n)),
    )
    portrait = ~calm & ~opaque & (rng.random(n) < 0.12)
    scale = np.where(portrait, rng.uniform(1.0, 2.0, n), scale)
    true_shape = np.where(opaque, 0.0, rng.uniform(0, 1, n) < 0.75) * rng.uniform(0.4, 1, n)
    stretch = (aspect**true_shape) * np.exp(rng.normal(0, 0.12, n) * strength)
    width = scale * np.minimum(1, stretch)
    height = scale * np.minimum(1, 1 / stretch)
    framed = ~portrait & (rng.random(n) < np.where(calm, 0.7, 0.35))
    jitter = np.exp(rng.normal(0, 0.1, (n, 2)) * strength[:, None])
    width = np.where(framed, frame[:, 2] * jitter[:, 0], width)
    height = np.where(framed, frame[:, 3] * jitter[:, 1], height)
    # The centre moves within the room that the picture (or crop) leaves, or slightly beyond it.
    x = 0.5 + rng.uniform(-0.5, 0.5, n) * (np.abs(1 - width) + 0.08 * strength)
    y = 0.5 + rng.uniform(-0.5, 0.5, n) * (np.abs(1 - height) + 0.08 * strength)
    x = np.where(framed, frame[:, 0] + rng.normal(0, 0.04, n), x)
    y = np.where(framed, frame[:, 1] + rng.normal(0, 0.04, n), y)
    turn = rng.normal(0, 0.16, n) * strength * (rng.random(n) < 0.7)
    flip = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    slant = rng.normal(0, 0.08, n) * strength
    tilt = rng.normal(0, 0.1, (n, 2)) * (strength * (rng.random(n) < 0.4))[:, None]

    def matrix(rows: list[list[Array | float]]) -> Array:
        spread = [np.stack([np.broadcast_to(v, n) for v in row], -1) for row in rows]
        return np.stack(spread, -2)

    cos, sin = np.cos(turn), np.sin(turn)
    to_centre = matrix([[1 / size, 0, 0.5 / size - x], [0, 1 / size, 0.5 / size - y], [0, 0, 1]])
    rotate = matrix([[cos, sin, 0], [-sin, cos, 0], [tilt[:, 0], tilt[:, 1], 1]])
    unscale = matrix([[flip / width, slant / width, 0], [0, 1 / height, 0], [0, 0, 1]])
    to_source = matrix([[source, 0, source / 2 - 0.5], [0, source, source / 2 - 0.5], [0, 0, 1]])
    warp = (to_source @ unscale @ rotate @ to_centre).reshape(n, 9)
    scaled: Array = (warp / warp[:, 8:])[:, :8]
    return scaled.astype(np.float32)


def draw_colours(rng: np.random.Generator, order: Array, calm: Array, grey: Array) -> Array:
    """Draw colour matrices (n, 3, 3), for rgb @ matrix: channel order, hue shift, saturation."""
    n = len(order)
    strength = np.where(calm, 0.4, 1.0)
    saturation = 1 + rng.normal(0, 0.25, n) * strength
    saturation = np.where(grey, 0.0, saturation.clip(0.2, 1.8))
    angle = rng.normal(0, 0.14, n) * strength
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    axis = np.ones((3, 3)) / 3  # a rotation about the grey axis, by Rodrigues' formula
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    hue = cos * np.eye(3) + sin * cross + (1 - cos) * axis
    luminance = np.outer(LUMINANCE, np.ones(3))
    fade = saturation[:, None, None] * np.eye(3) + (1 - saturation[:, None, None]) * luminance
    colours: Array = CHANNEL_ORDERS[order] @ hue @ fade
    return colours.astype(np.float32)


def draw(
    rng: np.random.Generator,
    size: int,
    source: int,
    aspect: Array,
    opaque: Array,
    frame: Array,
    calm: Array,
    order: Array,
    backgrounds: int,
) -> dict[str, Array]:
    """Draw the parameters of a batch of n pictures; ``order`` (n,) indexes CHANNEL_ORDERS."""
    n = len(aspect)
    background = rng.random(n)  # white, flat colour, gradient or photograph
    white = background < np.where(calm, 0.75, 0.3)
    corners = rng.uniform(0, 255, (n, 1, 1, 3)) + np.zeros((n, 2, 2, 3))
    gradient = rng.random(n) < 0.5
    corners = np.where(gradient[:, None, None, None], rng.uniform(0, 255, (n, 2, 2, 3)), corners)
    corners = np.where(white[:, None, None, None], 255.0, corners)
    photo = (~white) & (rng.random(n) < 0.5)
    strength = np.where(calm, 0.4, 1.0)[:, None, None, None]
    light = np.exp(rng.normal(0, 0.18, (n, 1, 1, 1)) * strength)
    light = light * np.exp(rng.normal(0, 0.18, (n, 2, 2, 1)) * strength)
    light = light * np.exp(rng.normal(0, 0.05, (n, 1, 1, 3)) * strength)
    contrast = np.exp(rng.normal(0, 0.15, (n, 1, 1, 1)) * strength)
    untouched = (white & (rng.random(n) < np.where(calm, 0.5, 0.2)))[:, None, None, None]
    coarse = rng.random(n) < np.where(calm, 0.08, 0.25)
    # Two-tone pictures, like the sprites of early consoles: grey, then a curve for each channel.
    duotone = ~calm & (rng.random(n) < 0.1)
    grey = duotone | (rng.random(n) < 0.04)
    curve = np.where(duotone[:, None], rng.uniform(-0.9, 0.9, (n, 3)), rng.normal(0, 0.08, (n, 3)))
    few_levels = rng.random(n) < np.where(calm, 0.0, np.where(duotone, 0.6, 0.08))
    levels = np.where(few_levels, rng.integers(3, 9, n), 256)
    patch = rng.uniform(0, 1, (n, 2))
    half = np.where(rng.random(n) < np.where(calm, 0.0, 0.2), rng.uniform(0.05, 0.2, n), 0.0)[
        :, None
    ]
    noise = rng.exponential(4.0, n) * (rng.random(n) < 0.3)
    return {
        "warp": draw_warps(rng, size, source, aspect, opaque, frame, calm),
        "colour": draw_colours(rng, order, calm, grey),
        "curve": (curve * np.where(untouched[:, 0, 0] & ~duotone[:, None], 0.0, 1.0)).astype(
            np.float32
        )[:, None, None],
        "corners": corners.astype(np.float32),
        "photo": np.where(photo, rng.integers(0, backgrounds, n), -1).astype(np.int32),
        "light": np.where(untouched, 1.0, light * contrast).astype(np.float32),
        "offset": np.where(untouched, 0.0, 127.5 * (1 - contrast)).astype(np.float32),
        "coarse": np.where(coarse, rng.integers(0, 2 * len(COARSE), n), -1).astype(np.int32),
        "seed": rng.integers(0, 2**31, 2).astype(np.int32),
        "levels": levels.astype(np.float32)[:, None, None, None],
        "patch": np.stack([patch - half, patch + half], 1).astype(np.float32),
        "noise": noise.astype(np.float32)[:, None, None, None],
    }


def resampling_maps(size: int) -> Array:
    """Return maps (2 * len(COARSE), size, size) that reduce a row of pixels and enlarge it again.

    The first half enlarge by repeating pixels (a pixelated picture), the second half by
    interpolation (a blurred one).
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
    return np.array(maps, np.float32)


def render(
    cutouts: Tensor, backgrounds: Tensor, resampling: Tensor, params: dict[str, Tensor], size: int
) -> Tensor:
    """Return the pixels (n, size, size, 3) float32 of a batch.

    cutouts (n, c, c, 4) uint8 premultiplied; backgrounds (m, size, size, 3) uint8; resampling as
    returned by `resampling_maps`; params as drawn by `draw`.
    """
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(cutouts, tf.float32),
        transforms=params["warp"],
        output_shape=[size, size],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )
    photos = tf.gather(backgrounds, tf.maximum(params["photo"], 0))
    x = _compose(warped, photos, params, size)
    selected = tf.where(params["coarse"] >= 0)
    blur = tf.gather(resampling, tf.gather_nd(params["coarse"], selected))  # (m, size, size)
    coarse = tf.einsum("nyh,nhwc->nywc", blur, tf.gather_nd(x, selected))
    coarse = tf.einsum("nxw,nywc->nyxc", blur, coarse)
    x = tf.tensor_scatter_nd_update(x, selected, coarse)

    grain = tf.random.stateless_normal([1, size, size, 3], params["seed"])
    return _finish(x, grain, params, size)


def _spread(corners: Tensor, size: int) -> Tensor:
    """Interpolate between the values at the corners (n, 2, 2, c), to (n, size, size, c)."""
    ramp = (tf.range(size, dtype=tf.float32) + 0.5) / size
    down = (
        corners[:, :1] + (corners[:, 1:] - corners[:, :1]) * ramp[:, None, None]
    )  # (n, size, 2, c)
    return down[:, :, :1] + (down[:, :, 1:] - down[:, :, :1]) * ramp[:, None]


# Compiled, these two functions make one pass over the pixels instead of twenty.
@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _compose(warped: Tensor, photos: Tensor, params: dict[str, Tensor], size: int) -> Tensor:
    """Add the background and apply colour and light."""
    is_photo = (params["photo"] >= 0)[:, None, None, None]
    behind = tf.where(is_photo, tf.cast(photos, tf.float32), _spread(params["corners"], size))
    x = warped[..., :3] + behind * (1 - warped[..., 3:] / 255)
    rows = params["colour"][:, None, None]  # (n, 1, 1, 3, 3)
    x = x[..., :1] * rows[..., 0, :] + x[..., 1:2] * rows[..., 1, :] + x[..., 2:] * rows[..., 2, :]
    x = x + params["curve"] * x * (1 - x / 255)
    return x * _spread(params["light"], size) + params["offset"]


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _finish(x: Tensor, grain: Tensor, params: dict[str, Tensor], size: int) -> Tensor:
    """Hide a patch, reduce the levels and add noise.

    The patch is that of Zhong et al. 2020, "Random Erasing Data Augmentation".
    """
    ramp = (tf.range(size, dtype=tf.float32) + 0.5) / size
    start, stop = params["patch"][:, 0, :, None], params["patch"][:, 1, :, None]  # (n, 2, 1)
    inside = (ramp >= start) & (ramp <= stop)  # (n, 2, size)
    hidden = (inside[:, 0, :, None] & inside[:, 1, None, :])[..., None]
    x = tf.where(hidden, params["corners"][:, :1, :1], x)
    step = 255 / (params["levels"] - 1)
    x = tf.floor(x / step + 0.5) * step
    return tf.clip_by_value(x + params["noise"] * grain, 0, 255)


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
