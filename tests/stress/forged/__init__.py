"""Indexes as a stranger might forge them, with every size and hash right.

- `sealing` changes an index and makes its hashes right again;
- `manifests` and `folders` hold the forgeries, each with a name;
- `runner` tries every operation on each of them;
- `fuzzing` changes manifests at random.
"""

from collections.abc import Iterator

from stress.forged.folders import folder_cases
from stress.forged.manifests import manifest_cases
from stress.forged.runner import Case


def all_cases() -> Iterator[Case]:
    """Yield every forgery."""
    yield from manifest_cases()
    yield from folder_cases()
