"""How an index is searched: ``vectors.faiss`` alone, or with a candidate index next to it.

A candidate index proposes candidates; the vectors in ``vectors.faiss`` refine them.

- ``flat``: no candidate index; ``vectors.faiss`` is scanned.
- ``pca``: exact; see `pca`.
- a FAISS factory string (see `factory`), such as ``IVF1024,Flat`` or ``HNSW32``: approximate; its
  recall is measured when it is built. Parameters may follow: ``IVF1024,Flat nprobe=64``.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pokesim.arguments import text
from pokesim.errors import CorruptIndexError, PokesimError
from pokesim.index.manifest import AUTO_SEARCH, FLAT, PANORAMA, PCA, Manifest, SearchRecord
from pokesim.index.vectors.flat import SEARCH_FILE, VECTORS_FILE, FlatVectors
from pokesim.index.vectors.pca import ROTATION_FILE

if TYPE_CHECKING:  # most indexes are flat, and a query of one needs no other kind
    from pokesim.index.vectors.ann import ApproximateIndex
    from pokesim.index.vectors.pca.search import PcaCodes
    from pokesim.index.vectors.pca.write import KeptCodes

PCA_BYTES = 64 << 20
"""``auto`` chooses pca for vectors of this size or more; `make bench` shows where it wins."""

CANDIDATE_FILES = frozenset((SEARCH_FILE, ROTATION_FILE))
"""The files that `build_candidates` writes, and can write again from the vectors."""

CandidateIndex: TypeAlias = "PcaCodes | ApproximateIndex"


@dataclass(frozen=True, slots=True)
class KeptRows:
    """The vectors that a new snapshot shares with a previous one.

    Attributes:
        folder, manifest: the previous snapshot.
        rows: int64 (n,), for each vector of the new snapshot: its row in the previous one, or -1.
    """

    folder: Path
    manifest: Manifest
    rows: NDArray[np.int64]


def open_candidates(folder: Path, record: SearchRecord, flat: FlatVectors) -> CandidateIndex | None:
    """Open the candidate index of a snapshot's vectors; None if it has none, or one of Panorama.

    Raises:
        CorruptIndexError: a file is damaged.
        OSError: a file is missing or cannot be read.
    """
    if record.used in (FLAT, PANORAMA):
        return None
    from pokesim.index.vectors.ann import ApproximateIndex, last_words
    from pokesim.index.vectors.pca.search import PcaCodes

    try:
        if record.used == PCA:
            return PcaCodes(folder, flat)
        return ApproximateIndex(folder, flat.ntotal, flat.d)
    except (ValueError, RuntimeError) as error:
        raise CorruptIndexError(
            f"{folder / SEARCH_FILE} is not the candidate index of {flat.ntotal} vectors of "
            f"dimension {flat.d} ({last_words(error)}); build the index again."
        ) from error


def checked_search(requested: str, dimension: int) -> str:
    """Return a requested search, checked before any long work; Panorama's place takes "auto".

    Raises:
        UsageError: FAISS cannot build such an index.
    """
    if text("search", requested) == PANORAMA:
        return AUTO_SEARCH
    if requested not in (AUTO_SEARCH, FLAT, PCA):
        from pokesim.index.vectors.factory import parse_factory

        parse_factory(requested, dimension)
    return requested


def build_candidates(
    folder: Path, manifest: Manifest, kept: KeptRows | None = None
) -> SearchRecord:
    """Build the candidate index of the vectors in a folder, if the requested search needs one.

    Args:
        folder: the folder of a snapshot that is being written.
        manifest: says what is in it, and which search is requested.
        kept: vectors whose codes a previous snapshot may have.

    Raises:
        PokesimError: FAISS cannot build it from these vectors.
        OSError: the disk is full, or the folder is not writable.
    """
    count, dimension = manifest.count, manifest.dimension
    requested = used = checked_search(manifest.search.requested, dimension)
    if requested == AUTO_SEARCH:
        used = PCA if 4 * count * dimension >= PCA_BYTES else FLAT
    record = SearchRecord(requested, used)
    if used == FLAT:
        return record
    from pokesim.index.vectors.ann import ApproximateIndex, measure_recall, write_approximate
    from pokesim.index.vectors.faiss_format import FormatError
    from pokesim.index.vectors.pca.write import write_pca

    flat = FlatVectors(folder / VECTORS_FILE, count, dimension)
    if used == PCA:
        write_pca(folder, flat, _kept_codes(kept, manifest) if kept else None)
        return record
    write_approximate(folder / SEARCH_FILE, flat, used)
    try:
        index = ApproximateIndex(folder, count, dimension)
    except FormatError as error:
        raise PokesimError(
            f"--search {used} makes an index that could not be opened ({error}); choose another."
        ) from error
    return replace(record, recall=measure_recall(index, flat))


def _kept_codes(kept: KeptRows, manifest: Manifest) -> KeptCodes | None:
    """Return the codes of a previous snapshot; None if it has none that its vectors still have.

    A learned metric is applied to all vectors again, which may change their last digits.
    """
    from pokesim.index.vectors.pca.search import PcaCodes
    from pokesim.index.vectors.pca.write import KeptCodes

    before = kept.manifest
    if before.search.used != PCA or before.tuning or manifest.tuning:
        return None
    with contextlib.suppress(CorruptIndexError):
        flat = FlatVectors(kept.folder / VECTORS_FILE, before.count, before.dimension)
        codes = open_candidates(kept.folder, before.search, flat)
        if isinstance(codes, PcaCodes) and codes.quantizer:
            return KeptCodes(codes, kept.rows)
    return None
