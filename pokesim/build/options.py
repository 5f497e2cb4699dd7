"""What a build takes and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pokesim.build.batches import EmbedBatches
from pokesim.embedders.catalog import LITERT, Compute
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.images import FILE_SECONDS, MAX_PIXELS
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.manifest import AUTO_SEARCH, EmbedderRecord, MetadataRecord, Skipped
from pokesim.index.metadata.table import Table
from pokesim.progress import Progress


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    Attributes:
        index: the index's folder or address.
        embedder: name of the embedder.
        indexed: number of pictures in the index.
        skipped: files that look like pictures but could not be read.
        seconds: wall-clock time from the first file to the committed snapshot, without the time to
            export a model.
        embedded: number of pictures that this build embedded.
        dropped: number of pictures of the previous snapshot that are no longer in the index.
        metadata: the metadata table as it was matched with the pictures, or None.
        changed: a new snapshot was committed; False means that the index was up to date.
        images_before: the picture folder of the previous snapshot, if it was another one.
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
    images_before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What to build, and how.

    Attributes:
        index: the index's folder or address, for messages.
        folder: the folder that the snapshot is written into.
        root: the picture folder.
        record: the embedder, as the manifest records it.
        dimension: length of the embedder's vectors.
        embed: loads files and embeds their pictures.
        search: as in `build_index`; "auto" keeps the search of the previous snapshot.
        metadata: a new metadata table; False drops the table, None keeps it.
        key: the table's column with the picture names; None takes the best match.
        compute: runtime and precision of the embedder; the runtime may be chosen while embedding.
        batch_size: number of pictures embedded at a time.
        strict: fail if any picture cannot be read.
        max_pixels: cap on a picture's width × height.
        file_seconds: time limit for reading one file.
        rebuild: embed everything again, and replace an index that other options made.
        explicit: the user named each file, so one that is not a picture is reported too.
        journal: name of the folder, inside the index folder, for the journal of this kind of build.
        on_progress: called after each batch.
    """

    index: str
    folder: IndexFolder
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
    explicit: bool = False
    journal: str = ".unfinished"
    on_progress: Progress = field(default=lambda done, total: None)
