"""Time of one exact search: by pokesim, by FAISS and NumPy, and of reading the memory once."""

import math
import os
import shutil
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from common import python, seconds_of, show
from PIL import Image

import pokesim
from pokesim.embedders.embedder import Embedder
from pokesim.images import find_files, pixels_of
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.folder.writer import SnapshotWriter, new_snapshot
from pokesim.index.item import Item
from pokesim.index.manifest import EmbedderRecord, Manifest, SearchRecord
from pokesim.index.metadata.table import Table
from pokesim.index.vectors.flat import VECTORS_FILE
from pokesim.index.vectors.pca import SEARCH_FILE
from pokesim.metric import normalized
from pokesim.threads import read_ahead

DIMENSIONS = (640, 2048)
K = 5
QUERIES = 20

OURS = "pokesim"
FLAT, FLAT_ALONE = "FAISS flat", "FAISS flat, 1 thread"
PANORAMA, NUMPY = "FAISS Panorama", "NumPy"
VECTORS_ONCE, CODES_ONCE = "vectors read", "codes read"
WAYS = {
    FLAT: "IndexFlatL2 as it comes: one thread scans, the others wait busily",
    FLAT_ALONE: "the same without those that wait",
    PANORAMA: "PCA, IVF64, FlatPanorama8, all lists: exact too",
    NUMPY: "one matrix product, all cores",
    VECTORS_ONCE: "reading the vectors from memory once, all cores",
    CODES_ONCE: "the same for pokesim's codes, by their share of the bytes",
    OURS: "an index with the default search: exact",
}
"""The ways in the tables, and what they are."""

# Left, top, width and height of each view of a picture, in eighths of its side.
_VIEWS = ((0, 0, 8), (1, 1, 6), (0, 0, 5), (3, 0, 5), (0, 3, 5), (3, 3, 5), (2, 2, 4), (2, 0, 6))

_OPENED = """
import re, sys, time
import numpy, faiss, pokesim.search.index
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
before = peak()
start = time.perf_counter()
index = pokesim.open_index(sys.argv[1])
print(1e3 * (time.perf_counter() - start), peak() - before)
index.search(index.vectors([0]))
print(1e3 * (time.perf_counter() - start), peak() - before)
"""


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one search among ``count`` vectors, by method."""

    dimension: int
    count: int
    ms: dict[str, float]


def features_of(
    images: Path, network: Embedder, dimension: int = DIMENSIONS[-1], most: int = 3000
) -> np.ndarray:
    """Embed views of each picture, as many as it takes, and concatenate them, float32 (n, d)."""
    views = _VIEWS[: math.ceil(dimension / network.dimension)]
    names = find_files(images)
    names = names[:: math.ceil(len(names) / most)]
    side = 2 * network.side

    def read(name: str) -> np.ndarray | None:
        try:
            picture = Image.fromarray(pixels_of(images / name, side))
        except pokesim.PokesimError:
            return None
        boxes = [
            (left * side // 8, top * side // 8, (left + size) * side // 8, (top + size) * side // 8)
            for left, top, size in views
        ]
        small = (network.side, network.side)
        return np.stack([np.asarray(picture.resize(small, box=box)) for box in boxes])

    rows = [network.embed(x).ravel() for x in read_ahead(read, names, 64) if x is not None]
    return normalized(np.stack(rows)[:, :dimension])


def mixed(features: np.ndarray, count: int, seed: int) -> Iterator[np.ndarray]:
    """Yield points between pairs of feature vectors, scaled to length 1, float32 (≤ 8192, d)."""
    random = np.random.default_rng(seed)
    for start in range(0, count, 8192):
        size = min(8192, count - start)
        i, j = random.integers(0, len(features), (2, size))
        share = random.uniform(0, 1, (size, 1)).astype(np.float32)
        yield normalized(share * features[i] + (1 - share) * features[j])


def measure_opening(directory: Path, features: np.ndarray, count: int) -> None:
    """Measure how long a new process takes to open an index, which may exceed the memory."""
    size = 8e-9 * features.shape[1] * count
    print(f"\nBuilding an index of {count:,} vectors, {size:.0f} GB on disk …")
    folder = directory / f"large-{count}"
    write_index(folder, mixed(features, count, seed=count), "pca")
    _show_opened(folder, count)


def measure(directory: Path, features: np.ndarray, counts: Sequence[int]) -> list[Timing]:
    """Measure single queries among increasing numbers of vectors."""
    # The pictures of the queries are not among those searched.
    candidates, queries = features[QUERIES:], features[:QUERIES]
    dimension = features.shape[1]
    timings = []
    for count in counts:
        size = 4 * count * dimension
        if 3.3 * size > _available():
            print(f"\n{count:,} vectors need {3.3 * size / 1e9:.0f} GB of memory; skipped.")
            continue
        folder = directory / f"auto-{dimension}-{count}"
        write_index(folder, mixed(candidates, count, seed=count), "auto")
        timings.append(Timing(dimension, count, _one_size(folder, queries)))
        shutil.rmtree(folder)
    rows = [("vectors", *WAYS, "FAISS flat ÷ pokesim", "1 thread ÷ pokesim")]
    for timing in timings:
        ratios = (timing.ms[way] / timing.ms[OURS] for way in (FLAT, FLAT_ALONE))
        times = (f"{timing.ms[way]:.2f}" if way in timing.ms else "" for way in WAYS)
        rows.append((f"{timing.count:,}", *times, *(f"{ratio:.1f}" for ratio in ratios)))
    show(f"One exact search for {K} nearest among vectors of {dimension} dimensions, ms", rows)
    return timings


def _one_size(folder: Path, xq: np.ndarray) -> dict[str, float]:
    """Return the milliseconds of each way to search an index, its answers checked."""
    import faiss

    snapshot = IndexFolder(folder).current()
    flat = faiss.read_index(str(snapshot.file(VECTORS_FILE)))
    xb = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d)
    whole, lengths = xb.reshape(-1), np.einsum("nd,nd->n", xb, xb)
    alone = faiss.SearchParameters(sel=faiss.IDSelectorAll())

    def brute(query: np.ndarray, k: int = K) -> np.ndarray:
        return np.argpartition(lengths - 2 * (xb @ query), k)[:k]

    def true(query: np.ndarray) -> np.ndarray:
        near = np.sort(brute(query, K + 30))
        distances = np.linalg.norm(xb[near].astype(np.float64) - query, axis=1)
        return near[np.argsort(distances, kind="stable")[:K]]

    with pokesim.open_index(folder) as index:
        ways: dict[str, Callable[[np.ndarray], object]] = {
            FLAT: lambda query: flat.search(query[None], K),
            FLAT_ALONE: lambda query: flat.search(query[None], K, params=alone),
            NUMPY: brute,
            VECTORS_ONCE: lambda _: np.dot(whole, whole),
            OURS: lambda query: index.search(query, K),
        }
        if panorama := _panorama(xb):
            ways[PANORAMA] = lambda query: panorama.search(query[None], K)
        for query in xq:
            assert np.array_equal(index.search(query, K)[1][0], true(query))
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for query in xq:
            for name, way in ways.items():
                taken[name].append(1e3 * min(seconds_of(partial(way, query)) for _ in range(3)))
    ms = {name: statistics.median(times) for name, times in taken.items()}
    codes = snapshot.manifest.files.get(SEARCH_FILE)
    if codes:
        ms[CODES_ONCE] = ms[VECTORS_ONCE] * codes["bytes"] / xb.nbytes
    _show_opened(folder, len(xb))
    return ms


def _panorama(xb: np.ndarray) -> Any:
    """Return FAISS's own index of this kind, all of whose lists are searched; None for few."""
    import faiss

    count, dimension = xb.shape
    if count < 10_000:
        return None
    index = faiss.index_factory(dimension, f"PCA{dimension},IVF64,FlatPanorama8")
    index.train(xb[:: math.ceil(count / 20_000)])
    for start in range(0, count, 1 << 16):
        index.add(xb[start : start + (1 << 16)])
    faiss.extract_index_ivf(index).nprobe = 64
    return index


def _show_opened(index: Path, count: int) -> None:
    opened = [float(word) for word in python("-c", _OPENED, index).split()]
    print(
        f"\n{count:,} vectors, in a new process: opened after {opened[0]:.1f} ms with "
        f"{opened[1]:.0f} MB, first answer after {opened[2]:.1f} ms with {opened[3]:.0f} MB",
        flush=True,
    )


def write_index(
    directory: Path, blocks: Iterable[np.ndarray], search: str, table: Table | None = None
) -> None:
    """Write an index of vectors, with pictures named by number and optional metadata."""
    blocks = iter(blocks)
    first = next(blocks)
    dimension = first.shape[1]
    with (
        new_snapshot(IndexFolder(directory)) as draft,
        closing(SnapshotWriter(draft.path, dimension, table)) as writer,
    ):
        for block in chain([first], blocks):
            ids = range(writer.count, writer.count + len(block))
            writer.add(block, [Item(i, f"{i}.png", str(i), 1, 1, "") for i in ids])
        metadata = writer.finish()
        record = EmbedderRecord("compact", "", 1, 8, "", True)
        manifest = Manifest(str(directory), record, dimension, writer.count, (), metadata=metadata)
        draft.commit(replace(manifest, search=SearchRecord(search)))


def _available() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") + _cached()


def _cached() -> float:
    """Return the size of the page cache, in bytes."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0.0
    return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("Cached:"))
