"""Capacity planning: the memory, disk and time an index will need, and which set-up suits it.

Everything is computed from a few measured figures, each with its source. They were measured on two
cores of one machine; your times will differ, but the ratios hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pokesim.analysis.tune import DIMS
from pokesim.embedders.catalog import DEFAULT, spec_of
from pokesim.errors import UsageError
from pokesim.index.vectors.candidates import PCA_BYTES

# Figures from tests/benchmarks/README.md, which `make bench` measures.
SCAN_SPEED = 100_000 * 2048 * 4 / 0.084
"""Bytes per second that FAISS scans for one photo: 100,000 vectors of 2,048 dimensions in 84 ms."""

PCA_SHARE = 10 / 84
"""Time of a search by codes as a share of the scan's, for the same vectors."""

CODES_SHARE = 0.25
"""The most that the codes take, as a share of the vectors' bytes."""

SMALL_READING_MS = 23.7 - 22.5
"""Reading a 120 × 120 picture: what ResNet50 takes per picture besides running the network."""

LARGE_READING_MS = 15.3
"""Reading a 12-megapixel JPEG."""

WARM_MS = 2.0
"""A query's time besides running the network and searching."""

SERIAL_MS = 0.31
"""Time per file when the network costs nothing: a million files in 310 s. One machine writes the
index, so none of this is divided among workers, which is cautious: they do the reading."""

NETWORK_MS = {
    "general": 0.319 * 22.5,
    "general_lite2": 0.499 * 22.5,
    "compact": 0.067 * 22.5,
    "efficientnet_lite0": 0.131 * 22.5,
    "efficientnet_lite2": 0.285 * 22.5,
    "resnet50": 22.5,
    "resnet50-softmax": 22.5,
    "mobilenet_v2": 0.121 * 22.5,
    "efficientnet_v2_b0": 0.259 * 22.5,
    "convnext_tiny": 2.069 * 22.5,
    "dinov2_small": 1.7 * 22.5,
    "clip_vit_b32": 1.2 * 22.5,
    "siglip2_base": 4.8 * 22.5,
}
"""Time per picture on two cores with LiteRT, or for the last three with ONNX Runtime: ResNet50
takes 23.7 ms, 95 % of it in the network; the others follow from their ratio to it. `general` runs
one of its parts twice."""

# Measured on indexes of this package.
ITEM_BYTES = 179
"""One row of ``items.sqlite`` with nine-letter file names: 3,000 rows take 537 kB."""

# Decisions.
MEMORY_SHARE = 0.7
"""Share of a machine's memory for vectors; the rest is for the system, programs and queries."""

_LEAST_MEMORY = 1e6  # bytes; below it, the number of machines would be absurd

CELLS = 1024
"""Cells of an IVF index: as many as its 50,000 training vectors can support."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the arithmetic.

    Attributes:
        what: the quantity.
        how: its formula, with the figures filled in.
        result: its value, with the unit.
    """

    what: str
    how: str
    result: str


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to hold and search the vectors.

    Attributes:
        name: short description.
        command: the options or commands that set it up.
        exact: whether a search finds the true nearest neighbours.
        memory: bytes that every search reads, over all machines.
        disk: bytes of the index.
        seconds: time of a search, without embedding the photo.
        how: the formula behind ``seconds``.
        fits: whether the vectors fit into memory.
    """

    name: str
    command: str
    exact: bool
    memory: float
    disk: float
    seconds: float
    how: str
    fits: bool


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """What an index will need.

    Attributes:
        small_seconds: build time for small pictures.
        large_seconds: build time for 12-megapixel JPEGs.
        photo_seconds: time to embed the query photo before each search.
        set_ups: the ways to hold and search the vectors.
        recommended: the best of them.
        steps: the arithmetic.
    """

    small_seconds: float
    large_seconds: float
    photo_seconds: float
    set_ups: tuple[Setup, ...]
    recommended: Setup
    steps: tuple[Step, ...]


def plan_capacity(
    images: float,
    embedder: str = DEFAULT,
    dims: int | None = None,
    workers: int = 1,
    memory: float = 64e9,
) -> CapacityPlan:
    """Estimate what an index will need.

    Args:
        images: number of pictures.
        embedder: a name in the catalogue.
        dims: dimension of the searched vectors; None means the embedder's own. Fewer dimensions
            imply a learned metric (`pokesim tune`).
        workers: number of embedding workers, each with two cores.
        memory: bytes of memory of each searching machine.

    Raises:
        UsageError: an argument is out of range.
    """
    spec = spec_of(embedder)
    dims = spec.dimension if dims is None else dims
    if not 1 <= images <= 1e12:
        raise UsageError(f"The number of pictures must be from 1 to 1e12, not {images:g}.")
    if not 1 <= dims <= spec.dimension:
        raise UsageError(f"{embedder} allows 1 to {spec.dimension} dimensions, not {dims}.")
    if workers < 1 or not _LEAST_MEMORY <= memory < math.inf:
        raise UsageError("The plan needs at least one worker and a megabyte of memory.")
    count, network = int(images), NETWORK_MS[spec.name]
    small, small_step = _build("small pictures", count, network, SMALL_READING_MS, workers)
    large, large_step = _build("12 megapixels", count, network, LARGE_READING_MS, workers)
    photo = 1e-3 * (network + WARM_MS)
    set_ups = _setups(count, spec.dimension, dims, MEMORY_SHARE * memory)
    recommended = next(one for one in set_ups if one.exact and one.fits)
    steps = [
        _bytes("vectors", count, dims),
        *([_bytes("base vectors", count, spec.dimension)] if dims < spec.dimension else []),
        Step("items", f"{count:,} × {ITEM_BYTES} bytes", size_text(count * ITEM_BYTES)),
        Step(
            "memory for vectors",
            f"{MEMORY_SHARE:g} × {size_text(memory)}",
            size_text(MEMORY_SHARE * memory),
        ),
        small_step,
        large_step,
        Step("embed a photo", f"{network:.3g} ms + {WARM_MS:g} ms", time_text(photo)),
        *(Step(f"search, {one.name}", one.how, time_text(one.seconds)) for one in set_ups),
    ]
    return CapacityPlan(small, large, photo, tuple(set_ups), recommended, tuple(steps))


def _bytes(what: str, count: int, dims: int) -> Step:
    return Step(what, f"{count:,} × {dims:,} × 4 bytes", size_text(4 * count * dims))


def _build(
    what: str, count: int, network: float, reading: float, workers: int
) -> tuple[float, Step]:
    seconds = 1e-3 * count * ((network + reading) / workers + SERIAL_MS)
    how = f"{count:,} × (({network:.3g} + {reading:.1f} ms) / {workers:,} + {SERIAL_MS} ms)"
    return seconds, Step(f"build, {what}", how, time_text(seconds))


def _setups(count: int, dimension: int, dims: int, room: float) -> list[Setup]:
    """Return the ways to hold and search the vectors, in order of preference.

    Milvus is assumed to scan at the speed of FAISS, with the vectors divided among its query nodes.
    """
    size = 4 * count * dims
    items = count * ITEM_BYTES
    base = 4 * count * dimension  # a tuned index keeps these too
    kept = items + (base if dims < dimension else 0)
    tune = f"pokesim tune --dims {dims}, then " if dims < dimension else ""
    found = _exact_here("", tune, count, dims, kept, room)
    if DIMS < dims == dimension and size >= PCA_BYTES:
        then = f"pokesim tune --dims {DIMS}, then "
        found += _exact_here(f"tuned to {DIMS}, ", then, count, DIMS, items + base, room)[:1]
    if count >= 39 * CELLS:  # FAISS asks for 39 training vectors per cell
        name = f"IVF{CELLS},Flat"
        probed = round(math.sqrt(CELLS))  # the number of cells searched by default
        seconds, how = _scan(size, probed / CELLS)
        command = f"{tune}--search {name}"
        found.append(Setup(name, command, False, size, kept + 2 * size, seconds, how, size <= room))
    nodes = math.ceil(size / room)
    name = f"Milvus, {nodes:,} query node{'s' if nodes > 1 else ''}"
    seconds, how = _scan(size, machines=nodes)
    command = f"{tune}pokesim push INDEX milvus://HOST:19530/NAME"
    found.append(Setup(name, command, True, size, kept + size, seconds, how, True))
    return found


def _exact_here(
    name: str, tune: str, count: int, dims: int, kept: float, room: float
) -> list[Setup]:
    """Return the exact set-ups on one machine, the fastest first.

    Args:
        name: prefix of their names.
        tune: prefix of their commands.
        count: number of vectors.
        dims: dimension of the vectors.
        kept: bytes on disk besides the vectors.
        room: bytes of memory for vectors.
    """
    size = 4 * count * dims
    fits, disk = size <= room, kept + size
    seconds, how = _scan(size)
    flat = Setup(f"{name}flat", f"{tune}--search flat", True, size, disk, seconds, how, fits)
    if size < PCA_BYTES:
        return [flat]
    codes = CODES_SHARE * size + 4 * dims**2  # and the rotation
    seconds, how = _scan(size, PCA_SHARE)
    command, memory = f"{tune}--search pca", size + codes
    pca = Setup(f"{name}pca", command, True, memory, disk + codes, seconds, how, memory <= room)
    return [pca, flat]


def _scan(size: float, share: float = 1.0, machines: int = 1) -> tuple[float, str]:
    """Return the seconds of a search that reads a share of ``size`` bytes, and the formula."""
    how = size_text(size)
    if share != 1:
        how += f" × {share:.3f}"
    if machines > 1:
        how += f" / {machines:,}"
    return size * share / machines / SCAN_SPEED, f"{how} / {SCAN_SPEED / 1e9:.1f} GB a second"


def size_text(size: float) -> str:
    """Format a number of bytes with three digits, as in "819 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def time_text(seconds: float) -> str:
    """Format a duration with two or three digits, as in "92 ms" or "31 min"."""
    if seconds < 1:
        return f"{1e3 * seconds:.3g} ms"
    for unit, length, most in (("s", 1, 120), ("min", 60, 120), ("hours", 3600, 48)):
        if seconds < length * most:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds / 86400:,.1f} days"
