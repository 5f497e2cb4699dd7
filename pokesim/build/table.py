"""Which metadata table the next snapshot gets."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pokesim.build.previous import PreviousSnapshot
from pokesim.errors import PokesimError
from pokesim.index.folder.metadata import Metadata
from pokesim.index.manifest import MetadataRecord
from pokesim.index.metadata.table import Table, parse_table, read_bytes

log = logging.getLogger(__name__)


def next_table(
    requested: Table | Literal[False] | None,
    key: str | None,
    previous: PreviousSnapshot | None,
    paths: Sequence[str],
    root: Path,
) -> Table | None:
    """Return the metadata table of the next snapshot.

    By default this is the table of the previous one, read again if its file has changed and is in
    the picture folder or beside it: an index from a stranger may name any file.

    Args:
        requested: a new table; False for no table; None to keep the present one.
        key: column of the new table with the picture names; None takes the best match.
        previous: the previous snapshot.
        paths: the pictures of the next snapshot.
        root: the picture folder.

    Raises:
        UsageError: no row of the new table names a picture.
    """
    if requested is not None:
        return requested.keyed(paths, key) if requested else None
    record = previous.snapshot.manifest.metadata if previous else None
    if previous is None or record is None:
        return None
    kept = Metadata(previous.items, record).table()
    source = Path(record.source)
    if not _is_in_or_beside(source, root):
        log.info(
            "Keeping the previous metadata: %s is neither in nor beside %s; --metadata reads it "
            "again.",
            source,
            root,
        )
        return kept
    try:
        data = read_bytes(source)
        if hashlib.sha256(data).hexdigest() == record.sha256:
            return kept
        table = parse_table(source, data).keyed(paths, record.key)
    except PokesimError as error:
        log.info("%s Keeping the previous metadata.", error)
        return kept
    log.info("%s has changed and was read again.", record.source)
    return table


def _is_in_or_beside(source: Path, root: Path) -> bool:
    folder, root = source.parent.resolve(), root.resolve()
    return folder.is_relative_to(root) or folder == root.parent


def is_current(table: Table | None, record: MetadataRecord | None) -> bool:
    """Return True if ``record`` describes this very table, so that nothing needs to be written."""
    if table is None or record is None:
        return table is None and record is None
    recorded = (record.source, record.sha256, record.key)
    return (table.source, table.sha256, table.key) == recorded
