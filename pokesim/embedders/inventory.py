"""Which embedders are ready on this machine, and what the others lack."""

from __future__ import annotations

from dataclasses import dataclass

from pokesim.embedders.catalog import CATALOG, EmbedderSpec
from pokesim.embedders.model_cache import (
    BUNDLED_FILE,
    _keras_cache,
    exported_models,
    published_model,
)


@dataclass(frozen=True, slots=True)
class Availability:
    """An embedder of the catalogue and what of it is on this machine.

    Attributes:
        spec: the catalogue's row.
        state: are its weights at hand: "yes"; "yes, to export" (in Keras' cache); "own weights"
            (exported from a file that was given; such files are not taken unasked); "no".
        bytes: of the model file, or of the weights if it is yet to be exported; 0 if neither.
    """

    spec: EmbedderSpec
    state: str
    bytes: int


def inventory() -> list[Availability]:
    """List every embedder of the catalogue with what of it is on this machine."""
    return [_availability(spec) for spec in CATALOG.values()]


def _availability(spec: EmbedderSpec) -> Availability:
    if spec.keras is None:
        size = BUNDLED_FILE.stat().st_size if BUNDLED_FILE.is_file() else 0
        return Availability(spec, "yes" if size else "no", size)
    if model := published_model(spec):
        return Availability(spec, "yes", model.bytes)
    if _keras_cache(spec).is_file():
        return Availability(spec, "yes, to export", _keras_cache(spec).stat().st_size)
    if own := exported_models(spec.name):
        return Availability(spec, "own weights", own[0].bytes)
    return Availability(spec, "no", 0)
