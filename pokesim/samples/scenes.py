"""Backgrounds for the sample photos: places, as a camera focused nearer would blur them.

Every scene takes the size of the picture and a source of chance, and returns an (h, w, 3) array
of numbers from 0 to about 255.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.floating]


def _color(*rgb: float) -> Pixels:
    return np.array(rgb, dtype=np.float32)


def _noise(w: int, h: int, rng: np.random.Generator, across: int, down: int) -> Pixels:
    """Smooth chance values (h, w, 1), about -1 to 1, in roughly `across` x `down` waves."""
    grid = rng.uniform(-1, 1, (max(down, 2), max(across, 2))).astype(np.float32)
    waves = Image.fromarray(grid).resize((w, h), Image.Resampling.BICUBIC)
    return np.asarray(waves, dtype=np.float32)[..., None]


def _mixed(start: Pixels, end: Pixels, share: Pixels) -> Pixels:
    return start + (end - start) * np.clip(share, 0, 1)


def _down(h: int) -> Pixels:
    """How far down the picture each row is, 0 to 1, as (h, 1, 1)."""
    return np.linspace(0, 1, h, dtype=np.float32)[:, None, None]


def _right(w: int) -> Pixels:
    """How far to the right each column is, 0 to 1, as (1, w, 1)."""
    return np.linspace(0, 1, w, dtype=np.float32)[None, :, None]


def _blur(pixels: Pixels, radius: float) -> Pixels:
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)


def _discs(pixels: Pixels, rng: np.random.Generator, count: int, colors: list[Pixels]) -> Pixels:
    """Out-of-focus lights strewn over the upper two thirds."""
    h, w = pixels.shape[:2]
    pixels = pixels.copy()
    for _ in range(count):
        x, y = rng.uniform(0, w), rng.uniform(-0.05, 0.62) * h
        radius = float(rng.uniform(0.025, 0.075) * w)
        spot = Image.new("L", (w, h))
        box = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(spot).ellipse(box, fill=int(rng.uniform(50, 140)))
        rows = slice(max(0, int(y - radius)), int(y + radius) + 2)
        columns = slice(max(0, int(x - radius)), int(x + radius) + 2)
        glow = np.asarray(spot, dtype=np.float32)[rows, columns, None] / 255
        color = colors[int(rng.integers(len(colors)))]
        pixels[rows, columns] = _mixed(pixels[rows, columns], color, glow)
    return _blur(pixels, 1.5)


def bokeh(w: int, h: int, rng: np.random.Generator) -> Pixels:
    """City lights in the evening beyond a dark table."""
    night: Pixels = _mixed(_color(28, 30, 56), _color(74, 52, 74), _down(h) * 1.4) + 0 * _right(w)
    lamps = ((255, 196, 110), (255, 140, 90), (150, 190, 255), (255, 230, 190))
    night = _discs(night, rng, 26, [_color(*lamp) for lamp in lamps])
    table = _mixed(_color(92, 62, 50), _color(58, 38, 34), (_down(h) - 0.66) * 3)
    table = table + 5 * _noise(w, h, rng, 4, 90)
    return _mixed(night, table, (_down(h) - 0.655) * 60)


def meadow(w: int, h: int, rng: np.random.Generator) -> Pixels:
    """Grass under a summer sky."""
    sky = _mixed(_color(108, 168, 226), _color(214, 234, 244), _down(h) * 2)
    sky = _mixed(sky, _color(250, 250, 250), 0.9 * _noise(w, h, rng, 6, 9) - 0.1)
    hills = 0.42 + 0.05 * _noise(w, 1, rng, 5, 2)
    grass = _mixed(_color(140, 176, 84), _color(72, 124, 48), (_down(h) - 0.45) * 2)
    blades = _noise(w, h, rng, w // 7, h // 26) * 20 * _down(h) + 14 * _noise(w, h, rng, 9, 12)
    field = _mixed(sky, _color(104, 142, 100), (_down(h) - hills) * 60)
    return _blur(_mixed(field, grass + blades, (_down(h) - 0.47) * 40), 2.2)


def table(w: int, h: int, rng: np.random.Generator) -> Pixels:
    """A plank table in front of a plain wall."""
    wall = _mixed(_color(214, 206, 192), _color(176, 166, 152), _right(w) + 0.4 * _down(h))
    wood = _color(168, 118, 74) + 16 * _noise(w, h, rng, 5, 60) + 8 * _noise(w, h, rng, 12, 200)
    wood = wood * (0.8 + 0.35 * _down(h))
    depth = np.maximum(_down(h) - 0.45, 1e-3)
    seams = np.abs((_right(w) - 0.5) / (0.35 + depth) * 4 + 0.5) % 1
    wood = np.where(seams < 0.03, wood * 0.6, wood)
    return _blur(_mixed(wall, wood, (_down(h) - 0.46) * 80), 1.5)


def room(w: int, h: int, rng: np.random.Generator) -> Pixels:
    """A corner of a painted room with a wooden floor, a window's light on the wall."""
    paints = ((158, 190, 186), (206, 178, 160), (172, 176, 204), (196, 200, 164))
    wall = _color(*paints[int(rng.integers(len(paints)))]) * (1.05 - 0.25 * _right(w))
    x, y = _right(w), _down(h)
    panes = (np.abs((x - 0.3 + 0.2 * y) % 0.16 - 0.08) > 0.01) & (np.abs(y % 0.2 - 0.1) > 0.012)
    window = (x + 0.2 * y > 0.16) & (x + 0.2 * y < 0.48) & (y > 0.06) & (y < 0.45) & panes
    wall = wall + 34 * _blur(np.repeat(window * _color(255, 255, 255), 1, axis=2), 5) / 255
    skirting = _color(236, 232, 224) + 0 * x
    floor = _color(150, 104, 70) * (0.85 + 0.3 * y) + 9 * _noise(w, h, rng, 6, 110)
    lower = _mixed(skirting + 0 * y, floor, (y - 0.66) * 200)
    return _blur(_mixed(wall + 0 * y, lower, (y - 0.61) * 200), 1.6)


def sand(w: int, h: int, rng: np.random.Generator) -> Pixels:
    """A beach with the sea behind it."""
    x, y = _right(w), _down(h)
    sky = _mixed(_color(140, 190, 226), _color(226, 236, 236), y * 3) + 0 * x
    sea = _mixed(_color(60, 132, 160), _color(126, 190, 190), (y - 0.3) * 6)
    sea = sea + 12 * _noise(w, h, rng, 9, 90)
    ripples = 9 * np.sin((y**1.5 * 70 + 2.2 * _noise(w, h, rng, 6, 4)) * 1.6)
    dry = _mixed(_color(206, 182, 140), _color(230, 206, 164), (y - 0.4) * 2) + ripples * y
    dry = dry + rng.normal(0, 5, (h, w, 1)).astype(np.float32)
    foam = 0.46 + 0.012 * _noise(w, 1, rng, 9, 2)
    shore = _mixed(_mixed(sky, sea, (y - 0.31) * 80), _color(244, 248, 244), (y - foam + 0.02) * 60)
    return _blur(_mixed(shore, dry, (y - foam) * 60), 1.2)


def forest(w: int, h: int, rng: np.random.Generator) -> Pixels:
    """Trunks in soft light, moss below."""
    y = _down(h)
    air = _mixed(
        _color(206, 220, 160),
        _color(74, 112, 70),
        y * 1.5 + 0.35 * _noise(w, h, rng, 7, 5),
    )
    for _ in range(9):
        x, half = rng.uniform(0, 1), rng.uniform(0.012, 0.04)
        trunk = np.clip(1.3 - np.abs(_right(w) - x - 0.02 * np.sin(y * 5 + x * 9)) / half, 0, 1)
        air = _mixed(air, _color(74, 62, 50) * np.float32(rng.uniform(0.7, 1.5)), 0.85 * trunk)
    air = _discs(_blur(air, 6), rng, 16, [_color(232, 240, 170), _color(190, 220, 120)])
    moss = _mixed(_color(88, 112, 52), _color(60, 78, 38), (y - 0.6) * 2.5)
    moss = moss + 22 * _noise(w, h, rng, w // 10, h // 10) + 14 * _noise(w, h, rng, 8, 8)
    return _blur(_mixed(air, moss, (y - 0.58) * 14 + 0.3 * _noise(w, h, rng, 20, 2)), 2)


def brick(w: int, h: int, rng: np.random.Generator) -> Pixels:
    """A brick wall above paving."""
    rows, columns = 13, 9
    y, x = _down(h) * rows, _right(w) * columns
    course = np.floor(y)
    shifted = x + 0.5 * (course % 2)
    mortar = ((y - course) < 0.13) | ((shifted % 1) < 0.06)
    tint = rng.uniform(-26, 26, (rows + 1, columns + 2)).astype(np.float32)
    tone = tint[course.astype(int), np.floor(shifted).astype(int)]
    clay = _color(164, 88, 66) + tone * _color(1.0, 0.7, 0.6) + 12 * _noise(w, h, rng, 80, 60)
    wall = np.where(mortar, _color(186, 178, 166), clay)
    paving = _color(150, 148, 142) * (0.75 + 0.35 * _down(h)) + 10 * _noise(w, h, rng, 60, 40)
    return _blur(_mixed(wall, paving, (_down(h) - 0.7) * 70), 1.8)


def fabric(w: int, h: int, rng: np.random.Generator) -> Pixels:
    """A checked cloth in folds, seen from above."""
    y, x = _down(h) * h / w, _right(w)
    dyes = [_color(190, 70, 74), _color(70, 110, 160), _color(90, 140, 100), _color(180, 140, 80)]
    dye = dyes[int(rng.integers(len(dyes)))]
    warp = 0.05 * _noise(w, h, rng, 4, 4)
    checks = ((x + warp) % 0.16 < 0.08).astype(np.float32) + ((y + warp) % 0.16 < 0.08)
    cloth = _mixed(_color(236, 230, 218), dye, 0.42 * checks)
    folds = np.sin((x * 0.9 + y * 0.6 + 3 * warp) * 14)
    weave = rng.normal(0, 4, (h, w, 1)).astype(np.float32)
    return _blur(cloth * (1 + 0.09 * folds) + weave, 1)


def snow(w: int, h: int, rng: np.random.Generator) -> Pixels:
    """A snowy field before a line of firs."""
    x, y = _right(w), _down(h)
    sky = _mixed(_color(168, 190, 216), _color(232, 224, 224), y * 2.4) + 0 * x
    ridge = 0.4 + 0.06 * _noise(w, 1, rng, 30, 2) - 0.05 * np.abs(np.sin(x * 40))
    firs = _mixed(sky, _color(70, 92, 98), (y - ridge) * 30)
    drift = _mixed(_color(206, 218, 234), _color(240, 243, 248), (y - 0.45) * 1.8)
    drift = drift + 10 * _noise(w, h, rng, 5, 10) + 3 * _noise(w, h, rng, 90, 60)
    return _blur(_mixed(firs, drift, (y - 0.48 + 0.02 * _noise(w, 1, rng, 4, 2)) * 40), 2)


def shelf(w: int, h: int, rng: np.random.Generator) -> Pixels:
    """The spines of books behind a white shelf board."""
    y = _down(h)
    picture = Image.new("RGB", (w, h), (70, 58, 52))
    draw, x = ImageDraw.Draw(picture), 0.0
    while x < w:
        thick = float(rng.uniform(0.04, 0.085) * w)
        top = float(rng.uniform(0.02, 0.2) * h)
        cover = tuple(int(v) for v in rng.uniform(60, 190, 3))
        draw.rectangle((x, top, x + thick - 3, h), fill=(cover[0], cover[1], cover[2]))
        draw.rectangle((x, top + 0.08 * h, x + thick - 3, top + 0.11 * h), fill=(214, 196, 150))
        x += thick
    books = _blur(np.asarray(picture, dtype=np.float32), 6) * 0.85
    board = _mixed(_color(206, 202, 196), _color(236, 233, 228), (y - 0.72) * 3.5)
    return _mixed(books, board + 2 * _noise(w, h, rng, 5, 80), (y - 0.7) * 60)


SCENES = (bokeh, meadow, table, room, sand, forest, brick, fabric, snow, shelf)
