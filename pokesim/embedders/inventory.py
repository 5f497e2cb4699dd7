"""Which embedders are ready on this machine, and what the others lack."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pokesim.embedders.catalog import CATALOG, EmbedderSpec, networks_of
from pokesim.embedders.embedder import spec_for
from pokesim.embedders.files.cache import cached_networks
from pokesim.embedders.model_cache import BUNDLED_FILE, cached_models, head_file
from pokesim.embedders.prepare import local_weights, published_model


class Availability(StrEnum):
    """Whether an embedder can be used on this machine at once, as shown to users."""

    READY = "yes"
    """Its model is here."""

    EXPORTABLE = "after export"
    """Its published weights are here; the model will be exported from them."""

    OWN_WEIGHTS = "with --weights"
    """A model exported from a user's weights is here; it is used only with that weights file."""

    MISSING = "no"
    """Neither its model nor its weights are here."""


@dataclass(frozen=True, slots=True)
class InventoryRow:
    """An embedder of the catalogue and its state on this machine.

    Attributes:
        spec: its row of the catalogue.
        availability: whether it can be used.
        bytes: size of its model, or of its weights if it is yet to be exported; 0 if missing.
    """

    spec: EmbedderSpec
    availability: Availability
    bytes: int


def inventory() -> list[InventoryRow]:
    """List the embedders of the catalogue with their state on this machine, then those of files."""
    others = [model for model in cached_networks() if model.name not in CATALOG]
    return [
        *(_row(spec) for spec in CATALOG.values()),
        *(InventoryRow(spec_for(one), Availability.READY, one.bytes) for one in others),
    ]


def _row(spec: EmbedderSpec) -> InventoryRow:
    if spec.pair:
        return _pair_row(spec, head_file(spec.pair))
    if spec.ships:
        size = BUNDLED_FILE.stat().st_size if BUNDLED_FILE.is_file() else 0
        return InventoryRow(spec, Availability.READY if size else Availability.MISSING, size)
    if spec.hub:
        found = next((one for one in cached_networks() if one.name == spec.name), None)
        state = Availability.READY if found else Availability.MISSING
        return InventoryRow(spec, state, found.bytes if found else 0)
    if model := published_model(spec):
        return InventoryRow(spec, Availability.READY, model.bytes)
    if weights := local_weights(spec):
        return InventoryRow(spec, Availability.EXPORTABLE, weights.stat().st_size)
    if own := cached_models(spec.name):
        return InventoryRow(spec, Availability.OWN_WEIGHTS, own[0].bytes)
    return InventoryRow(spec, Availability.MISSING, 0)


def _pair_row(spec: EmbedderSpec, head: Path) -> InventoryRow:
    """Return the row of a pair, which is as ready as its less ready part."""
    parts = [_row(part) for part in networks_of(spec)]
    states = {part.availability for part in parts}
    if not head.is_file() or not states <= {Availability.READY, Availability.EXPORTABLE}:
        return InventoryRow(spec, Availability.MISSING, 0)
    worst = Availability.EXPORTABLE if Availability.EXPORTABLE in states else Availability.READY
    return InventoryRow(spec, worst, head.stat().st_size + sum(part.bytes for part in parts))
