"""The networks of the catalogue, bare, against ResNet50: the shares that `pokesim.plan` takes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import in_turns, seconds_of, seeded_weights, show

from pokesim.embedders import models
from pokesim.embedders.catalog import BUNDLED, CATALOG, PREFERRED
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.embedders.runtimes import open_network
from pokesim.plan import NETWORK_MS


def measure(home: Path, rounds: int) -> None:
    """Measure the seconds a picture of each network, and show them beside what is planned with."""
    plain = [name for name, spec in CATALOG.items() if not (spec.keras and spec.keras.classifier)]
    seconds = in_turns({name: _bare(name, home) for name in plain}, rounds)
    rows = [("", "ms a picture", f"of {PREFERRED}", "planned with")]
    for name, value in seconds.items():
        shares = value / seconds[PREFERRED], NETWORK_MS[name] / NETWORK_MS[PREFERRED]
        rows.append((name, f"{1e3 * value:.2f}", *(f"{share:.3f}" for share in shares)))
    show(f"Bare networks, batches of {BATCH_SIZE}, LiteRT", rows)


def _bare(name: str, home: Path) -> Callable[[], float]:
    weights = None if name == BUNDLED else home / f"{name}.weights.h5"
    if weights:
        seeded_weights(name, weights)
    network = open_network(models.prepare(name, weights))
    pixels = np.zeros((BATCH_SIZE, network.side, network.side, 3), np.uint8)
    network.embed(pixels)
    return lambda: seconds_of(lambda: network.embed(pixels)) / BATCH_SIZE
