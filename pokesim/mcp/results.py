"""What the tools answer with; the server describes it to assistants as JSON schemas."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

Value = str | float | None


class Match(BaseModel):
    """A picture of the index that is like the one searched with."""

    rank: Annotated[int, Field(description="1 is the nearest.")]
    label: Annotated[str, Field(description="Name of the picture.")]
    path: Annotated[str, Field(description="Its file.")]
    distance: Annotated[float, Field(description="Euclidean distance of the two vectors.")]
    similarity: Annotated[float, Field(description="100 × the cosine of the two vectors.")]
    metadata: Annotated[
        dict[str, Value], Field(description="Its row of the index's table, by column.")
    ] = {}


class Matches(BaseModel):
    """The pictures most like another."""

    query: Annotated[
        str | None, Field(description="The photo or picture that was searched with.")
    ] = None
    words: Annotated[
        str | None, Field(description="The words that were searched with, without a photo.")
    ] = None
    resembles: Annotated[
        bool | None,
        Field(
            description="Whether the best match really resembles the photo, or is only the "
            "closest; not said of words."
        ),
    ] = None
    verdict: Annotated[str, Field(description="The same in words.")]
    matches: Annotated[list[Match], Field(description="Nearest first.")]
    crop: Annotated[str | None, Field(description="The part that was searched with.")] = None


class Copy(BaseModel):
    """A picture of a group of duplicates."""

    path: Annotated[str, Field(description="Its file.")]
    label: Annotated[str, Field(description="Stem of its file name.")]
    bytes: Annotated[int, Field(description="Size of the file when it was indexed.")]
    similarity: Annotated[float, Field(description="To the group's first picture, in percent.")]
    kind: Annotated[str, Field(description="How it relates to the first; empty for that itself.")]


class Groups(BaseModel):
    """Groups of pictures that are the same picture."""

    found: Annotated[int, Field(description="Number of groups in all.")]
    groups: Annotated[
        list[list[Copy]],
        Field(description="The first of them; the largest picture of a group comes first."),
    ]


class Column(BaseModel):
    """A column of the table that describes the pictures."""

    column: Annotated[str, Field(description="Name, as in a filter.")]
    type: Annotated[str, Field(description="text or numbers.")]
    values: Annotated[list[Value], Field(description="Some of its values.")]


class About(BaseModel):
    """What an index is."""

    index: Annotated[str, Field(description="Its folder or address.")]
    pictures: Annotated[int, Field(description="Number of pictures.")]
    images: Annotated[str, Field(description="The picture folder.")]
    embedder: Annotated[str, Field(description="The network that compares the pictures.")]
    embedder_is_for: Annotated[str, Field(description="What this network is good at.")]
    words: Annotated[str, Field(description="Which words can be searched with.")]
    search: Annotated[str, Field(description="Whether the search is exact.")]
    created: Annotated[str, Field(description="When it was last changed, UTC.")]
    skipped: Annotated[int, Field(description="Number of files that could not be read.")]
    columns: Annotated[list[Column], Field(description="Columns that filters can use.")]
