"""How much memory, disk and time an index of so many pictures takes, and which set-up suits it.

Everything is worked out from a few figures that were measured; each names its source. They are of
two cores of one machine, and yours differ from them; the proportions hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pokesim.analysis.tune import DIMS
from pokesim.embedders.catalog import PREFERRED, spec_of
from pokesim.errors import UsageError
from pokesim.index.vectors.candidates import PANORAMA_BYTES

# Figures of README.md, which `make bench` measures.
SCAN_SPEED = 100_000 * 2048 * 4 / 0.092
"""Bytes a second of FAISS's scan for one photo: 100,000 vectors of 2,048 dimensions in 92 ms."""

PANORAMA_SHARE = 14 / 92
"""Of the scan's time, for the same vectors."""

SMALL_READING_MS = 23.7 - 22.5
"""To read a picture of 120 × 120: what ResNet50 takes a picture besides the network."""

LARGE_READING_MS = 15.3
"""To read a JPEG of 12 megapixels."""

WARM_MS = 2.0
"""What a query takes besides the network and the search."""

SERIAL_MS = 0.31
"""A file where the network costs nothing: a million in 310 s. One machine alone writes the index,
so none of it is taken to be shared among workers; that is cautious, for they do the reading."""

NETWORK_MS = {
    "compact": 0.067 * 22.5,
    "resnet50": 22.5,
    "resnet50-softmax": 22.5,
    "mobilenet_v2": 0.121 * 22.5,
    "efficientnet_v2_b0": 0.259 * 22.5,
    "convnext_tiny": 2.069 * 22.5,
}
"""A picture on two cores, in LiteRT: ResNet50's 23.7 ms a picture, 95 % of it in the network. The
others by their ratio to it."""

# Measured on indexes of this package.
ITEM_BYTES = 179
"""A picture's row of ``items.sqlite``, where names have nine letters: 3,000 of them take 537 kB."""

# Decisions.
MEMORY_SHARE = 0.7
"""Of a machine's memory may be vectors; the rest is for the system, programs and queries."""

CELLS = 1024
"""Of an IVF index: what can be learned from the 50,000 vectors that it is trained on."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the arithmetic.

    Attributes:
        what: what is worked out.
        how: from which figures.
        result: what it comes to.
    """

    what: str
    how: str
    result: str


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to hold and search the vectors.

    Attributes:
        name: what it is.
        command: what makes it so.
        exact: it finds the true nearest.
        memory: bytes that searches read again and again, of all machines.
        disk: bytes of the index.
        seconds: of a search, the photo's own embedding not counted.
        how: the arithmetic of these seconds.
        fits: the memory is there.
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
    """What an index will take.

    Attributes:
        small_seconds: to build it of small pictures.
        large_seconds: to build it of JPEGs of 12 megapixels.
        photo_seconds: to embed the photo that is asked with, before each search.
        set_ups: the ways to hold and search it.
        recommended: one of them.
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
    embedder: str = PREFERRED,
    dims: int | None = None,
    workers: int = 1,
    memory: float = 64e9,
) -> CapacityPlan:
    """Work out what an index will take.

    Args:
        images: number of pictures.
        embedder: a name of the catalogue.
        dims: length of the vectors that are searched; None: the embedder's. Fewer mean that a
            metric is to be learned (`pokesim tune`).
        workers: how many embed, of two cores each.
        memory: bytes of each machine that searches.

    Raises:
        UsageError: an argument has no meaning.
    """
    spec = spec_of(embedder)
    dims = spec.dimension if dims is None else dims
    if not 1 <= images <= 1e12:
        raise UsageError(f"The number of pictures must be from 1 to 1e12, not {images:g}.")
    if not 1 <= dims <= spec.dimension:
        raise UsageError(f"{embedder} gives 1 to {spec.dimension} dimensions, not {dims}.")
    if workers < 1 or not 0 < memory < math.inf:
        raise UsageError("It takes at least one worker, and some memory.")
    count, network = int(images), NETWORK_MS[spec.name]
    small, small_step = _build("small pictures", count, network, SMALL_READING_MS, workers)
    large, large_step = _build("12 megapixels", count, network, LARGE_READING_MS, workers)
    photo = 1e-3 * (network + WARM_MS)
    set_ups = _setups(count, spec.dimension, dims, MEMORY_SHARE * memory)
    recommended = next(one for one in set_ups if one.exact and one.fits)
    steps = [
        _bytes("vectors", count, dims),
        *([_bytes("plain vectors", count, spec.dimension)] if dims < spec.dimension else []),
        Step("items", f"{count:,} × {ITEM_BYTES} bytes", size_text(count * ITEM_BYTES)),
        Step(
            "room for vectors",
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
    """Return the ways to hold and search the vectors, the one to prefer first.

    Milvus is taken to scan as FAISS does, its vectors shared out among its query nodes.
    """
    size = 4 * count * dims
    items = count * ITEM_BYTES
    plain = 4 * count * dimension  # which a tuned index keeps too
    kept = items + (plain if dims < dimension else 0)
    tune = f"pokesim tune --dims {dims}, then " if dims < dimension else ""
    found = _exact_here("", tune, count, dims, kept, room)
    if DIMS < dims == dimension and size >= PANORAMA_BYTES:
        then = f"pokesim tune --dims {DIMS}, then "
        found += _exact_here(f"tuned to {DIMS}, ", then, count, DIMS, items + plain, room)[:1]
    if count >= 39 * CELLS:  # fewer are too few to learn the cells from, says FAISS
        name = f"IVF{CELLS},Flat"
        probed = round(math.sqrt(CELLS))  # so many are looked into unless told otherwise
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
    """Return the exact ways of one machine, the quicker first.

    Args:
        name: how their names begin.
        tune: how their commands begin.
        count: of the vectors.
        dims: their length.
        kept: bytes on disk besides.
        room: bytes of memory for vectors.
    """
    size = 4 * count * dims
    fits, disk = size <= room, kept + size
    seconds, how = _scan(size)
    flat = Setup(f"{name}flat", f"{tune}--search flat", True, size, disk, seconds, how, fits)
    if size < PANORAMA_BYTES:
        return [flat]
    # Its own copy of the vectors, and their lengths at each level of 64 coordinates.
    copy = size + 4 * count * (math.ceil(dims / 64) + 1)
    fits, disk = copy <= room, disk + copy
    seconds, how = _scan(size, PANORAMA_SHARE)
    command = f"{tune}--search panorama"
    return [Setup(f"{name}Panorama", command, True, copy, disk, seconds, how, fits), flat]


def _scan(size: float, share: float = 1.0, machines: int = 1) -> tuple[float, str]:
    """Return the seconds of a search that reads a share of some bytes, and the arithmetic."""
    how = size_text(size)
    if share != 1:
        how += f" × {share:.3f}"
    if machines > 1:
        how += f" / {machines:,}"
    return size * share / machines / SCAN_SPEED, f"{how} / {SCAN_SPEED / 1e9:.1f} GB a second"


def size_text(size: float) -> str:
    """Write bytes with three digits: "819 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def time_text(seconds: float) -> str:
    """Write a time with two or three digits: "92 ms", "31 min"."""
    if seconds < 1:
        return f"{1e3 * seconds:.3g} ms"
    for unit, length, most in (("s", 1, 120), ("min", 60, 120), ("hours", 3600, 48)):
        if seconds < length * most:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds / 86400:,.1f} days"
