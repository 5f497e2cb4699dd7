"""Which files a snapshot has, and their sizes as far as its manifest determines them."""

from __future__ import annotations

from pokesim.errors import UsageError
from pokesim.index.fields import FieldError
from pokesim.index.folder.items import ITEMS_FILE
from pokesim.index.manifest import FLAT, PANORAMA, PCA, Manifest
from pokesim.index.vectors.candidates import CANDIDATE_FILES
from pokesim.index.vectors.flat import BASE_FILE, SEARCH_FILE, VECTORS_FILE, header
from pokesim.metric import PROJECTION_FILE


def check_contents(manifest: Manifest, *, candidates: bool = True) -> None:
    """Check that a manifest lists the files that such an index has, and no others.

    Args:
        manifest: the manifest.
        candidates: whether the files of its candidate index are among them.

    Raises:
        ValueError: it does not; the message says what is wrong.
    """
    used = manifest.search.used
    if used not in (FLAT, PCA, PANORAMA):
        from pokesim.index.vectors.factory import parse_factory  # an exact search has none

        try:
            parse_factory(used, manifest.dimension)
        except UsageError as error:
            raise FieldError("is not one that this pokesim knows", "search") from error
    names = {ITEMS_FILE, VECTORS_FILE}
    if manifest.tuning:
        names |= {BASE_FILE, PROJECTION_FILE}
    if candidates and used != FLAT:
        names |= CANDIDATE_FILES if used in (PCA, PANORAMA) else {SEARCH_FILE}
    if manifest.files.keys() != names:
        raise FieldError(f"must be {', '.join(sorted(names))}", "files")
    head = len(header(manifest.dimension, manifest.count))
    column = 4 * manifest.count  # bytes of one component of all vectors
    if manifest.files[VECTORS_FILE]["bytes"] != head + column * manifest.dimension:
        raise FieldError("is not the size of count × dimension vectors", f"files.{VECTORS_FILE}")
    if manifest.tuning and (manifest.files[BASE_FILE]["bytes"] - head) % column:
        raise FieldError("is not the size of count vectors", f"files.{BASE_FILE}")
