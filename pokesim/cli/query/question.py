"""What is searched for: photos, words, what they are combined with, and what a match must pass."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pokesim.cli.output import note
from pokesim.errors import PokesimError, UsageError

if TYPE_CHECKING:
    from pokesim.search.index import Index
    from pokesim.search.matches import Answer, WordKeywords


@dataclass(frozen=True, slots=True)
class Question:
    """The options of the command about what is searched for.

    Attributes:
        photos: paths, URLs, or - for standard input.
        words, also, unlike, without_words: a weight and a colon may precede each.
        crop, exclude_self, k, where, label, group, max_distance, min_similarity: those of
            `pokesim.search.index.Index.query`.
    """

    photos: Sequence[str]
    words: Sequence[str]
    also: Sequence[str]
    unlike: Sequence[str]
    without_words: Sequence[str]
    crop: str | None
    exclude_self: bool
    k: int
    where: str | None
    label: str
    group: bool
    max_distance: float | None
    min_similarity: float | None

    @property
    def is_combined(self) -> bool:
        """Whether more than a photo is searched for."""
        return bool(self.also or self.unlike or self.words or self.without_words)

    def check(self, of_folders: bool) -> None:
        """Raise UsageError if the options do not go together; --folder-as-query is one of them."""
        if self.words and not self.photos and (of_folders or self.crop or self.exclude_self):
            raise UsageError("--folder-as-query, --crop and --exclude-self need a PHOTO.")
        if not self.words and not self.photos:
            raise UsageError(
                "Give a PHOTO: a path, an http(s) URL, or - for standard input; or --words."
            )

    def answers(self, index: Index) -> Iterator[Answer]:
        """Return the answer to each photo, or else to the words."""
        from pokesim.search.combine import split_weight

        options: WordKeywords = {
            "where": self.where,
            "label": self.label,
            "group": self.group,
            "max_distance": self.max_distance,
            "min_similarity": self.min_similarity,
            "positive": map(split_weight, self.also),
            "negative": map(split_weight, self.unlike),
            "negative_words": [*map(split_weight, self.without_words)],
        }
        words = [*map(split_weight, self.words)]
        if not self.photos:
            return iter([index.answer_words(words, self.k, **options)])
        return index.answer(
            self.photos,
            self.k,
            **options,
            words=words,
            exclude_self=self.exclude_self,
            crop=self.crop,
        )

    @property
    def conditions(self) -> str:
        """The options that a match has to pass, as they were given."""
        given = []
        if self.where is not None:
            given.append(f"--where {shlex.quote(self.where)}")
        if self.max_distance is not None:
            given.append(f"--max-distance {self.max_distance:g}")
        if self.min_similarity is not None:
            given.append(f"--min-similarity {self.min_similarity:g}")
        if self.exclude_self:
            given.append("--exclude-self")
        return " ".join(given)


def with_folders(photos: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """Replace each folder by the files in it; return all photos, and those from folders."""
    from pokesim.images import find_files

    given: list[str] = []
    inside: set[str] = set()
    for photo in photos:
        if not Path(photo).is_dir():
            given.append(photo)
            continue
        found = find_files(Path(photo), lambda path, reason: note(f"skipped {path}: {reason}"))
        files = [str(Path(photo) / path) for path in found]
        if not files:
            raise PokesimError(f"The folder {photo} has no pictures.")
        given += files
        inside.update(files)
    return given, frozenset(inside)
