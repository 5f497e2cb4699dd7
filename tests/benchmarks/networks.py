"""The bare networks of the catalogue against ResNet50, for `pokesim.analysis.capacity`."""

from dataclasses import replace

from building import bare_network
from common import Setting, in_turns, seeded_weights, show

from pokesim.analysis.capacity import NETWORK_MS
from pokesim.embedders.catalog import CATALOG, Compute, spec_of
from pokesim.embedders.litert import BATCH_SIZE


def measure(setting: Setting, rounds: int) -> None:
    """Print the time per picture of each network next to the value used for planning."""
    here = {name: spec for name, spec in CATALOG.items() if not spec.hub}  # nothing is fetched
    names = [name for name, spec in here.items() if not (spec.keras and spec.keras.classifier)]
    litert = Compute()
    ways = {name: bare_network(_with(setting, name), setting.images, litert) for name in names}
    seconds = in_turns(ways, rounds)
    rows = [("", "ms a picture", "of resnet50", "planned with")]
    for name, value in seconds.items():
        shares = value / seconds["resnet50"], NETWORK_MS[name] / NETWORK_MS["resnet50"]
        rows.append((name, f"{1e3 * value:.2f}", *(f"{share:.3f}" for share in shares)))
    show(f"Bare networks, batches of {BATCH_SIZE}, LiteRT", rows)


def _with(setting: Setting, name: str) -> Setting:
    """Return the setting with another network."""
    if name == setting.embedder:
        return setting
    weights = setting.folder / f"{name}.weights.h5" if spec_of(name).keras else None
    if weights:
        seeded_weights(name, weights)
    return replace(setting, embedder=name, weights=weights)
