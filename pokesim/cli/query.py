"""`pokesim query`."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pokesim.cli import completion
from pokesim.cli.options import (
    IndexOption,
    PrecisionOption,
    RuntimeOption,
    WhereOption,
    all_of,
)
from pokesim.cli.output import complain, note, results, say_lines
from pokesim.cli.query_results import Uses
from pokesim.embedders.catalog import Precision, Runtime
from pokesim.errors import NotAPictureError, PokesimError, UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.search import DEFAULT_K
from pokesim.show.answers import Format
from pokesim.timing import record_spans, span

if TYPE_CHECKING:
    from pokesim.search.matches import Answer, WordKeywords

_LIST = "list"
"""In place of a word, or understood if --words is given alone: lists those that are known."""


def query(
    photos: Annotated[
        list[str] | None,
        typer.Argument(metavar="PHOTO...", help="Path, http(s) URL, or - for standard input."),
    ] = None,
    folders: Annotated[
        bool,
        typer.Option("--folder-as-query", help="Search with each picture of a folder as PHOTO."),
    ] = False,
    words: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[WEIGHT:]WORDS",
            help="Search with words, such as 'golden retriever', in place of a PHOTO or together "
            "with it; alone, it lists those that are known to embedders that do not read any.",
            autocompletion=completion.words,
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of matches.")] = DEFAULT_K,
    index: IndexOption = DEFAULT_INDEX,
    form: Annotated[Format, typer.Option("--format", help="Format of the matches.")] = Format.TABLE,
    where: WhereOption = None,
    label_by: Annotated[
        str,
        typer.Option(
            "--label-by",
            "--label",
            help="Label of a match: stem, folder, path or a column of the metadata; auto: the "
            "stem, with its folder if it is a number, a camera's or not the only one.",
            autocompletion=completion.labels,
        ),
    ] = "auto",
    group: Annotated[
        bool, typer.Option("--group", help="Find the k best labels, each with its best picture.")
    ] = False,
    max_distance: Annotated[
        float | None, typer.Option(min=0, help="Drop matches beyond this distance.")
    ] = None,
    min_similarity: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Drop matches below this similarity, in percent."),
    ] = None,
    exclude_self: Annotated[
        bool, typer.Option("--exclude-self", help="Drop the photo itself, if it is indexed.")
    ] = False,
    crop: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,WIDTH,HEIGHT",
            help="Search with this part of the photo, in pixels or in percent.",
        ),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="[WEIGHT:]PHOTO",
            help="Find what is like this photo as well; of weight 1 by default, as the first.",
        ),
    ] = None,
    unlike: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="[WEIGHT:]PHOTO", help="Find what is unlike this photo."),
    ] = None,
    without_words: Annotated[
        list[str] | None,
        typer.Option(
            "--without-words",
            metavar="[WEIGHT:]WORDS",
            help="Find what is not what these words say.",
            autocompletion=completion.words,
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Draw the photo and its matches to a PNG or JPEG.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the matches to one self-contained page.")
    ] = None,
    copy_to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Copy the matches there, named by rank and label."),
    ] = None,
    link_to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Put symbolic links to the matches there instead."),
    ] = None,
    open_it: Annotated[
        bool,
        typer.Option("--open", help="Open what --save or --html wrote, or the best match."),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Colour in --save or --html where photo and match are alike."
        ),
    ] = False,
    show: Annotated[
        bool,
        typer.Option(
            "--show", help="Preview the matches on the terminal, in its own graphics if it has any."
        ),
    ] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Show where the time went.")] = False,
    runtime: RuntimeOption = Runtime.LITERT,
    precision: PrecisionOption = Precision.FLOAT32,
) -> None:
    """Find the pictures most like a photo, nearest first.

    Distance is Euclidean. Similarity is 100 times the cosine of the two vectors, in percent.

    How near words are, is not comparable with photos: their similarities are lower. Networks with a
    part for text, such as clip_vit_b32, read any words; the default embedder knows many names.

    --where knows =, !=, <, <=, >, >=, in, and, or, not and brackets. Quote what is not a plain
    word; "" is the empty cell.

    With several photos, --copy-to and --link-to make a folder for each. No file is overwritten.

    Examples:
        pokesim query photo.jpg -k 3 --save match.png --explain
        pokesim query photo.jpg --crop 10%,20%,50%,60% --save part.png
        pokesim query photo.jpg --without 0.5:images/anguro.webp -k 3
        pokesim query photos/*.jpg --html report.html
        pokesim query photo.jpg --where "Type1 in grass,poison" --format json
        pokesim query --words "golden retriever" -k 3
        pokesim query photo.jpg --words 0.5:dog --without-words bird
        pokesim query photo.jpg --max-distance 0.9 --exclude-self
        pokesim query photo.jpg --min-similarity 60 --show --stats
        pokesim query photo.jpg -i indexes/mine --group --label-by folder
        pokesim query photo.jpg -k 20 --copy-to found
        pokesim query photos --folder-as-query -k 3 --link-to lookalikes
        pokesim query photo.jpg --save best.png --open
        pokesim query photo.jpg --runtime openvino --precision bfloat16
    """
    if words == [_LIST] and not photos:
        _list_words()
        return
    if words and not photos and (folders or crop or exclude_self):
        raise UsageError("--folder-as-query, --crop and --exclude-self need a PHOTO.")
    if not words and not photos:
        raise UsageError(
            "Give a PHOTO: a path, an http(s) URL, or - for standard input; or --words."
        )
    given = photos or []
    searched, inside = _with_folders(given) if folders else (given, frozenset[str]())
    uses = Uses(save, html, explain, show, copy_to, link_to, open_it)
    uses.check(max(1, len(searched)))
    if explain and (also or unlike or words or without_words):
        raise UsageError(
            "--explain is for one photo, so it does not go with --with, --without or words."
        )
    condition = all_of(where)
    answered: list[Answer] = []
    with record_spans() as spans:
        spans.seconds["start Python"] = time.process_time()
        with span("import NumPy and Pillow"), _no_blas_threads():
            from pokesim.search.combine import split_weight
            from pokesim.search.index import open_index
        opened = open_index(index, runtime=runtime, precision=precision)
        if opened.manifest.search.recall is not None:
            from pokesim.show.reports import search_text

            note(f"The search is {search_text(opened.manifest.search)}.")
        with span("write the answers"):
            options: WordKeywords = {
                "where": condition,
                "label": label_by,
                "group": group,
                "max_distance": max_distance,
                "min_similarity": min_similarity,
                "positive": map(split_weight, also or []),
                "negative": map(split_weight, unlike or []),
                "negative_words": [*map(split_weight, without_words or [])],
            }
            said = [*map(split_weight, words or [])]
            answers: Iterator[Answer]
            if not photos:
                answers = iter([opened.answer_words(said, k, **options)])
            else:
                answers = opened.answer(
                    searched,
                    k,
                    **options,
                    words=said,
                    exclude_self=exclude_self,
                    crop=crop,
                )
            table = opened.manifest.metadata
            extra = [*(["near"] if group else []), *(table.columns if table else [])]
            passes = _conditions(condition, max_distance, min_similarity, exclude_self)
            answers = _reported(answers, answered, inside, passes)
            _write(answers, form, extra, uses.any)
        with span("draw and copy"):
            is_complete = uses.make(opened, answered)
    if stats:
        from pokesim.show.reports import spans_text

        for line in spans_text(spans.seconds).splitlines():
            note(line)
    codes = [answer.error.exit_code for answer in answered if answer.error]
    if codes or not is_complete:
        raise typer.Exit(max(codes, default=1))


@contextlib.contextmanager
def _no_blas_threads() -> Iterator[None]:
    """Import NumPy without the threads of its OpenBLAS.

    A query has no matrices for them, and starting them takes as long as the rest of the import.
    """
    name = "OPENBLAS_NUM_THREADS"
    if name in os.environ:  # the user has decided
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]  # FAISS, which may be imported later, has an OpenBLAS of its own


def _list_words() -> None:
    import shutil

    from pokesim.embedders.words.vocabulary import groups
    from pokesim.show.reports import vocabulary_text

    say_lines(vocabulary_text(groups(), shutil.get_terminal_size().columns))


def _with_folders(photos: Sequence[str]) -> tuple[list[str], frozenset[str]]:
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


def _write(answers: Iterator[Answer], form: Format, extra: Sequence[str], used: bool) -> None:
    """Write the answers; if they are also used, get them all even if nobody reads the results."""
    from pokesim.show.answers import write_answers

    try:
        write_answers(answers, form, results, extra)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        if not used:
            raise
        for _ in answers:
            pass


def _reported(
    answers: Iterable[Answer], answered: list[Answer], inside: Collection[str], conditions: str
) -> Iterator[Answer]:
    """Yield and collect the answers, and report each that failed or is empty.

    Files ``inside`` a folder that are no pictures are left out.
    """
    for answer in answers:
        if isinstance(answer.error, NotAPictureError) and answer.query in inside:
            note(f"skipped {answer.query}: {answer.error.reason}")
            continue
        if answer.error:
            complain(_advised(str(answer.error)))
        elif not answer.matches:
            note(f"{answer.query}: no picture passes {conditions}.")
        answered.append(answer)
        yield answer


def _advised(message: str) -> str:
    """Return an error about a photo; that of a folder names the option that takes it."""
    from pokesim.images import FOLDER_REASON

    if not message.endswith(f": {FOLDER_REASON}."):
        return message
    return f"{message[:-1]}; --folder-as-query searches with each picture in it."


def _conditions(
    where: str | None,
    max_distance: float | None,
    min_similarity: float | None,
    exclude_self: bool,
) -> str:
    """Return the options that a match has to pass, as they were given."""
    given = []
    if where is not None:
        given.append(f"--where {shlex.quote(where)}")
    if max_distance is not None:
        given.append(f"--max-distance {max_distance:g}")
    if min_similarity is not None:
        given.append(f"--min-similarity {min_similarity:g}")
    if exclude_self:
        given.append("--exclude-self")
    return " ".join(given)
