"""Indexes of given vectors."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

import pokesim
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.folder.writer import SnapshotWriter, new_snapshot
from pokesim.index.item import Item
from pokesim.index.manifest import EmbedderRecord, Manifest, SearchRecord


def index_of(folder: Path, rows: np.ndarray, search: str = "flat") -> pokesim.Index:
    """Build an index of given vectors, and open it."""
    with (
        new_snapshot(IndexFolder(folder)) as draft,
        closing(SnapshotWriter(draft.path, rows.shape[1])) as writer,
    ):
        for start in range(0, len(rows), 100):
            block = rows[start : start + 100]
            ids = range(start, start + len(block))
            writer.add(block, [Item(i, f"{i}.png", str(i), 1, 1, "") for i in ids])
        writer.finish()
        record = EmbedderRecord("compact", "", 1, 8, "", False)
        manifest = Manifest(str(folder), record, rows.shape[1], len(rows), ())
        draft.commit(replace(manifest, search=SearchRecord(search)))
    return pokesim.open_index(folder)
