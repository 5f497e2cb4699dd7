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
    "Answer": "pokesim.index.matches",
    "BuildReport": "pokesim.index.work",
    "Dataset": "pokesim.datasets",
    "DatasetError": "pokesim.errors",
    "Duplicate": "pokesim.index.duplicates",
    "Evaluation": "pokesim.evaluate",
    "Explanation": "pokesim.index.explain",
    "Index": "pokesim.index.search",
    "IndexFolderError": "pokesim.errors",
    "Manifest": "pokesim.index.manifest",
    "Match": "pokesim.index.matches",
    "ModelError": "pokesim.errors",
    "NotAPictureError": "pokesim.errors",
    "PictureError": "pokesim.errors",
    "PokesimError": "pokesim.errors",
    "Skipped": "pokesim.index.manifest",
    "Tuning": "pokesim.index.manifest",
    "UsageError": "pokesim.errors",
    "add_pictures": "pokesim.index.edit",
    "build_index": "pokesim.index.build",
    "check_index": "pokesim.index.check",
    "evaluate_index": "pokesim.evaluate",
    "fetch_dataset": "pokesim.datasets",
    "find_duplicates": "pokesim.index.duplicates",
    "open_index": "pokesim.index.search",
    "open_workers": "pokesim.scale.workers",
    "pull_index": "pokesim.index.milvus.store",
    "push_index": "pokesim.index.milvus.store",
    "remove_pictures": "pokesim.index.edit",
    "repair_index": "pokesim.index.repair",
    "reset_index": "pokesim.tune",
    "tune_index": "pokesim.tune",
    "write_samples": "pokesim.samples",
}

__all__ = [
    "Answer",
    "BuildReport",
    "Dataset",
    "DatasetError",
    "Duplicate",
    "Evaluation",
    "Explanation",
    "Index",
    "IndexFolderError",
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
    from pokesim.datasets import Dataset, fetch_dataset
    from pokesim.errors import (
        DatasetError,
        IndexFolderError,
        ModelError,
        NotAPictureError,
        PictureError,
        PokesimError,
        UsageError,
    )
    from pokesim.evaluate import Evaluation, evaluate_index
    from pokesim.index.build import build_index
    from pokesim.index.check import check_index
    from pokesim.index.duplicates import Duplicate, find_duplicates
    from pokesim.index.edit import add_pictures, remove_pictures
    from pokesim.index.explain import Explanation
    from pokesim.index.manifest import Manifest, Skipped, Tuning
    from pokesim.index.matches import Answer, Match
    from pokesim.index.milvus.store import pull_index, push_index
    from pokesim.index.repair import repair_index
    from pokesim.index.search import Index, open_index
    from pokesim.index.work import BuildReport
    from pokesim.samples import write_samples
    from pokesim.scale.workers import open_workers
    from pokesim.tune import reset_index, tune_index


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
