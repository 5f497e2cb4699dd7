"""``manifest.json``: the description of an index, and the size and hash of its other files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

MANIFEST_FILE = "manifest.json"

FORMAT = 1
"""Version of the layout on disk; a newer one is refused."""

FLAT, PANORAMA, AUTO_SEARCH = "flat", "panorama", "auto"
"""The exact searches; ``auto`` chooses one of the other two by the size of the vectors."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that should be a picture but could not be read, and the reason."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class EmbedderRecord:
    """The embedder that made the vectors; a query must use the same one.

    Attributes:
        name: its name in the catalogue.
        weights_sha256: SHA-256 of its weights.
        export_version: version of the export that made the model file.
        side: side of the square input, in pixels.
        reading: how a picture becomes that square.
        normalized: whether the vectors were scaled to length 1.
    """

    name: str
    weights_sha256: str
    export_version: int
    side: int
    reading: str
    normalized: bool


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a learned metric was fitted to, and its accuracy on labels held out from the fit.

    Attributes:
        labels, pictures: number of each that it was fitted to.
        held_out: number of pictures of held-out labels that it was evaluated on.
        before, after: R@1 and R@5 on these, in percent: the share whose correct label ranked
            first, and among the first five.
    """

    labels: int
    pictures: int
    held_out: int
    before: tuple[float, float]
    after: tuple[float, float]


@dataclass(frozen=True, slots=True)
class MetadataRecord:
    """The manifest's entry for the metadata of an index.

    Attributes:
        source: the table's file, as an absolute path.
        sha256: SHA-256 of the file when it was read.
        key: the column that names pictures.
        columns: all columns; True if each cell is a number or empty.
        described: number of pictures that have a row.
        unmatched: number of rows that match no picture.
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
        requested: the user's choice: "auto", "flat", "panorama" or a FAISS factory string.
        used: the search in use, once "auto" has chosen one.
        recall: for an approximate search, the share of the true ten nearest vectors among its
            candidates, with vectors of the index as queries (a query itself is not counted); else
            None.
    """

    requested: str = AUTO_SEARCH
    used: str = FLAT
    recall: float | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The description of an index.

    Attributes:
        images: the picture folder, as an absolute path; item paths are relative to it.
        embedder: the embedder that made the vectors.
        dimension, count: shape of the vectors.
        skipped: files that could not be read.
        created: time in UTC, ISO 8601.
        metric: how vectors are compared; always "L2".
        tuning: the learned metric that projected the vectors, if any.
        search: how the vectors are searched.
        metadata: the table that describes the pictures, if any.
        runtime, precision: what computed the vectors; a query's may be computed by others.
        files: size in bytes and SHA-256 of each other file of the snapshot.
        pokesim: version of pokesim that wrote it.
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
        # The format has always called it "asked".
        data["search"] = {"asked": data["search"].pop("requested"), **data["search"]}
        return json.dumps(data, indent=1) + "\n"

    @staticmethod
    def from_json(text: str | bytes) -> Manifest:
        """Parse the output of `to_json`. Raises ValueError, KeyError or TypeError on other text."""
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
