"""How an index is searched: ``vectors.faiss`` decides, and a structure beside it may candidates.

- ``flat``: FAISS scans ``vectors.faiss``; there is no structure.
- ``panorama``: exact; see `panorama`.
- any other FAISS factory string, such as ``IVF1024,Flat`` or ``HNSW32``: approximate, with its
  recall measured when it is built. FAISS's own parameters may follow: ``IVF1024,Flat nprobe=64``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from pokesim.errors import IndexFolderError
from pokesim.index.manifest import AUTO_SEARCH, FLAT, PANORAMA, SearchRecord
from pokesim.index.vectors.ann import ApproximateIndex, _empty, _recall, _write_approximate
from pokesim.index.vectors.flat import VECTORS_FILE, open_vectors
from pokesim.index.vectors.panorama import ROTATION_FILE, SEARCH_FILE, Panorama, write_panorama

PANORAMA_BYTES = 64 << 20
"""From this size of the vectors on, ``auto`` takes Panorama: `make bench` shows where it wins."""

CANDIDATE_FILES = frozenset((SEARCH_FILE, ROTATION_FILE))
"""What `build_structure` makes of the vectors, and can make again."""

CandidateIndex: TypeAlias = Panorama | ApproximateIndex


def open_candidates(
    folder: Path, record: SearchRecord, count: int, dimension: int
) -> CandidateIndex | None:
    """Open the structure of a snapshot, if it has one.

    Raises:
        IndexFolderError: a file is not what was written.
        OSError: a file is missing or cannot be read.
    """
    if record.used == FLAT:
        return None
    try:
        if record.used == PANORAMA:
            return Panorama(folder, count, dimension)
        return ApproximateIndex(folder, count)
    except (ValueError, RuntimeError) as error:
        raise IndexFolderError(
            f"{folder / SEARCH_FILE} is not the search structure of {count} vectors of dimension "
            f"{dimension}; build the index again."
        ) from error


def check_search(asked: str, dimension: int) -> None:
    """Look at what the user named before the long work begins.

    Raises:
        UsageError: FAISS knows no such index.
    """
    if asked not in (AUTO_SEARCH, FLAT, PANORAMA):
        _empty(asked, dimension)


def build_candidates(folder: Path, count: int, dimension: int, asked: str) -> SearchRecord:
    """Write the search structure of the vectors in a folder, if they are to have one.

    Raises:
        PokesimError: FAISS cannot build it of these vectors.
        OSError: the disk is full, or cannot be written.
    """
    used = asked
    if asked == AUTO_SEARCH:
        used = PANORAMA if 4 * count * dimension >= PANORAMA_BYTES else FLAT
    record = SearchRecord(asked, used)
    if used == FLAT:
        return record
    flat = open_vectors(folder / VECTORS_FILE, count, dimension)
    if used == PANORAMA:
        write_panorama(folder, flat)
        return record
    _write_approximate(folder / SEARCH_FILE, flat, used)
    return replace(record, recall=_recall(ApproximateIndex(folder, count), flat))
