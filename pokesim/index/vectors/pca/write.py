"""Writing the codes of an index's vectors: new ones, or those of the previous snapshot and more."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pokesim.index.vectors.flat import FlatVectors
from pokesim.index.vectors.pca import ROTATION_FILE, SEARCH_FILE
from pokesim.index.vectors.pca.codes import (
    Kind,
    Quantizer,
    encoded,
    header,
    rounded,
    save_quantizer,
)
from pokesim.index.vectors.pca.fit import fit_quantizer
from pokesim.index.vectors.pca.search import PcaCodes

_BLOCK = 8192

_GROWTH = 1.5  # how much larger the vectors may have become since the rotation was fitted to them


class KeptCodes(NamedTuple):
    """The codes of a previous snapshot, some of whose vectors are kept.

    Attributes:
        codes: the opened codes.
        rows: int64 (n,), for each vector of the new snapshot: the row of the very same one there,
            or -1.
    """

    codes: PcaCodes
    rows: NDArray[np.int64]


def write_pca(folder: Path, flat: FlatVectors, kept: KeptCodes | None = None) -> None:
    """Write the codes of a flat index's vectors, block by block.

    Kept codes are copied if their rotation still suits the vectors.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    if kept and _updated(folder, flat, kept):
        return
    quantizer, kind = fit_quantizer(flat)
    radius = _write_codes(folder / SEARCH_FILE, flat, quantizer, kind)
    save_quantizer(folder / ROTATION_FILE, quantizer, radius)


def _updated(folder: Path, flat: FlatVectors, kept: KeptCodes) -> bool:
    """Write the codes with the rotation of those that are kept, and say whether it suits.

    It does not if the vectors have become many more or fewer since it was fitted, or if a new one
    is farther than r from its code, as one of another kind would be.
    """
    quantizer = kept.codes.quantizer
    counts = quantizer.fitted, int(np.sum(kept.rows >= 0)), flat.ntotal
    if max(counts) > _GROWTH * min(counts):
        return False
    path = folder / SEARCH_FILE
    if _write_codes(path, flat, quantizer, kept.codes.kind, kept) > quantizer.radius:
        return False
    (folder / ROTATION_FILE).write_bytes(kept.codes.rotation)
    return True


def _write_codes(
    path: Path, flat: FlatVectors, quantizer: Quantizer, kind: Kind, kept: KeptCodes | None = None
) -> float:
    """Write ``search.faiss``; return how far the farthest vector is from its code, unless kept."""
    radius = 0.0
    rows = kept.rows if kept else np.full(flat.ntotal, -1)
    with path.open("wb") as file:
        file.write(header(flat.ntotal, quantizer.width, kind))
        for start in range(0, flat.ntotal, _BLOCK):
            block = rows[start : start + _BLOCK]
            codes = np.empty((len(block), quantizer.width * kind.bytes), np.uint8)
            if kept:
                codes[block >= 0] = kept.codes.stored[block[block >= 0]]
            new = np.flatnonzero(block < 0)
            if len(new):
                scaled = quantizer.scaled(flat.reconstruct_batch(start + new))
                levels = rounded(scaled, kind)
                radius = max(radius, float(np.linalg.norm(scaled - levels, axis=1).max()))
                codes[new] = encoded(levels, kind)
            file.write(codes.tobytes())
    return radius * quantizer.step
