"""Portraits under small changes, which should keep their answers."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageOps

from pokesim.images import Pixels, pixels_of
from pokesim.training.lda import Labelled


def flip(picture: Image.Image) -> Image.Image:
    """Mirror a picture."""
    return ImageOps.mirror(picture)


def crop(picture: Image.Image) -> Image.Image:
    """Keep the central 90 % of the width and of the height."""
    across, down = (round(side / 20) for side in picture.size)
    return picture.crop((across, down, picture.width - across, picture.height - down))


def light(picture: Image.Image) -> Image.Image:
    """Make a picture a fifth brighter."""
    return ImageEnhance.Brightness(picture).enhance(1.2)


def small(picture: Image.Image) -> Image.Image:
    """Scale a picture to a third of its width and height."""
    return picture.resize((max(1, picture.width // 3), max(1, picture.height // 3)))


CHANGES = {change.__name__: change for change in (flip, crop, light, small)}
"""Changes of a portrait, by name."""


def labelled(
    paths: Sequence[Path], side: int, embed: Callable[[Pixels], npt.NDArray[np.float32]]
) -> Labelled:
    """Return the vectors of portraits and of their changes; each portrait is a class.

    Its within-class scatter is what the changes do, so a metric that is learned from it keeps
    portraits apart and each one steady. ``embed`` maps pixels (1, side, side, 3) to vectors (1, d).
    """
    rows = []
    for path in paths:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        views = [picture, *(change(picture) for change in CHANGES.values())]
        rows += [embed(pixels_of(view, side)[None])[0] for view in views]
    labels = np.repeat(np.arange(len(paths)), 1 + len(CHANGES))
    return Labelled(np.stack(rows), labels, spread=2.0)


def without_common(vectors: Labelled) -> npt.NDArray[np.float32]:
    """Return a projection (d, d) that takes the mean direction of unit vectors out of the space.

    What all portraits have in common decides their nearest pictures otherwise, and most get the
    same one.
    """
    mean = vectors.x.mean(0)
    direction = mean / np.linalg.norm(mean)
    return (np.eye(len(mean)) - np.outer(direction, direction)).astype(np.float32)
