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
from pokesim.index.metadata.table import read_table
from pokesim.index.vectors.candidates import KeptRows


def index_of(
    folder: Path,
    rows: np.ndarray,
    search: str = "flat",
    table: Path | None = None,
    kept: np.ndarray | None = None,
) -> pokesim.Index:
    """Build an index of given vectors, and open it; the picture of row n is called ``n.png``.

    ``kept`` says which row of the index that the folder has is the same as each row, or -1.
    """
    names = [f"{i}.png" for i in range(len(rows))]
    keyed = read_table(table).keyed(names) if table else None
    with (
        new_snapshot(IndexFolder(folder)) as draft,
        closing(SnapshotWriter(draft.path, rows.shape[1], keyed)) as writer,
    ):
        for start in range(0, len(rows), 100):
            block = rows[start : start + 100]
            ids = range(start, start + len(block))
            writer.add(block, [Item(i, names[i], str(i), 1, 1, "") for i in ids])
        metadata = writer.finish()
        record = EmbedderRecord("compact", "", 1, 8, "", False)
        manifest = Manifest(str(folder), record, rows.shape[1], len(rows), (), metadata=metadata)
        before = IndexFolder(folder).current() if kept is not None else None
        same = KeptRows(before.path, before.manifest, kept) if before else None
        draft.commit(replace(manifest, search=SearchRecord(search)), same)
    return pokesim.open_index(folder)
