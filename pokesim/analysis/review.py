"""What a person decided on groups of duplicates: what goes, and what is not the same picture."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pokesim.analysis.different import Pair
from pokesim.analysis.duplicates import Duplicate
from pokesim.errors import PokesimError
from pokesim.files import open_regular

_MAX_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Review:
    """The decisions on groups of duplicates, by the pictures' paths.

    Attributes:
        remove: what goes.
        different: pairs that are not the same picture.
    """

    remove: frozenset[str]
    different: tuple[tuple[str, str], ...]

    def chosen(self, groups: Sequence[Sequence[Duplicate]]) -> list[list[Duplicate]]:
        """Return for each group the first picture that stays, and those that go.

        Raises:
            PokesimError: nothing of a group would stay, or a picture that goes is in no group.
        """
        chosen = []
        unknown = set(self.remove)
        for group in groups:
            names = [os.fspath(one.path) for one in group]
            apart = {other for one, other in self.different if one == names[0]}
            go = [one for one, name in zip(group, names, strict=True) if name in self.remove]
            stay = [
                one
                for one, name in zip(group, names, strict=True)
                if name not in self.remove and name not in apart
            ]
            unknown -= {os.fspath(one.path) for one in go}
            if not stay:
                raise PokesimError(f"The review keeps nothing of the group of {group[0].path}.")
            if go:
                chosen.append([stay[0], *go])
        if unknown:
            raise PokesimError(
                f"{min(unknown)} is in no group of duplicates; give the options that the page was "
                "made with, or make it again."
            )
        return chosen

    def different_pairs(self, groups: Sequence[Sequence[Duplicate]]) -> set[Pair]:
        """Return the SHA-256 of the pairs that are not the same; of other pictures, nothing."""
        hashes = {os.fspath(one.path): one.sha256 for group in groups for one in group}
        return {
            frozenset((hashes[one], hashes[other]))
            for one, other in self.different
            if one in hashes and other in hashes and hashes[one] != hashes[other]
        }


def read_review(path: Path) -> Review:
    """Read the file that the page of `pokesim duplicates --html` downloads. Raises PokesimError."""
    try:
        with open_regular(path, follow_links=True) as file:
            record = json.loads(file.read(_MAX_BYTES))
        remove, different = record["remove"], [tuple(pair) for pair in record["different"]]
        texts = [*remove, *(name for pair in different for name in pair)]
        if not all(isinstance(name, str) for name in texts) or any(len(p) != 2 for p in different):
            raise TypeError
    except OSError as error:
        raise PokesimError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PokesimError(
            f"{path} is no review; name the file that the page of --html downloads."
        ) from error
    return Review(frozenset(remove), tuple(different))
