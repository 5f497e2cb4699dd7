"""Build speed: the usual Keras scripts, the bare network, and pokesim with each runtime."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from common import Setting, in_turns, python, repeated, seconds_of, show
from PIL import Image

import pokesim
from pokesim.embedders.catalog import DEFAULT, Compute, Precision, Runtime
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import open_embedder
from pokesim.images import find_files, pixels_of
from pokesim.threads import read_ahead

PICTURES = 2_000


def runtimes() -> dict[str, Compute]:
    """Return the runtimes available on this machine, by their names in the table."""
    found: dict[str, Compute] = {"LiteRT": Compute()}
    if importlib.util.find_spec("openvino"):
        import openvino

        found["OpenVINO"] = Compute(Runtime.OPENVINO)
        if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            found["OpenVINO bfloat16"] = Compute(Runtime.OPENVINO, Precision.BFLOAT16)
    return found


def measure(setting: Setting, rounds: int) -> dict[str, float]:
    """Return the seconds per picture of each way to embed a folder of small pictures."""
    images = repeated(setting.images, setting.folder / "many", PICTURES)
    sample = [images / name for name in find_files(images)[:48]]
    ways: dict[str, Callable[[], float]] = {
        "model.predict, one at a time": lambda: float(
            python(*setting.baseline, "loop", *sample).split()[-1]
        ),
        "model.predict, batches of 32": lambda: float(
            python(*setting.baseline, "batches", *sample).split()[-1]
        ),
    }
    for name, compute in runtimes().items():
        ways |= {
            f"bare network, {name}": bare_network(setting, images, compute),
            f"pokesim, {name}": _pokesim(setting, images, compute),
        }
    general = replace(setting, embedder=DEFAULT, weights=None)
    ways |= {
        f"bare network, {DEFAULT}": bare_network(general, images, Compute()),
        f"pokesim, {DEFAULT}": _pokesim(general, images, Compute()),
    }
    seconds = in_turns(ways, rounds)
    loop = seconds["model.predict, one at a time"]
    rows = [("", "ms a picture", "a second", "× the loop", "of the bare network")]
    for name, value in seconds.items():
        bare = seconds.get(name.replace("pokesim", "bare network"), value)
        share = f"{100 * bare / value:.1f} %" if name.startswith("pokesim") else ""
        rows.append((name, f"{1e3 * value:.2f}", f"{1 / value:.0f}", f"{loop / value:.1f}", share))
    show(f"Building: {PICTURES:,} pictures of 120 × 120, {setting.embedder}", rows)
    return seconds


def measure_large(setting: Setting, rounds: int) -> None:
    """Measure the cost of decoding photographs of 12 megapixels."""
    folder = _large_photos(setting)
    paths = [folder / name for name in find_files(folder)]
    litert = Compute()
    compact = replace(setting, embedder="compact", weights=None)
    seconds = in_turns(
        {
            "bare network": bare_network(setting, folder, litert),
            "reading alone": lambda: _reading(paths),
            "pokesim": _pokesim(setting, folder, litert),
            "bare network, compact": bare_network(compact, folder, litert),
            "pokesim, compact": _pokesim(compact, folder, litert),
        },
        rounds,
    )
    reading = seconds["reading alone"]
    rows = [("", "ms a picture", "of the bare network", "of network + reading")]
    for name, value in seconds.items():
        bare = seconds[name.replace("pokesim", "bare network")]
        shares = [f"{100 * part / value:.1f} %" for part in (bare, bare + reading)]
        ours = name.startswith("pokesim")
        rows.append((name, f"{1e3 * value:.2f}", *(shares if ours else ("", ""))))
    megabytes = sum(path.stat().st_size for path in paths) / len(paths) / 1e6
    show(f"Building: JPEGs of 12 megapixels, {megabytes:.1f} MB each, {setting.embedder}", rows)


def bare_network(setting: Setting, folder: Path, compute: Compute) -> Callable[[], float]:
    """Return a function that measures the network alone, in seconds per picture."""
    network = open_embedder(prepare_model(setting.embedder, setting.weights), compute)
    names = find_files(folder)[:BATCH_SIZE]
    batch = np.stack([pixels_of(folder / name, network.side) for name in names])
    times = max(1, 96 // len(batch))
    network.embed(batch)

    def once() -> float:
        return seconds_of(lambda: [network.embed(batch) for _ in range(times)]) / times / len(batch)

    return once


def _reading(paths: list[Path]) -> float:
    """Read pictures with all cores and return the seconds per picture."""
    pixels = read_ahead(lambda path: pixels_of(path, 224), paths, len(paths))
    return seconds_of(lambda: list(pixels)) / len(paths)


def _pokesim(setting: Setting, folder: Path, compute: Compute) -> Callable[[], float]:
    runtime, precision = compute.runtime, compute.precision
    name = f"{setting.embedder}-{folder.name}-{runtime}-{precision}"
    index = setting.folder / "indexes" / name

    def once() -> float:
        built = pokesim.build_index(
            folder, index, rebuild=True, runtime=runtime, precision=precision, **setting.options
        )
        return built.seconds / built.indexed

    return once


def _large_photos(setting: Setting, kinds: int = 16, copies: int = 8) -> Path:
    """Write JPEGs of 4000 × 3000 with camera-like noise, ``copies`` of each of ``kinds``."""
    folder = setting.folder / "large"
    folder.mkdir()
    random = np.random.default_rng(0)
    grain = random.normal(0, 6, (3000, 4000, 1))
    pictures = sorted(setting.images.iterdir())
    for number in range(kinds):
        with Image.open(pictures[number % len(pictures)]) as picture:
            large = picture.convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
        shifted = np.roll(grain, int(random.integers(1 << 20)))
        noisy = np.clip(np.asarray(large, np.float32) + shifted, 0, 255).astype(np.uint8)
        encoded = BytesIO()
        Image.fromarray(noisy).save(encoded, "JPEG", quality=90)
        for copy in range(copies):  # a byte after the picture makes each file different
            data = encoded.getvalue() + bytes([copy])
            (folder / f"{number:03}-{copy}.jpg").write_bytes(data)
    return folder
