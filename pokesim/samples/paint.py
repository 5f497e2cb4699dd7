"""Turn a list of flat parts into a softly lit, outlined picture.

Each part is shaded as if it were a little cushion lit from the upper left, and throws a soft
shadow on the parts already painted below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from pokesim.samples.geometry import Shape

Color = tuple[int, int, int]

SMALL = 256  # pictures up to this side are drawn three times as large, larger ones twice

COARSE = 4  # light and shadow are soft: they are worked out on a grid this much coarser

MARGIN = 0.04  # of the picture's side, left free all round

LINE = 0.028  # width of an outline in creature units

WHITE: Color = (255, 255, 255)

INK: Color = (43, 35, 52)

SUNLIGHT: Color = (255, 249, 230)

HAZE: Color = (238, 236, 246)  # what is seen through clear parts, as nothing lies behind them

SHADOW: Color = (66, 44, 96)  # shadows lean to violet, which keeps colours from going muddy


@dataclass(frozen=True)
class Mark:
    """Something painted on a part and cut off at its edge; `soft` blurs it (creature units)."""

    shapes: Sequence[Shape]
    color: Color
    soft: float = 0.0
    opacity: float = 1.0


@dataclass(frozen=True)
class Part:
    """One limb, shell or eye: the union of some shapes in one colour, with what is on it."""

    shapes: Sequence[Shape]
    color: Color
    marks: Sequence[Mark] = ()
    line: float = 1.0  # outline width, as a multiple of LINE
    shade: float = 1.0  # how strongly it is lit and throws shadow; 0 for flat details
    opacity: float = 1.0


def blend(color: Color, other: Color, share: float) -> Color:
    """The colour moved by `share` (0 to 1) of the way towards the other."""
    r, g, b = (round(a + (b - a) * share) for a, b in zip(color, other, strict=True))
    return r, g, b


def darker(color: Color, share: float = 0.25) -> Color:
    """The colour in shadow."""
    return blend(color, SHADOW, share)


def lighter(color: Color, share: float = 0.35) -> Color:
    """The colour in light."""
    return blend(color, WHITE, share)


def stretched(parts: Sequence[Part], across: float, down: float) -> list[Part]:
    """The parts with all x multiplied by `across` and all y by `down`."""
    factor = np.array([across, down])

    def stretch(shapes: Sequence[Shape]) -> list[Shape]:
        return [shape * factor for shape in shapes]

    return [
        replace(
            part,
            shapes=stretch(part.shapes),
            marks=[replace(mark, shapes=stretch(mark.shapes)) for mark in part.marks],
        )
        for part in parts
    ]


def render(parts: Sequence[Part], size: int) -> Image.Image:
    """Paint the parts, first ones lowest, to fill a transparent (size, size) RGBA picture."""
    side = size * (3 if size <= SMALL else 2)
    points = np.concatenate([shape for part in parts for shape in part.shapes])
    low, high = points.min(axis=0) - LINE, points.max(axis=0) + LINE
    scale = side * (1 - 2 * MARGIN) / float((high - low).max())
    shift = side / 2 - scale * (low + high) / 2
    canvas, covered = Image.new("RGB", (side, side), HAZE), Image.new("L", (side, side))
    for part in parts:
        _paint(canvas, covered, part, scale, shift)
    canvas.putalpha(covered)
    # Averaged with colours weighed by opacity ("RGBa"), or the haze would fringe the outline.
    return canvas.convert("RGBa").reduce(side // size).convert("RGBA")


def _paint(
    canvas: Image.Image, covered: Image.Image, part: Part, scale: float, shift: Shape
) -> None:
    """Paint one part; shapes are multiplied by `scale` and moved by `shift`.

    What has been painted so far is in `canvas`, and where that is, in `covered`: shadows may
    fall beside the creature, but only what is covered will be seen.
    """
    reach = round((0.1 if part.shade else 2 * LINE) * scale)  # how far its shadow or line goes
    points = np.concatenate(list(part.shapes)) * scale + shift
    left, top = np.maximum(np.floor(points.min(axis=0)).astype(int) - reach, 0)
    right, bottom = np.minimum(np.ceil(points.max(axis=0)).astype(int) + reach, canvas.size)
    box = (int(left), int(top), int(right), int(bottom))
    size = (box[2] - box[0], box[3] - box[1])
    shift = shift - np.array(box[:2])

    inside = _mask(size, part.shapes, scale, shift)
    outer = _grown(inside, part.line * LINE * scale) if part.line else inside
    fill = Image.new("RGB", size, part.color)
    for mark in part.marks:
        stain = _mask(size, mark.shapes, scale, shift)
        if mark.soft:
            stain = _blurred(stain, mark.soft * scale)
        fill.paste(mark.color, mask=_faded(stain, mark.opacity))
    if part.shade:
        extent = np.ptp(points, axis=0)
        cushion = min(0.2 * float(np.sqrt(extent[0] * extent[1])), 0.16 * scale)
        fill = _lit(fill, inside, cushion, part.shade)
        fallen = _blurred(outer, 0.03 * scale, offset=0.035 * scale)
        canvas.paste(SHADOW, box, _faded(fallen, 0.38 * part.opacity))
    if part.line:
        canvas.paste(blend(part.color, INK, 0.78), box, ImageChops.subtract(outer, inside))
    canvas.paste(fill, box, _faded(inside, part.opacity))
    covered.paste(255, box, outer)


def _faded(mask: Image.Image, opacity: float) -> Image.Image:
    return mask if opacity == 1 else mask.point([round(v * opacity) for v in range(256)])


def _mask(
    size: tuple[int, int], shapes: Sequence[Shape], scale: float, shift: Shape
) -> Image.Image:
    """The union of the shapes as a black and white "L" picture."""
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for shape in shapes:
        draw.polygon((shape * scale + shift).ravel().tolist(), fill=255)
    return mask


def _grown(mask: Image.Image, by: float) -> Image.Image:
    """The mask grown by so many pixels all round: blurred, and cut off low on the slope.

    Smoother than drawing round the shapes, and an outline tapers nicely on thorns.
    """
    blurred = mask.filter(ImageFilter.GaussianBlur(0.7 * by))
    # What 0.7 puts at 1.43 standard deviations outside an edge: 0.076 of the height.
    return blurred.point([255 if v > 19 else 0 for v in range(256)])


def _blurred(mask: Image.Image, radius: float, offset: float = 0.0) -> Image.Image:
    """The mask blurred and moved down and half as far right (pixels), via a coarser grid."""
    step = round(offset / COARSE)
    coarse = mask.reduce(COARSE).filter(ImageFilter.GaussianBlur(radius / COARSE))
    coarse = ImageChops.offset(coarse, (step + 1) // 2, step)
    return coarse.resize(mask.size, Image.Resampling.BILINEAR)


def _lit(fill: Image.Image, inside: Image.Image, radius: float, strength: float) -> Image.Image:
    """The fill as a cushion in light from the upper left.

    A blurred mask is a hill; how steeply it rises away from the light tells which flank of the
    hill a pixel lies on.
    """
    coarse = inside.reduce(COARSE).filter(ImageFilter.GaussianBlur(radius / COARSE))
    hill = np.asarray(coarse, dtype=np.float32)
    reach = max(1, round(0.8 * radius / COARSE))
    pad = np.pad(hill, reach)
    rise = pad[2 * reach :, 2 * reach :] - pad[: -2 * reach, : -2 * reach]

    def flank(steepness: NDArray[np.float32]) -> Image.Image:
        mask = Image.fromarray(np.clip(steepness * strength, 0, 255).astype(np.uint8))
        return mask.resize(fill.size, Image.Resampling.BILINEAR)

    dim = ImageChops.multiply(fill, Image.new("RGB", fill.size, SHADOW))
    lit = Image.composite(dim, fill, flank(-0.85 * rise))
    lit.paste(SUNLIGHT, mask=flank(0.55 * rise))
    return lit
