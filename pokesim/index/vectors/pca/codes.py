"""What a code is: the rotation that makes it of a vector, its rounding, and the files of both."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pokesim.metric import parse_matrix, save_matrix

LEVELS = 127
"""Of a coordinate in 8 bits, in either direction."""

_HEADER = struct.Struct("<4siqqqBiiifQQQQ")

HEADER_SIZE = _HEADER.size

_METRIC_L2 = 1

_ROUNDING = 2.0**-23

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to store a coordinate.

    Attributes:
        number: FAISS's number of it, a ScalarQuantizer.QuantizerType.
        bytes: bytes of a coordinate.
        largest: the largest one, in steps.
        radius: about how far rounding moves a vector and a query, as a share of the root mean
            square length.
    """

    number: int
    bytes: int
    largest: int
    radius: float


INT8, FLOAT16 = Kind(8, 1, LEVELS, 0.0175), Kind(4, 2, 60_000, 0.0005)
"""Whole numbers, and where vectors differ by little, float16 numbers."""


class Quantizer(NamedTuple):
    """The map from vectors to codes.

    Attributes:
        step: the distance between two levels of a coordinate.
        fitted: the number of vectors that it was fitted to; 0 if it is not known.
        radius: no vector is farther than this from its code, after the rotation.
        mean: float64 (d,).
        directions: float64 (d, h - 1); as a matrix it makes no vector longer.
        origin: float64 (h,), what is subtracted from the coordinates.
    """

    step: float
    fitted: float
    radius: float
    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    origin: NDArray[np.float64]

    @property
    def width(self) -> int:
        """The number of coordinates, h."""
        return len(self.origin)

    def scaled(self, x: Rows) -> NDArray[np.float64]:
        """Return the coordinates of vectors (n, d), in steps, float64 (n, h)."""
        return (coordinates(x, self.mean, self.directions) - self.origin) / self.step

    def bound(self, code: Rows, moved: float, squared: float) -> float:
        """Return a squared distance in steps that no code of a near enough vector exceeds.

        Args:
            code: the code of a query, (h,).
            moved: how far it is from the query's coordinates, in steps.
            squared: the squared distance of near enough vectors to it.
        """
        # FAISS, and we, add up squares in float32. The length of the rest is a difference of
        # squares, whose float64 rounding counts most if it is small.
        d, h = len(self.directions), self.width
        distance = (math.sqrt(squared) * (1 + d * _ROUNDING) + self.radius) / self.step + moved
        distance += float(np.linalg.norm(code)) * (1 + math.sqrt(d)) * _ROUNDING
        return float(distance * distance * (1 + h * _ROUNDING))


def coordinates(
    x: Rows, mean: NDArray[np.float64], directions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the coordinates of vectors (n, d), and the length of the rest, float64 (n, h)."""
    centred = x - mean
    kept = centred @ directions
    rest = np.einsum("nd,nd->n", centred, centred) - np.einsum("nh,nh->n", kept, kept)
    return np.column_stack([kept, np.sqrt(rest.clip(0))])


def rounded(scaled: NDArray[np.float64], kind: Kind) -> NDArray[Any]:
    """Return coordinates as they are stored; one beyond the levels of the sample is cut."""
    inside = scaled.clip(-kind.largest, kind.largest)
    return np.rint(inside) if kind is INT8 else inside.astype("<f2")


def encoded(levels: NDArray[Any], kind: Kind) -> NDArray[np.uint8]:
    """Return the bytes of rounded coordinates (n, h) in ``search.faiss``, (n, bytes of a code)."""
    return ((levels + 128).astype(np.uint8) if kind is INT8 else levels).view(np.uint8)


def header(count: int, width: int, kind: Kind) -> bytes:
    """Return the bytes before ``count`` codes of ``width`` coordinates in ``search.faiss``."""
    reserved, size = 1 << 20, width * kind.bytes
    return _HEADER.pack(
        b"IxSQ", width, count, reserved, reserved, 1, _METRIC_L2, kind.number, 0, 0.0,
        width, size, 0, count * size,
    )  # fmt: skip


def save_quantizer(path: Path, quantizer: Quantizer, radius: float) -> None:
    """Write a quantizer's file, with a measured radius. Raises OSError."""
    head = np.zeros((2, quantizer.width), np.float32)
    head[0, :2] = (quantizer.step, quantizer.fitted)[: quantizer.width]
    head[1, 0] = np.nextafter(np.float32(radius), np.float32(np.inf))
    columns = np.column_stack([quantizer.directions, quantizer.mean])
    matrix = np.vstack([head, quantizer.origin, columns])
    save_matrix(path, matrix.astype(np.float32))


def parse_quantizer(name: str, data: bytes, dimension: int, width: int) -> Quantizer:
    """Return the quantizer in the bytes of a file. Raises ValueError if it is of another shape."""
    matrix = parse_matrix(name, data).astype(np.float64)
    if matrix.shape != (dimension + 3, width):
        raise ValueError("it is of another shape")
    step, radius = matrix[:2, 0]
    if not (step > 0 and radius >= 0):
        raise ValueError("it holds no step size")
    fitted = matrix[0, 1] if width > 1 else 0.0
    return Quantizer(
        float(step), float(fitted), float(radius), matrix[3:, -1], matrix[3:, :-1], matrix[2]
    )
