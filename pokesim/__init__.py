"""Find the pictures in a folder that look most like a photo: exactly and offline.

Build an index of a folder once, then query it with photos:

>>> import pokesim
>>> pokesim.build_index("images", "indexes/mine")     # doctest: +SKIP
>>> index = pokesim.open_index("indexes/mine")        # doctest: +SKIP
>>> for match in index.query("photo.jpg", k=5):       # doctest: +SKIP
...     print(match.rank, match.label, match.similarity, match.path)
1 brumbel 72.4 images/brumbel.png

Build and update an index
    build_index, add_pictures, remove_pictures; watch_folder keeps an index up to date; open_workers
    embeds on several processes or machines

Search
    open_index returns an Index, a sequence of Pictures with the methods query (photos), search
    (vectors), embed (photos to vectors) and explain (why)

Show
    card draws a photo and its match, report writes a page of many, map_index one of an index

Measure, tune, analyse
    evaluate_index, tune_index, reset_index; find_duplicates, and move_extras to take what is not
    kept away, undo_moves to bring it back

Maintain
    check_index, repair_index; push_index and pull_index copy an index to and from a Milvus server

Get pictures
    fetch_dataset, write_samples

Wherever an index is expected, give the path of its folder or the address of a Milvus collection,
``milvus://HOST:PORT/COLLECTION``. Every error is a PokesimError with a one-sentence message; the
module `pokesim.errors` lists its subclasses. Importing pokesim loads nothing heavy: each name is
imported on first use. The same functions are commands of ``pokesim``; see ``pokesim --help``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# The module of each name, imported when the name is first used, so `import pokesim` is fast.
_MODULES = {
    "Answer": "pokesim.search.matches",
    "BuildReport": "pokesim.build.options",
    "CombinationError": "pokesim.errors",
    "Copies": "pokesim.search.copies",
    "CorruptIndexError": "pokesim.errors",
    "CropError": "pokesim.errors",
    "Dataset": "pokesim.datasets",
    "DatasetError": "pokesim.errors",
    "Duplicate": "pokesim.analysis.duplicates",
    "Duplicates": "pokesim.analysis.duplicates",
    "Evaluation": "pokesim.analysis.evaluate",
    "Explanation": "pokesim.search.explain",
    "IncompatibleIndexError": "pokesim.errors",
    "Index": "pokesim.search.index",
    "IndexFolderError": "pokesim.errors",
    "IndexNotFoundError": "pokesim.errors",
    "Manifest": "pokesim.index.manifest",
    "Match": "pokesim.search.matches",
    "Matches": "pokesim.search.matches",
    "ModelError": "pokesim.errors",
    "Moves": "pokesim.analysis.extras",
    "NotAPictureError": "pokesim.errors",
    "Picture": "pokesim.search.picture",
    "PictureError": "pokesim.errors",
    "PokesimError": "pokesim.errors",
    "Skipped": "pokesim.index.manifest",
    "Tuning": "pokesim.index.manifest",
    "UsageError": "pokesim.errors",
    "add_pictures": "pokesim.build.edit",
    "build_index": "pokesim.build.build",
    "card": "pokesim.show.drawing.card",
    "check_index": "pokesim.maintenance.check",
    "evaluate_index": "pokesim.analysis.evaluate",
    "fetch_dataset": "pokesim.datasets",
    "find_duplicates": "pokesim.analysis.duplicates",
    "map_index": "pokesim.show.map",
    "move_extras": "pokesim.analysis.extras",
    "open_index": "pokesim.search.index",
    "open_workers": "pokesim.distributed.cluster",
    "pull_index": "pokesim.index.milvus.store",
    "push_index": "pokesim.index.milvus.store",
    "remove_pictures": "pokesim.build.edit",
    "repair_index": "pokesim.maintenance.repair",
    "report": "pokesim.show.html_report",
    "reset_index": "pokesim.analysis.tune",
    "tune_index": "pokesim.analysis.tune",
    "undo_moves": "pokesim.analysis.extras",
    "watch_folder": "pokesim.build.watch",
    "write_samples": "pokesim.samples",
}

__all__ = [
    "Answer",
    "BuildReport",
    "CombinationError",
    "Copies",
    "CorruptIndexError",
    "CropError",
    "Dataset",
    "DatasetError",
    "Duplicate",
    "Duplicates",
    "Evaluation",
    "Explanation",
    "IncompatibleIndexError",
    "Index",
    "IndexFolderError",
    "IndexNotFoundError",
    "Manifest",
    "Match",
    "Matches",
    "ModelError",
    "Moves",
    "NotAPictureError",
    "Picture",
    "PictureError",
    "PokesimError",
    "Skipped",
    "Tuning",
    "UsageError",
    "add_pictures",
    "build_index",
    "card",
    "check_index",
    "evaluate_index",
    "fetch_dataset",
    "find_duplicates",
    "map_index",
    "move_extras",
    "open_index",
    "open_workers",
    "pull_index",
    "push_index",
    "remove_pictures",
    "repair_index",
    "report",
    "reset_index",
    "tune_index",
    "undo_moves",
    "watch_folder",
    "write_samples",
]

if TYPE_CHECKING:
    from pokesim.analysis.duplicates import Duplicate, Duplicates, find_duplicates
    from pokesim.analysis.evaluate import Evaluation, evaluate_index
    from pokesim.analysis.extras import Moves, move_extras, undo_moves
    from pokesim.analysis.tune import reset_index, tune_index
    from pokesim.build.build import build_index
    from pokesim.build.edit import add_pictures, remove_pictures
    from pokesim.build.options import BuildReport
    from pokesim.build.watch import watch_folder
    from pokesim.datasets import Dataset, fetch_dataset
    from pokesim.distributed.cluster import open_workers
    from pokesim.errors import (
        CombinationError,
        CorruptIndexError,
        CropError,
        DatasetError,
        IncompatibleIndexError,
        IndexFolderError,
        IndexNotFoundError,
        ModelError,
        NotAPictureError,
        PictureError,
        PokesimError,
        UsageError,
    )
    from pokesim.index.manifest import Manifest, Skipped, Tuning
    from pokesim.index.milvus.store import pull_index, push_index
    from pokesim.maintenance.check import check_index
    from pokesim.maintenance.repair import repair_index
    from pokesim.samples import write_samples
    from pokesim.search.copies import Copies
    from pokesim.search.explain import Explanation
    from pokesim.search.index import Index, open_index
    from pokesim.search.matches import Answer, Match, Matches
    from pokesim.search.picture import Picture
    from pokesim.show.drawing.card import card
    from pokesim.show.html_report import report
    from pokesim.show.map import map_index


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
