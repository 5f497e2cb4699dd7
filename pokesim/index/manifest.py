"""``manifest.json``: what an index is, and the size and hash of each of its other files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

MANIFEST_FILE = "manifest.json"

FORMAT = 1
"""Version of the layout on disk; a newer one is refused with a sentence."""


FLAT, PANORAMA, AUTO_SEARCH = "flat", "panorama", "auto"
"""How vectors can be searched exactly, by `SearchRecord.used`; ``auto`` chooses by size."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that claims to be a picture but could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class EmbedderRecord:
    """Which embedder made the vectors; a query must use the same.

    Attributes:
        name: in the catalogue.
        weights_sha256: of the weights.
        export_version: of the export that made the model file.
        side: of the square input, in pixels.
        reading: how a picture becomes that square.
        normalized: vectors were scaled to length 1.
    """

    name: str
    weights_sha256: str
    export_version: int
    side: int
    reading: str
    normalized: bool


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a learned metric was fitted on, and what it was worth on labels held out from the fit.

    Attributes:
        labels, pictures: what it was fitted on.
        held_out: pictures of held-out labels that it was measured with.
        before, after: percent of these whose right label came first, and among the first five.
    """

    labels: int
    pictures: int
    held_out: int
    before: tuple[float, float]
    after: tuple[float, float]


@dataclass(frozen=True, slots=True)
class MetadataRecord:
    """What a manifest says of an index's metadata.

    Attributes:
        source: the table's file, absolute.
        sha256: of the file's bytes when it was read.
        key: the column that names pictures.
        columns: all columns; True where each cell is a number or empty.
        described: pictures that have a row.
        unmatched: rows that no picture has.
    """

    source: str
    sha256: str
    key: str
    columns: dict[str, bool]
    described: int
    unmatched: int


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """How an index is searched.

    Attributes:
        requested: what the user named: "auto", "flat", "panorama" or a factory string.
        used: what that came to.
        recall: for an approximate search, the share of the true ten nearest vectors that it found,
            with vectors of the index as queries (the query itself not counted); else None.
    """

    requested: str = AUTO_SEARCH
    used: str = FLAT
    recall: float | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index is.

    Attributes:
        images: the picture folder, absolute; item paths are relative to it.
        embedder: what made the vectors.
        dimension, count: shape of the vectors.
        skipped: files that could not be read.
        created: UTC, ISO 8601.
        metric: how vectors are compared; always "L2".
        tuning: the learned metric that the vectors were projected by, if any.
        search: how the vectors are searched.
        metadata: the table that describes its pictures, if it has one.
        runtime, precision: what computed the vectors; any other may compute a query's.
        files: size in bytes and SHA-256 of each other file of the snapshot.
        pokesim: version that wrote it.
        format: version of the layout.
    """

    images: str
    embedder: EmbedderRecord
    dimension: int
    count: int
    skipped: tuple[Skipped, ...]
    created: str = ""
    metric: str = "L2"
    tuning: Tuning | None = None
    search: SearchRecord = SearchRecord()
    metadata: MetadataRecord | None = None
    runtime: str = "litert"
    precision: str = "float32"
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    pokesim: str = ""
    format: int = FORMAT

    def to_json(self) -> str:
        """Return the manifest as indented JSON."""
        data = asdict(self)
        # The format's name for it is older than ours.
        data["search"] = {"asked": data["search"].pop("requested"), **data["search"]}
        return json.dumps(data, indent=1) + "\n"

    @staticmethod
    def from_json(text: str | bytes) -> Manifest:
        """Read what `to_json` wrote. Raises ValueError, KeyError or TypeError on anything else."""
        data = json.loads(text)
        data["embedder"] = EmbedderRecord(**data["embedder"])
        if tuning := data["tuning"]:
            pairs = {name: tuple(tuning[name]) for name in ("before", "after")}
            data["tuning"] = Tuning(**tuning | pairs)
        if search := data.pop("search", {}):
            search["requested"] = search.pop("asked")
        data["search"] = SearchRecord(**search)
        if metadata := data.get("metadata"):
            data["metadata"] = MetadataRecord(**metadata)
        data["skipped"] = tuple(Skipped(**entry) for entry in data["skipped"])
        return Manifest(**data)
