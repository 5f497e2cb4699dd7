"""The options of a query, and the matches that answer it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from PIL import Image

from pokesim.arguments import finite_number, text, truth, whole_number
from pokesim.errors import PictureError
from pokesim.images import Crop, CropArgument, PictureSource, image_of
from pokesim.search import DEFAULT_K
from pokesim.search.combine import Example, Weighted, WordsArgument

if TYPE_CHECKING:
    from pokesim.index.metadata.table import Value
    from pokesim.search.copies import Copies

AUTO, STEM, FOLDER, PATH = "auto", "stem", "folder", "path"


class WordKeywords(TypedDict, total=False):
    """The keyword arguments of `pokesim.search.index.Index.query` with words."""

    where: str | None
    label: str
    group: bool
    max_distance: float | None
    min_similarity: float | None

    positive: Iterable[Weighted]
    negative: Iterable[Weighted]
    negative_words: WordsArgument


class QueryKeywords(WordKeywords, total=False):
    """The keyword arguments of `pokesim.search.index.Index.query` with photos."""

    words: WordsArgument
    exclude_self: bool
    crop: CropArgument
    errors: Literal["raise", "skip"]


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """The options of a query; they hold for each of its photos.

    Attributes:
        k: number of matches; fewer if there are no more.
        where: a filter on the metadata, applied before the search; see
            `pokesim.index.metadata.filter_parser`.
        label: name of a match: "stem" (of the file), "folder" (the one it is in), "path", or a
            column of the metadata; a picture without a value there keeps its stem. "auto" is the
            stem, or folder and stem where the stem alone says nothing: it is a camera's, a number,
            or that of other pictures too. With ``group`` it is the stem.
        group: return the k best labels, each with its best picture.
        max_distance, min_similarity: drop matches that are farther, or less similar.
        exclude_self: drop the photo itself if it is in the index: the picture with its path, or
            else those with the same bytes.

    Raises:
        UsageError: k is below 1, a threshold is infinite or NaN, or an option has another type.
    """

    k: int = DEFAULT_K
    where: str | None = None
    label: str = AUTO
    group: bool = False
    max_distance: float | None = None
    min_similarity: float | None = None
    exclude_self: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", whole_number("k", self.k))  # also one of NumPy's
        for name in ("max_distance", "min_similarity"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, finite_number(name, getattr(self, name)))
        if self.where is not None:
            text("where", self.where)
        text("label", self.label)
        truth("group", self.group)
        truth("exclude_self", self.exclude_self)


@dataclass(frozen=True, slots=True)
class Match:
    """One neighbour of a photo.

    Attributes:
        rank: 1 is the nearest.
        label: name of the match; see `QueryOptions`.
        path: path of the picture.
        distance: Euclidean distance between the two vectors, as stored in the index.
        similarity: 100 × the cosine of the two vectors, in percent; 0 if the cosine is negative.
        id: id of the picture in this index; the next build may change it.
        resembles: whether it is much nearer to the photo than the pictures of the index usually
            are, and not only the closest; see `pokesim.search.resemblance`. None if a word was
            searched with.
        metadata: its row of the index's table, by column; None in every column if it has no row.
        near: with ``group``: how many of the label's pictures come before the first picture of a
            label that is left out.
    """

    rank: int
    label: str
    path: Path
    distance: float
    similarity: float
    id: int
    resembles: bool | None
    metadata: dict[str, Value] = field(default_factory=dict)
    near: int | None = None

    def image(self) -> Image.Image:
        """Return the picture, RGB and upright, in its own size. Raises PictureError."""
        return image_of(self.path)

    def to_dict(self) -> dict[str, Any]:
        """Return rank, label, similarity, distance, path and the columns of the metadata."""
        found = {
            "rank": self.rank,
            "label": self.label,
            "similarity": self.similarity,
            "distance": self.distance,
            "path": str(self.path),
        }
        return found | self.metadata

    def _repr_html_(self) -> str:
        from pokesim.gallery import gallery  # only notebooks need it

        return gallery("", [_captioned(self)])


class Matches(list[Match]):
    """The matches of a photo, nearest first; a notebook shows their pictures."""

    def to_records(self) -> list[dict[str, Any]]:
        """Return a dictionary for each match, which `pandas.DataFrame` and Polars take."""
        return [match.to_dict() for match in self]

    def copy_to(self, folder: str | Path) -> Copies:
        """Copy the pictures to a folder, named by rank and label, such as ``01 brumbel.png``.

        The folder is created if necessary. A picture is skipped if its file is gone, or if the
        folder has a file of its new name; none is overwritten.

        Raises:
            PokesimError: the folder cannot be written; each file that is in it is complete.
        """
        from pokesim.search.copies import copy_pictures  # a plain query needs none

        return copy_pictures([(one.rank, one.label, one.path) for one in self], folder)

    def link_to(self, folder: str | Path) -> Copies:
        """Make symbolic links to the pictures, as `copy_to` makes copies."""
        from pokesim.search.copies import link_pictures

        return link_pictures([(one.rank, one.label, one.path) for one in self], folder)

    def _repr_html_(self) -> str:
        from pokesim.gallery import gallery

        return gallery(f"{len(self):,} matches", map(_captioned, self))


def _captioned(match: Match) -> tuple[Path, str]:
    share = "" if match.resembles is None else f", {match.similarity:.1f} %"
    return match.path, f"{match.rank}. {match.label}{share}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The matches of a photo or of words, or the reason why a photo could not be read.

    Attributes:
        query: name of the photo, as given; or the words.
        photo: source to read it from again; bytes if it came from standard input or a URL; None if
            words were searched with.
        matches: nearest first.
        searched: number of pictures that were compared: those of the index that pass the filter.
        error: why there are none.
        crop: the part of the photo that was searched with; None for the whole.
        others: photos and words that it was combined with.
    """

    query: str
    photo: PictureSource | None
    matches: Matches
    searched: int
    error: PictureError | None = None
    crop: Crop | None = None
    others: Sequence[Example] = ()

    @property
    def resembles(self) -> bool:
        """Whether the best match resembles the photo."""
        return bool(self.matches and self.matches[0].resembles)

    def _repr_html_(self) -> str:
        from pokesim.gallery import gallery

        if self.error:
            return gallery(str(self.error), [])
        captions = (_captioned(match) for match in self.matches)
        photo = [] if self.photo is None else [(self.photo, "the photo")]
        return gallery(self.query, [*photo, *captions])
