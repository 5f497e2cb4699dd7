"""What is asked of an index, and the matches that answer it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from pokesim.errors import PictureError
from pokesim.images import PictureSource

if TYPE_CHECKING:
    from pokesim.index.metadata.table import Value

STEM, FOLDER = "stem", "folder"


class Wanted(TypedDict, total=False):
    """What may be asked besides how many matches; see `Question`."""

    where: str | None
    label: str
    group: bool
    max_distance: float | None
    min_similarity: float | None
    exclude_self: bool


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What is asked of an index for each photo.

    Attributes:
        k: how many matches; fewer, if there are no more.
        where: a filter on the metadata, applied before the search; see
            `pokesim.index.metadata.filter_parser`.
        label: what a match is called: "stem" (of the file), "folder" (the one it is in), or a
            column of the metadata; a picture without a value there keeps its stem.
        group: return the k best labels, each with its best picture.
        max_distance, min_similarity: leave out what is farther, or less similar.
        exclude_self: leave out the photo itself, if it is in the index: the picture of its path,
            or else those of its very bytes.
    """

    k: int = 5
    where: str | None = None
    label: str = STEM
    group: bool = False
    max_distance: float | None = None
    min_similarity: float | None = None
    exclude_self: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """One neighbour of a photo.

    Attributes:
        rank: 1 is the nearest.
        label: what it shows; the file's stem, unless asked otherwise.
        path: the picture.
        distance: Euclidean distance of the two vectors, as they are in the index.
        similarity: 100 × the cosine of the two vectors, in percent; 0 where that is negative.
        id: of the picture in this index; the next build may give it another.
        metadata: what the index's table tells of it, by column; None in each if nothing.
        near: where labels were asked for: how many of the label's pictures come before the first
            of any label that is left out.
    """

    rank: int
    label: str
    path: Path
    distance: float
    similarity: float
    id: int
    metadata: dict[str, Value] = field(default_factory=dict)
    near: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a photo got: its matches, or the reason why it could not be read.

    Attributes:
        query: the photo's name, as it was given.
        photo: where it can be read again; bytes, if it came from standard input or a URL.
        matches: nearest first.
        error: why there are none.
    """

    query: str
    photo: PictureSource
    matches: list[Match]
    error: PictureError | None = None
