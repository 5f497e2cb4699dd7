"""Time of one exact search: flat, by 8-bit codes, NumPy, and reading the memory once."""

import math
import os
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

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
from pokesim.metric import normalized
from pokesim.threads import read_ahead

DIMENSION = 2048
K = 5
QUERIES = 20

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

    count: int
    ms: dict[str, float]


def features_of(images: Path, network: Embedder, most: int = 3000) -> np.ndarray:
    """Embed several views of each picture and concatenate them, float32 (n, DIMENSION)."""
    views = _VIEWS[: math.ceil(DIMENSION / network.dimension)]
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
    return normalized(np.stack(rows)[:, :DIMENSION])


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
    print(f"\nBuilding an index of {count:,} vectors, {8e-9 * count * DIMENSION:.0f} GB on disk …")
    folder = directory / f"large-{count}"
    write_index(folder, mixed(features, count, seed=count), "pca")
    _show_opened(folder, count)


def measure(directory: Path, features: np.ndarray, counts: Sequence[int]) -> list[Timing]:
    """Measure single queries among increasing numbers of vectors."""
    # The pictures of the queries are not among those searched.
    candidates, queries = features[QUERIES:], features[:QUERIES]
    timings = []
    for count in counts:
        size = 4 * count * DIMENSION
        if 2.3 * size > _available():
            print(f"\n{count:,} vectors need {2.3 * size / 1e9:.0f} GB of memory; skipped.")
            continue
        xb = np.concatenate(list(mixed(candidates, count, seed=count)))
        timings.append(Timing(count, _one_size(directory, xb, queries)))
    ways = list(timings[0].ms)
    rows = [("vectors", *(f"{way}, ms" for way in ways), "flat : pca")]
    rows += [
        (
            f"{timing.count:,}",
            *(f"{timing.ms[way]:.2f}" for way in ways),
            f"{timing.ms['flat'] / timing.ms['pca']:.1f} ×",
        )
        for timing in timings
    ]
    show(f"One exact search for {K} nearest among vectors of {DIMENSION} dimensions", rows)
    return timings


def _one_size(directory: Path, xb: np.ndarray, xq: np.ndarray) -> dict[str, float]:
    indexes = {name: directory / f"{name}-{len(xb)}" for name in ("flat", "pca")}
    for search, folder in indexes.items():
        write_index(folder, (xb[at : at + 8192] for at in range(0, len(xb), 8192)), search)
    with (
        pokesim.open_index(indexes["flat"]) as flat,
        pokesim.open_index(indexes["pca"]) as pca,
    ):
        lengths = (xb.astype(np.float32) ** 2).sum(1)

        def brute(query: np.ndarray) -> np.ndarray:
            D = lengths - 2 * (xb @ query)
            near = np.argpartition(D, K)[:K]
            return near[np.argsort(D[near])]

        assert np.array_equal(flat.search(xq, K)[1], pca.search(xq, K)[1])
        whole = xb.reshape(-1)
        ways: dict[str, Callable[[np.ndarray], object]] = {
            "flat": lambda query: flat.search(query, K),
            "pca": lambda query: pca.search(query, K),
            "NumPy": brute,
            "memory read once": lambda _: np.dot(whole, whole),
        }
        for way in ways.values():
            way(xq[0])
        taken = [{name: seconds_of(lambda: way(query)) for name, way in ways.items()}  # noqa: B023
                 for query in xq]  # fmt: skip
        ms = {name: 1e3 * statistics.median(one[name] for one in taken) for name in ways}
        many = np.repeat(xq, 13, axis=0)[:256]
        ms["flat, one of 256"] = 1e3 * seconds_of(lambda: flat.search(many, K)) / len(many)
    _show_opened(indexes["pca"], len(xb))
    return ms


def _show_opened(index: Path, count: int) -> None:
    opened = [float(word) for word in python("-c", _OPENED, index).split()]
    print(
        f"\n{count:,} vectors, pca, in a new process: opened after {opened[0]:.1f} ms with "
        f"{opened[1]:.0f} MB, first answer after {opened[2]:.1f} ms with {opened[3]:.0f} MB",
        flush=True,
    )


def write_index(
    directory: Path, blocks: Iterable[np.ndarray], search: str, table: Table | None = None
) -> None:
    """Write an index of vectors, with pictures named by number and optional metadata."""
    with (
        new_snapshot(IndexFolder(directory)) as draft,
        closing(SnapshotWriter(draft.path, DIMENSION, table)) as writer,
    ):
        for block in blocks:
            ids = range(writer.count, writer.count + len(block))
            writer.add(block, [Item(i, f"{i}.png", str(i), 1, 1, "") for i in ids])
        metadata = writer.finish()
        record = EmbedderRecord("compact", "", 1, 8, "", True)
        manifest = Manifest(str(directory), record, DIMENSION, writer.count, (), metadata=metadata)
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
