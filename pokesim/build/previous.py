"""The snapshot that a build starts from."""

from __future__ import annotations

import contextlib
import logging

from pokesim.build.options import BuildOptions
from pokesim.errors import CorruptIndexError, IncompatibleIndexError, IndexNotFoundError
from pokesim.index.folder.base_vectors import BaseVectors
from pokesim.index.folder.items import ITEMS_FILE, Items
from pokesim.index.folder.snapshot import FolderSnapshot
from pokesim.index.manifest import EmbedderRecord

log = logging.getLogger(__name__)


class PreviousSnapshot:
    """The previous snapshot, every byte verified, as a source of items and base vectors.

    Attributes:
        snapshot: the snapshot itself.
        is_current: it is the current snapshot, not an older one in place of a damaged one.
        items, base: its items and its base vectors.
    """

    def __init__(self, snapshot: FolderSnapshot, *, is_current: bool) -> None:
        """Open it. Raises CorruptIndexError."""
        for name in snapshot.manifest.files:
            snapshot.verify_file(name)
        self.snapshot = snapshot
        self.is_current = is_current
        self.items = Items(snapshot.file(ITEMS_FILE), snapshot.manifest.count)
        self.base = BaseVectors(snapshot)

    def __len__(self) -> int:
        return self.snapshot.manifest.count

    def find(self, sha256: str) -> int | None:
        """Return the row of a picture with these bytes; safe to call from several threads."""
        return self.items.find(sha256)

    def close(self) -> None:
        """Close the files."""
        self.items.close()


def open_previous(options: BuildOptions) -> PreviousSnapshot | None:
    """Open the current snapshot; if it is damaged, open the newest intact one instead.

    Raises:
        IncompatibleIndexError: other options made the index, and ``options.rebuild`` is not set.
    """
    folder = options.folder
    try:
        current = PreviousSnapshot(folder.current(), is_current=True)
        return _check_compatible(current, options)
    except IndexNotFoundError:
        return None
    except IncompatibleIndexError:
        if not options.rebuild:
            raise
        return None
    except CorruptIndexError as error:
        damage = str(error).split(";")[0]
        log.info("%s; pictures that no older snapshot has are embedded again.", damage)
    for snapshot in folder.intact_snapshots():
        with contextlib.suppress(CorruptIndexError, IncompatibleIndexError):
            return _check_compatible(PreviousSnapshot(snapshot, is_current=False), options)
    return None


def incompatible(
    index: str, existing: EmbedderRecord, requested: EmbedderRecord
) -> IncompatibleIndexError:
    """Return an error that says how an index differs from the requested one."""
    if existing.name != requested.name:
        what = f"with {existing.name}, not with {requested.name}"
    elif existing.weights_sha256 != requested.weights_sha256:
        hashes = existing.weights_sha256[:12], requested.weights_sha256[:12]
        what = f"with {existing.name} from weights {hashes[0]}…, not from {hashes[1]}…"
    elif existing.normalized != requested.normalized:
        kinds = ("normalized", "unnormalized")
        what = "with {} vectors, not {} ones".format(
            *(kinds if existing.normalized else kinds[::-1])
        )
    elif existing.network != requested.network:
        what = f"with other settings of {existing.name} (size, mean, pooling …)"
    else:
        what = "by a version of pokesim that preprocesses pictures differently"
    return IncompatibleIndexError(
        f"The index {index} was made {what}; use --rebuild to replace it, or --index to make "
        "another."
    )


def _check_compatible(previous: PreviousSnapshot, options: BuildOptions) -> PreviousSnapshot:
    """Return ``previous`` if a build can continue it. Raises IncompatibleIndexError otherwise."""
    manifest = previous.snapshot.manifest
    wanted = options.record, options.compute.precision
    if options.rebuild or (manifest.embedder, manifest.precision) == wanted:
        return previous
    previous.close()
    if manifest.embedder != options.record:
        raise incompatible(options.index, manifest.embedder, options.record)
    raise IncompatibleIndexError(
        f"The index {options.index} was computed in {manifest.precision}, not in "
        f"{options.compute.precision}; use --precision {manifest.precision} to continue it, or "
        "--rebuild to replace it."
    )
