"""What a build is asked for and what it reports; what embeds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pokesim.build.batches import EmbedBatches
from pokesim.embedders.catalog import LITERT, Compute
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.images import FILE_SECONDS, MAX_PIXELS
from pokesim.index.manifest import AUTO_SEARCH, EmbedderRecord, MetadataRecord, Skipped
from pokesim.index.metadata.table import Table
from pokesim.progress import Progress


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    Attributes:
        index: where the index is.
        embedder: the embedder's name.
        indexed: number of pictures in the index.
        skipped: files that claim to be pictures but could not be read.
        seconds: from the first file to the published snapshot, a first export not counted.
        embedded: pictures that went through the network now.
        dropped: pictures of the index before that are no longer in it.
        metadata: what its table came to, if it has one.
        changed: a new snapshot was published; otherwise there was nothing to do.
    """

    index: str
    embedder: str
    indexed: int
    skipped: tuple[Skipped, ...]
    seconds: float
    embedded: int
    dropped: int
    metadata: MetadataRecord | None
    changed: bool


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What is to be built, and how.

    Attributes:
        index: where the index is.
        home: the folder that it is built in.
        root: the picture folder.
        record: what embeds.
        dimension: length of its vectors.
        embed: looks into the files and embeds them.
        search: how it is to be searched, as `build_index` has it; "auto" keeps what is.
        metadata: a table that is to describe the pictures; False: none; None: as it is.
        key: its column that names pictures; None: the one that names the most.
        compute: what runs the network, and in which precision.
        batch_size: pictures embedded at a time.
        strict: fail if any picture cannot be read.
        max_pixels: cap on a picture's width × height.
        file_seconds: how long reading one file may take.
        rebuild: embed everything again, and replace an index that was made otherwise.
        asked: each file was asked for by its name, so one that is no picture is told of too.
        unfinished: folder, in the index's, of what an interrupted work of this kind has embedded.
        tell: called as files are done.
    """

    index: str
    home: Path
    root: Path
    record: EmbedderRecord
    dimension: int
    embed: EmbedBatches
    search: str = AUTO_SEARCH
    metadata: Table | Literal[False] | None = None
    key: str | None = None
    compute: Compute = LITERT
    batch_size: int = BATCH_SIZE
    strict: bool = False
    max_pixels: int = MAX_PIXELS
    file_seconds: float = FILE_SECONDS
    rebuild: bool = False
    asked: bool = False
    unfinished: str = ".unfinished"
    tell: Progress = field(default=lambda done, total: None)
