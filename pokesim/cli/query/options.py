"""The options of `pokesim query`, as its help lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli import completion
from pokesim.show.answers import Format

PhotosArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="PHOTO...", help="Path, http(s) URL, or - for standard input."),
]

FoldersOption = Annotated[
    bool,
    typer.Option("--folder-as-query", help="Search with each picture of a folder as PHOTO."),
]

WordsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[WEIGHT:]WORDS",
        help="Search with words, such as 'golden retriever', in place of a PHOTO or together "
        "with it; alone, it lists those that are known to embedders that do not read any.",
        autocompletion=completion.words,
    ),
]

CountOption = Annotated[int, typer.Option("-k", min=1, help="Number of matches.")]

AnswerFormatOption = Annotated[Format, typer.Option("--format", help="Format of the matches.")]

LabelOption = Annotated[
    str,
    typer.Option(
        "--label-by",
        "--label",
        help="Label of a match: stem, folder, path or a column of the metadata; auto: the "
        "stem, with its folder if it is a number, a camera's or not the only one.",
        autocompletion=completion.labels,
    ),
]

GroupOption = Annotated[
    bool, typer.Option("--group", help="Find the k best labels, each with its best picture.")
]

MaxDistanceOption = Annotated[
    float | None, typer.Option(min=0, help="Drop matches beyond this distance.")
]

MinSimilarityOption = Annotated[
    float | None,
    typer.Option(min=0, max=100, help="Drop matches below this similarity, in percent."),
]

ExcludeSelfOption = Annotated[
    bool, typer.Option("--exclude-self", help="Drop the photo itself, if it is indexed.")
]

CropOption = Annotated[
    str | None,
    typer.Option(
        metavar="X,Y,WIDTH,HEIGHT",
        help="Search with this part of the photo, in pixels or in percent.",
    ),
]

WithOption = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="[WEIGHT:]PHOTO",
        help="Find what is like this photo as well; of weight 1 by default, as the first.",
    ),
]

WithoutOption = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="[WEIGHT:]PHOTO", help="Find what is unlike this photo."),
]

WithoutWordsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--without-words",
        metavar="[WEIGHT:]WORDS",
        help="Find what is not what these words say.",
        autocompletion=completion.words,
    ),
]

SaveOption = Annotated[
    Path | None, typer.Option(help="Draw the photo and its matches to a PNG or JPEG.")
]

HtmlOption = Annotated[
    Path | None, typer.Option(help="Write the matches to one self-contained page.")
]

CopyToOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Copy the matches there, named by rank and label."),
]

LinkToOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Put symbolic links to the matches there instead."),
]

OpenOption = Annotated[
    bool,
    typer.Option("--open", help="Open what --save or --html wrote, or the best match."),
]

ExplainOption = Annotated[
    bool,
    typer.Option("--explain", help="Colour in --save or --html where photo and match are alike."),
]

ShowOption = Annotated[
    bool,
    typer.Option(
        "--show", help="Preview the matches on the terminal, in its own graphics if it has any."
    ),
]

StatsOption = Annotated[bool, typer.Option("--stats", help="Show where the time went.")]
