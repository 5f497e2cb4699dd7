"""Search a folder of pictures with a photo: exact nearest neighbours, offline.

>>> import pokesim
>>> pokesim.build_index("images")                     # doctest: +SKIP
>>> index = pokesim.open_index()                      # doctest: +SKIP
>>> index.query("photo.jpg", k=5)[0].label            # doctest: +SKIP
'brumbel'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# A name's home is imported when the name is first used, so `import pokesim` costs nothing.
_HOMES = {
    "Answer": "pokesim.search.matches",
    "BuildReport": "pokesim.build.options",
    "CorruptIndexError": "pokesim.errors",
    "Dataset": "pokesim.datasets",
    "DatasetError": "pokesim.errors",
    "Duplicate": "pokesim.analysis.duplicates",
    "Evaluation": "pokesim.analysis.evaluate",
    "Explanation": "pokesim.search.explain",
    "IncompatibleIndexError": "pokesim.errors",
    "Index": "pokesim.search.index",
    "IndexFolderError": "pokesim.errors",
    "IndexNotFoundError": "pokesim.errors",
    "Manifest": "pokesim.index.manifest",
    "Match": "pokesim.search.matches",
    "ModelError": "pokesim.errors",
    "NotAPictureError": "pokesim.errors",
    "PictureError": "pokesim.errors",
    "PokesimError": "pokesim.errors",
    "Skipped": "pokesim.index.manifest",
    "Tuning": "pokesim.index.manifest",
    "UsageError": "pokesim.errors",
    "add_pictures": "pokesim.build.edit",
    "build_index": "pokesim.build.build",
    "check_index": "pokesim.maintenance.check",
    "evaluate_index": "pokesim.analysis.evaluate",
    "fetch_dataset": "pokesim.datasets",
    "find_duplicates": "pokesim.analysis.duplicates",
    "open_index": "pokesim.search.index",
    "open_workers": "pokesim.distributed.cluster",
    "pull_index": "pokesim.index.milvus.store",
    "push_index": "pokesim.index.milvus.store",
    "remove_pictures": "pokesim.build.edit",
    "repair_index": "pokesim.maintenance.repair",
    "reset_index": "pokesim.analysis.tune",
    "tune_index": "pokesim.analysis.tune",
    "write_samples": "pokesim.samples",
}

__all__ = [
    "Answer",
    "BuildReport",
    "CorruptIndexError",
    "Dataset",
    "DatasetError",
    "Duplicate",
    "Evaluation",
    "Explanation",
    "IncompatibleIndexError",
    "Index",
    "IndexFolderError",
    "IndexNotFoundError",
    "Manifest",
    "Match",
    "ModelError",
    "NotAPictureError",
    "PictureError",
    "PokesimError",
    "Skipped",
    "Tuning",
    "UsageError",
    "add_pictures",
    "build_index",
    "check_index",
    "evaluate_index",
    "fetch_dataset",
    "find_duplicates",
    "open_index",
    "open_workers",
    "pull_index",
    "push_index",
    "remove_pictures",
    "repair_index",
    "reset_index",
    "tune_index",
    "write_samples",
]

if TYPE_CHECKING:
    from pokesim.analysis.duplicates import Duplicate, find_duplicates
    from pokesim.analysis.evaluate import Evaluation, evaluate_index
    from pokesim.analysis.tune import reset_index, tune_index
    from pokesim.build.build import build_index
    from pokesim.build.edit import add_pictures, remove_pictures
    from pokesim.build.options import BuildReport
    from pokesim.datasets import Dataset, fetch_dataset
    from pokesim.distributed.cluster import open_workers
    from pokesim.errors import (
        CorruptIndexError,
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
    from pokesim.search.explain import Explanation
    from pokesim.search.index import Index, open_index
    from pokesim.search.matches import Answer, Match


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
