"""Which metadata table the next snapshot gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pokesim.errors import PokesimError
from pokesim.files import sha256_of
from pokesim.index.folder.metadata import Metadata, log
from pokesim.index.manifest import MetadataRecord
from pokesim.index.metadata.table import Table, read_table

if TYPE_CHECKING:
    from pokesim.build.previous import PreviousSnapshot


def next_table(
    asked: Table | Literal[False] | None,
    key: str | None,
    before: PreviousSnapshot | None,
    paths: Sequence[str],
) -> Table | None:
    """Return the table that a new snapshot is to have.

    One that the index has stays, and is read again where its file has changed.

    Args:
        asked: a new table; False: none; None: as it is.
        key: the column of a new table that names pictures; None: the one that names the most.
        before: the index so far.
        paths: what its pictures will be.

    Raises:
        UsageError: nothing in a new table names a picture.
    """
    if asked is not None:
        return asked.keyed(paths, key) if asked else None
    record = before.snapshot.manifest.metadata if before else None
    if before is None or record is None:
        return None
    kept = Metadata(before.items, record).table()
    try:
        if sha256_of(Path(record.source)) == record.sha256:
            return kept
        fresh = read_table(Path(record.source)).keyed(paths, record.key)
    except (OSError, PokesimError) as error:
        told = error if isinstance(error, PokesimError) else f"{record.source} is gone."
        log.info("%s The metadata stay as they were.", told)
        return kept
    log.info("%s has changed and was read again.", record.source)
    return fresh


def is_current(table: Table | None, record: MetadataRecord | None) -> bool:
    """Say whether an index has a table already."""
    if table is None or record is None:
        return table is None and record is None
    same = (record.source, record.sha256, record.key)
    return (table.source, table.sha256, table.key) == same
