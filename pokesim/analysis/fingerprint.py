"""Perceptual hashes that tell copies of a picture from pictures that only resemble it.

A fingerprint is the lowest frequencies of the cosine transform (DCT) of a small grey copy, as in
pHash, but each is clipped instead of reduced to its sign: the frequencies that a symmetric drawing
lacks are noise, and their signs would be half of the hash. Resizing, recompressing and the loss of
colour hardly change it; a mirror image negates the odd frequencies, and a quarter turn also
transposes them, so no picture is hashed more than once. What cropping does to it is found by
comparing the fingerprints of all slight crops of one picture with that of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pokesim.analysis.rings import RINGS, TERMS, Rings, ring_hash
from pokesim.errors import PictureError
from pokesim.images import thumbnail_of
from pokesim.progress import Progress
from pokesim.threads import read_ahead

WHOLE = 0.93
"""Least correlation of two fingerprints of the same picture. Of 150 photographs and 151 drawings,
any resized, recompressed, grey, mirrored or turned copy reaches 0.98; of 6,224 photographs, no two
that a person would tell apart reach 0.90."""

CROPPED = 0.87
"""The same for a picture and the best crop of another: copies reach 0.88, others 0.84."""

_SIDE = 64  # of the grey copy, in pixels

_READ = 96  # side of the copy in proportion that is read, in pixels

_TERMS = 16  # frequencies in each direction

_CLIP = 300.0  # a frequency beyond this counts no more; JPEG's noise stays well below it

_BLANK = (
    0.5  # a picture whose frequencies are all about 0, such as a white page, has no fingerprint
)

_LOW, _LIKELY = 12, 16  # frequencies that all crops are compared by; crops compared by all of them

_MARGIN = 6  # the most that is cropped off at each side, in pixels of the grey copy: 9 %

_GREY, _RECOLOURED = 4.0, 16.0  # mean distances in the planes of colour, Cb and Cr, of 0..255

_MIDDLE = slice(_SIDE // 4, -(_SIDE // 4))  # for the colour: black corners of a turned copy are not

_AHEAD = 64  # pictures read ahead

Rows = NDArray[np.float32]

Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What is kept of n pictures to compare them: 8 kB each.

    Attributes:
        hashes: float32 (n, 256), of length 1; zeros for a picture that cannot be read or is blank.
        grey: uint8 (n, 64, 64), the grey copies.
        rings: complex64 (n, rings, terms), the hashes of their discs; see `rings`.
        colours: float32 (n, 2), the mean of Cb and of Cr in the middle; NaN for a grey one.
        unread: the reasons why pictures cannot be read.
    """

    hashes: Rows
    grey: Plane
    rings: Rings
    colours: Rows
    unread: list[PictureError]


def read_fingerprints(paths: Sequence[Path], on_progress: Progress) -> Fingerprints:
    """Read pictures, in threads, and return their fingerprints; the progress is (read, all)."""
    count = len(paths)
    hashes = np.zeros((count, _TERMS * _TERMS), np.float32)
    grey = np.zeros((count, _SIDE, _SIDE), np.uint8)
    rings = np.zeros((count, RINGS, TERMS), np.complex64)
    colours = np.full((count, 2), np.nan, np.float32)
    unread: list[PictureError] = []
    on_progress(0, count)
    for at, found in enumerate(read_ahead(_read, paths, _AHEAD)):
        if isinstance(found, PictureError):
            unread.append(found)
        else:
            planes, rings[at] = found
            grey[at] = planes[..., 0]
            colours[at] = _colour(planes[..., 1:])
            hashes[at] = _hashes((_FULL @ grey[at] @ _FULL.T).reshape(-1))
        on_progress(at + 1, count)
    return Fingerprints(hashes, grey, rings, colours, unread)


def turned(hashes: Rows) -> Iterator[Rows]:
    """Yield the hashes (n, 256) of pictures as they are, and in each of the 7 other orientations.

    The second and the third are the mirror images, left to right and upside down.
    """
    planes = hashes.reshape(-1, _TERMS, _TERMS)
    odd = 1 - 2 * (np.arange(_TERMS, dtype=np.float32) % 2)
    for transposed in (False, True):
        base = planes.transpose(0, 2, 1) if transposed else planes
        for across, down in ((1, 1), (odd, 1), (1, odd), (odd, odd)):
            signs = np.multiply(across, np.asarray(down).reshape(-1, 1))
            yield (base * signs).reshape(hashes.shape)


def crop_scores(grey: Plane, hashes: Rows) -> Rows:
    """Compare the slight crops of one picture, the whole one included, with other pictures.

    All crops are compared by their lowest frequencies, and the best ones by all.

    Args:
        grey: uint8 (64, 64), the grey copy of the one picture.
        hashes: float32 (n, 256), the hashes of the others.

    Returns:
        float32 (n,), the correlation of each with the best crop for it.
    """
    plane = grey.astype(np.float32)
    count, waves = len(_CROPS), _CROPS[:, :_LOW]
    # In small products: BLAS would spend longer on dividing large ones among threads.
    low = (waves @ plane @ waves.reshape(-1, _SIDE).T).reshape(count, _LOW, count, _LOW)
    crops = _hashes(low.swapaxes(1, 2).reshape(count, count, -1))
    others = hashes.reshape(-1, _TERMS, _TERMS)[:, :_LOW, :_LOW].reshape(len(hashes), -1)
    scores = (crops @ others.T).reshape(count * count, -1).T  # (n, crops)
    likely = np.argpartition(scores, -_LIKELY)[:, -_LIKELY:]
    down, across = _CROPS[likely // count], _CROPS[likely % count]  # (n, likely, 16, 64)
    best_crops = _hashes((down @ plane @ across.swapaxes(2, 3)).reshape(*likely.shape, -1))
    best: Rows = np.einsum("nld,nd->nl", best_crops, hashes).max(axis=1)
    return best


def recoloured(colours: Rows, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each pair of pictures whether both have colour, and differ in it."""
    apart = np.linalg.norm(colours[a] - colours[b], axis=1)
    differ: NDArray[np.bool_] = apart > _RECOLOURED  # NaN does not
    return differ


def _read(path: Path) -> tuple[Plane, Rings] | PictureError:
    """Return the planes Y, Cb and Cr of a small square copy, uint8 (64, 64, 3), and the rings."""
    try:
        picture = thumbnail_of(path, _READ, _READ)
    except PictureError as error:
        return error
    square = picture.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    return np.asarray(square.convert("YCbCr")), ring_hash(picture)


def _colour(planes: Plane) -> Rows:
    from_grey = planes[_MIDDLE, _MIDDLE].reshape(-1, 2).astype(np.float32) - 128
    strength = np.linalg.norm(from_grey, axis=1).mean()
    return from_grey.mean(axis=0) if strength > _GREY else np.full(2, np.nan, np.float32)


def _hashes(frequencies: Rows) -> Rows:
    """Return the hashes of frequencies, float32 (…, terms²) with the brightness first."""
    rows = frequencies / _CLIP
    np.clip(rows, -1, 1, out=rows)
    rows[..., 0] = 0
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    rows *= (lengths >= _BLANK) / np.maximum(lengths, _BLANK)
    return rows


def _transform(left: int, right: int) -> Rows:
    """Return the cosine transform, float32 (16, 64), of 64 pixels without those at the ends."""
    width = _SIDE - left - right
    x = np.arange(_SIDE) + 0.5 - left
    waves = np.cos(np.pi / width * np.arange(_TERMS)[:, None] * x) * _SIDE / width
    return np.where((x > 0) & (x < width), waves, 0).astype(np.float32)


_FULL = _transform(0, 0)

_CROPS = np.array(
    [_transform(left, right) for left in range(_MARGIN + 1) for right in range(_MARGIN + 1)]
)
