"""The vectors that a filter on the metadata leaves to search."""

from __future__ import annotations

import threading

from cachetools import LRUCache

from pokesim.arguments import text
from pokesim.index.store import Reader
from pokesim.index.vectors.knn import VectorView

_CACHED = 16


class Views:
    """The views of one snapshot, the last used in memory; safe to use from several threads."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._all = reader, reader.view(None)
        self._cached: LRUCache[str, VectorView] = LRUCache(_CACHED)
        self._lock = threading.Lock()

    def of(self, where: str | None) -> VectorView:
        """Return the vectors that pass a filter; None means all.

        Raises:
            UsageError: the filter is not valid for this index.
        """
        if where is None:
            return self._all
        with self._lock:
            view = self._cached.get(text("where", where))
        if view is None:
            from pokesim.index.metadata.filter_parser import no_metadata, parse_filter

            metadata = self._reader.metadata
            if metadata is None:
                raise no_metadata(where)
            condition = parse_filter(where, metadata.record.columns, metadata.alternatives)
            view = self._reader.view(condition)
            with self._lock:
                self._cached[where] = view
        return view
