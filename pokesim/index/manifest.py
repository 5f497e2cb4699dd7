"""``manifest.json``: the description of an index, and the size and hash of its other files.

An index may come from a stranger, so the manifest is read as `_MANIFEST` says and not otherwise.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pokesim.embedders.catalog import CATALOG, Precision, Runtime
from pokesim.embedders.network import (
    INTERPOLATIONS,
    LAYOUTS,
    MAX_DIMENSION,
    MAX_SIDE,
    MAX_TOKENS,
    FileFormat,
    HubOrigin,
    Network,
    NetworkFile,
    Pooling,
    TextPart,
)
from pokesim.index.fields import (
    FieldError,
    absolute_path,
    boolean,
    integer,
    list_of,
    mapping,
    number,
    one_of,
    optional,
    parse_json,
    record,
    text,
    utc_time,
)

if TYPE_CHECKING:
    from pokesim.images import Frame

MANIFEST_FILE = "manifest.json"

MAX_MANIFEST_BYTES = 32 << 20
"""The largest manifest: that of an index with some 200,000 skipped files."""

FORMAT = 1
"""Version of the layout on disk; a newer one is refused."""

FLAT, PCA, AUTO_SEARCH = "flat", "pca", "auto"
"""The exact searches; ``auto`` chooses one of the other two by the size of the vectors."""

PANORAMA = "panorama"
"""An exact search of earlier versions. Its indexes are scanned until they are built again."""


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
        network: what is known of a network from a file; None for those of the catalogue.
    """

    name: str
    weights_sha256: str
    export_version: int
    side: int
    reading: str
    normalized: bool
    network: Network | None = None

    @property
    def frame(self) -> Frame:
        """How a picture becomes the square."""
        from pokesim.images import Frame  # takes longer to import than this module

        return self.network.frame if self.network else Frame.recorded(self.side, self.reading)

    def is_read_as(self, side: int) -> bool:
        """Return True if this pokesim reads pictures for a network with this side as it did."""
        return (self.side, self.reading) == (side, self.frame.reading)

    def is_by_same_network(self, other: EmbedderRecord) -> bool:
        """Return True if another record is of the same files, used alike, under any names."""
        if self.network is None or other.network is None:
            return self == other
        own = self.network
        network = replace(other.network, files=own.files, licence=own.licence, origin=own.origin)
        return replace(other, name=self.name, network=network) == self


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
        requested: the user's choice: "auto", "flat", "pca" or a FAISS factory string.
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
        if data["embedder"]["network"] is None:  # as in the first versions
            del data["embedder"]["network"]
        # The format has always called it "asked".
        data["search"] = {"asked": data["search"].pop("requested"), **data["search"]}
        return json.dumps(data, indent=1) + "\n"

    @staticmethod
    def from_json(written: bytes) -> Manifest:
        """Parse and check the output of `to_json`.

        Raises:
            ValueError: it is not a manifest; the message says where it is wrong.
        """
        return Manifest.from_fields(parse_json(written, MAX_MANIFEST_BYTES))

    @staticmethod
    def from_fields(data: Any) -> Manifest:
        """Check the parsed JSON of a manifest. Raises ValueError as `from_json`."""
        manifest: Manifest = _MANIFEST(data)
        return manifest


_path = text(32_768)

_column = text(pattern="(?s:.+)")

_sha256 = text(64, "[0-9a-f]*")

_percent = number(0, 100)

_counter = integer(0, 2**31 - 1)


def _search(asked: str, used: str, recall: float | None) -> SearchRecord:
    known = (FLAT, PCA, PANORAMA) if asked == AUTO_SEARCH else (asked,)
    if used not in known:
        raise FieldError("is not one that this pokesim knows", "search")
    return SearchRecord(asked, used, recall)


def _network(**fields: Any) -> Network:
    network = Network(**fields)
    if 0 < network.resize < network.side:
        raise FieldError("is less than side", "resize")
    return network


def _embedder(**fields: Any) -> EmbedderRecord:
    made_by = EmbedderRecord(**fields)
    network = made_by.network
    if network is None:
        if "." in made_by.name:
            raise FieldError("has characters that it cannot have", "name")
    elif (network.side, network.sha256) != (made_by.side, made_by.weights_sha256):
        raise FieldError("is not the network that side and weights_sha256 say", "network")
    elif "." not in made_by.name:
        row = CATALOG.get(made_by.name)
        if not network.origin or (row and not row.hub):
            raise FieldError("is that of another embedder", "name")
    return made_by


_colours = list_of(number(-1e4, 1e4), 3)

_NETWORK = record(
    _network,
    {
        "format": lambda value: FileFormat(one_of(*map(str, FileFormat))(value)),
        "files": mapping(
            text(100, r"[A-Za-z0-9_][\w .+-]*"),
            record(NetworkFile, {"bytes": integer(1, 2**40), "sha256": text(64, "[0-9a-f]{64}")}),
            1,
            20,
        ),
        "side": integer(1, MAX_SIDE),
        "dimension": integer(1, MAX_DIMENSION),
        "resize": integer(0, 4 * MAX_SIDE),
        "interpolation": one_of(*INTERPOLATIONS),
        "scale": number(0, 1e4),
        "mean": _colours,
        "std": list_of(number(1e-9, 1e4), 3),
        "layout": one_of(*LAYOUTS),
        "input": text(200),
        "output": text(200),
        "pooling": lambda value: Pooling(one_of(*map(str, Pooling))(value)),
        "prefix": integer(0, 1000),
        "batch": integer(0, 1),
        "licence": text(100),
        "origin": optional(
            record(
                HubOrigin,
                {
                    "repository": text(200, r"[\w.-]+/[\w.-]+"),
                    "commit": text(64, "[0-9a-f]{40,64}"),
                },
            )
        ),
        "text": optional(
            record(
                TextPart,
                {
                    "output": text(200),
                    "length": integer(1, MAX_TOKENS),
                    "pad": integer(0, 2**31 - 1),
                    "is_left": boolean,
                    "is_masked": boolean,
                    "is_lower": boolean,
                },
            )
        ),
    },
)


def _metadata(**fields: Any) -> MetadataRecord:
    columns = fields["columns"]
    if fields["key"] not in columns:
        raise FieldError("is not one of its columns", "key")
    if len({name.casefold() for name in columns}) < len(columns):
        raise FieldError("has a column twice", "columns")
    return MetadataRecord(**fields)


def _manifest(**fields: Any) -> Manifest:
    metadata = fields.get("metadata")
    if metadata and metadata.described > fields["count"]:
        raise FieldError("is larger than count", "metadata.described")
    return Manifest(**fields)


_MANIFEST = record(
    _manifest,
    {
        "images": absolute_path,
        "embedder": record(
            _embedder,
            {
                "name": text(64, r"[a-z0-9_-]+(\.(onnx|tflite|xml|keras))?"),
                "weights_sha256": _sha256,
                "export_version": integer(0, 10**6),
                "side": integer(1, 4096),
                "reading": text(500),
                "normalized": boolean,
                "network": _NETWORK,
            },
            optional_fields=("network",),
        ),
        "dimension": integer(1, 16_384),
        "count": integer(1, 2**31 - 1),
        "skipped": list_of(record(Skipped, {"path": _path, "reason": text(nul=True)})),
        "created": utc_time,
        "metric": one_of("L2"),
        "tuning": optional(
            record(
                Tuning,
                {
                    "labels": _counter,
                    "pictures": _counter,
                    "held_out": _counter,
                    "before": list_of(_percent, 2),
                    "after": list_of(_percent, 2),
                },
            )
        ),
        "search": record(
            _search,
            {"asked": text(200), "used": text(200), "recall": optional(number(0, 1))},
        ),
        "metadata": optional(
            record(
                _metadata,
                {
                    "source": absolute_path,
                    "sha256": _sha256,
                    "key": _column,
                    "columns": mapping(_column, boolean, 1, 500),
                    "described": _counter,
                    "unmatched": _counter,
                },
            )
        ),
        "runtime": one_of(*map(str, Runtime)),
        "precision": one_of(*map(str, Precision)),
        "files": mapping(
            text(64, "[a-z.]+"),
            record(dict, {"bytes": integer(0, 2**62), "sha256": text(64, "[0-9a-f]{64}")}),
            2,
            6,
        ),
        "pokesim": text(64, r"[\w.+!-]*"),
        "format": one_of(FORMAT),
    },
    optional_fields=("search", "metadata", "runtime", "precision"),  # of the first versions
)
