"""A linear metric learned from labelled pictures.

It suppresses the differences within a label and keeps those between labels: whitening by the
within-class scatter, then PCA of the class means. This is linear discriminant analysis in two
steps (Fisher 1936; for the shrinkage Mika et al., "Fisher discriminant analysis with kernels",
1999), followed by L2-normalisation, as Jégou & Chum do for image vectors ("Negative evidences and
co-occurences in image retrieval: the benefit of PCA and whitening", 2012). Distances remain
Euclidean, so the search is still an exact L2 search, in a smaller space.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import PokesimError
from pokesim.files import open_regular

PROJECTION_FILE = "projection.npy"
"""Name of the projection's file in an index."""

SHRINKAGE = 2.0
"""Multiple of the mean within-class variance that is added to every direction before whitening;
chosen on held-out species, where values from 1 to 3 do about equally well."""

LARGEST = 1e15
"""The largest number in a vector or a matrix: products of larger ones overflow float32. FAISS then
finds nothing, or ends the process. Those of a network are a few hundred at most."""

_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)(?P<text>\{'descr': '<f4', 'fortran_order': "
    rb"(?P<order>True|False), 'shape': \((?P<rows>[1-9]\d{0,8}), (?P<columns>[1-9]\d{0,8})\), \}"
    rb" *\n)",
    re.DOTALL,
)

_HEADER_SIZE = 256
"""More bytes than such a header has."""


@dataclass(frozen=True, slots=True)
class Projection:
    """An affine map followed by L2-normalisation.

    Attributes:
        matrix: float32 (d + 1, m); the last row is the offset.
    """

    matrix: NDArray[np.float32]

    @property
    def dimension(self) -> int:
        """Length m of a projected vector."""
        return int(self.matrix.shape[1])

    @property
    def base_dimension(self) -> int:
        """Length d of a base vector."""
        return len(self.matrix) - 1

    def apply(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Project vectors, float32 (n, d), to float32 (n, m) of length 1."""
        return normalized(rows @ self.matrix[:-1] + self.matrix[-1])

    def save(self, path: Path) -> None:
        """Write the matrix as a ``.npy`` file. Raises OSError."""
        save_matrix(path, self.matrix)

    @staticmethod
    def load(path: Path) -> Projection:
        """Read a file that `save` wrote. Raises OSError or ValueError."""
        return Projection(load_matrix(path))


def save_matrix(path: Path, matrix: NDArray[np.float32]) -> None:
    """Write a matrix as a ``.npy`` file; unlike `numpy.save`, its OSError says why."""
    content = io.BytesIO()
    np.save(content, matrix, allow_pickle=False)
    path.write_bytes(content.getbuffer())


def load_matrix(path: Path) -> NDArray[np.float32]:
    """Read a file that `save_matrix` wrote.

    Raises:
        OSError: the file cannot be read, or is not a regular file.
        ValueError: as `parse_matrix`.
    """
    with open_regular(path) as file:
        head = file.read(_HEADER_SIZE)
        _check_size(path.name, _parse_header(path.name, head), os.fstat(file.fileno()).st_size)
        return parse_matrix(path.name, head + file.read())


def parse_matrix(name: str, data: bytes) -> NDArray[np.float32]:
    """Return the matrix in the bytes of the ``.npy`` file ``name``.

    Its header is compared, not evaluated as `numpy.load` does.

    Raises:
        ValueError: it is not a float32 matrix, or a value is not finite or above `LARGEST`.
    """
    header = _parse_header(name, data)
    _check_size(name, header, len(data))
    values = np.frombuffer(data, "<f4", offset=header.length)
    if not within_bounds(values):
        raise ValueError(f"{name} has values that are not finite, or far too large")
    return values.reshape((header.rows, header.columns), order=header.order)


class _Header(NamedTuple):
    """The header of a ``.npy`` file, of ``length`` bytes."""

    length: int
    rows: int
    columns: int
    order: Literal["F", "C"]


def _parse_header(name: str, data: bytes) -> _Header:
    found = _HEADER.match(data)
    if not found or int.from_bytes(found["length"], "little") != len(found["text"]):
        raise ValueError(f"{name} is not a float32 matrix")
    order: Literal["F", "C"] = "F" if found["order"] == b"True" else "C"
    return _Header(found.end(), int(found["rows"]), int(found["columns"]), order)


def _check_size(name: str, header: _Header, size: int) -> None:
    if size != header.length + 4 * header.rows * header.columns:
        raise ValueError(f"{name} is of another size than its header says")


def within_bounds(rows: NDArray[np.float32]) -> bool:
    """Return True if every number in an array is finite and at most `LARGEST`."""
    return bool((np.abs(rows) <= LARGEST).all())  # NaN is not


def normalized(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row of (n, d) to length 1; a row of zeros is unchanged."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    scaled: NDArray[np.float32] = rows / lengths
    return scaled


def fit(
    rows: NDArray[np.float32], labels: NDArray[np.int64], dims: int, shrinkage: float = SHRINKAGE
) -> Projection:
    """Learn a projection from labelled vectors.

    Args:
        rows: float32 (n, d).
        labels: a number for each row's label, int64 (n,).
        dims: length of a projected vector; at most the number of labels less one, and at most d.
        shrinkage: see `SHRINKAGE`; it keeps the result stable with few or identical pictures.

    Raises:
        PokesimError: there are fewer than two labels, no label has two different pictures, or a
            vector is not finite.
    """
    if not np.isfinite(rows).all():
        raise PokesimError("A labelled picture has a vector that is not finite.")
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise PokesimError(f"A metric needs at least two labels, not {len(sizes)}.")
    x = rows.astype(np.float64)  # (n, d)
    means = np.zeros((len(sizes), x.shape[1]))  # (labels, d)
    np.add.at(means, codes, x)
    means /= sizes[:, None]
    within = (x - means[codes])[sizes[codes] > 1]
    variance = float(np.mean(within**2)) if len(within) else 0.0  # mean over the d directions
    if variance <= np.finfo(np.float32).eps * float(np.mean(x**2)):
        raise PokesimError(
            "No label has two different pictures, so there is nothing to learn from; "
            "give several pictures for each label."
        )
    scatter = within.T @ within / len(within)
    scatter[np.diag_indices_from(scatter)] += shrinkage * variance
    # scatter = L Lᵀ, so x → L⁻¹ x whitens; any other whitening differs from it by a rotation, which
    # the PCA after it undoes, and takes far longer to compute.
    lower = np.linalg.cholesky(scatter)  # (d, d)
    centre = means.mean(axis=0)
    whitened = np.linalg.solve(lower, (means - centre).T).T  # (labels, d)
    # Rows of vh: the directions in which whitened class means vary, strongest first. Means of c
    # labels around their centre span at most c - 1 of them.
    *_, vh = np.linalg.svd(whitened, full_matrices=False)
    matrix = np.linalg.solve(lower.T, vh[: min(dims, len(sizes) - 1)].T)  # (d, m)
    return Projection(np.vstack([matrix, -centre @ matrix]).astype(np.float32))
