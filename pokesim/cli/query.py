"""Commands that ask an index."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pokesim.cli import completion
from pokesim.cli.app import complain, note
from pokesim.cli.options import (
    PAGE_ENDINGS,
    IndexOption,
    PrecisionOption,
    RuntimeOption,
    check_ending,
)
from pokesim.embedders.catalog import Precision, Runtime
from pokesim.errors import PictureError, PokesimError, UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.show.answers import Format
from pokesim.show.text import counted, plain
from pokesim.timing import record_spans, span

if TYPE_CHECKING:
    from pokesim.search.explain import Explanation
    from pokesim.search.index import Index
    from pokesim.search.matches import Answer


def query(
    photos: Annotated[
        list[str] | None,
        typer.Argument(metavar="PHOTO...", help="Path, http(s) URL, or - for standard input."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many matches.")] = 5,
    index: IndexOption = DEFAULT_INDEX,
    form: Annotated[Format, typer.Option("--format", help="How they are written.")] = Format.TABLE,
    where: Annotated[
        str | None,
        typer.Option(
            help="Only pictures whose metadata are so, such as Type1=grass.",
            autocompletion=completion.wheres,
        ),
    ] = None,
    label: Annotated[
        str,
        typer.Option(
            help="What a match is called: stem, folder or a column of the metadata.",
            autocompletion=completion.labels,
        ),
    ] = "stem",
    group: Annotated[
        bool, typer.Option("--group", help="The k best labels, each with its best picture.")
    ] = False,
    max_distance: Annotated[
        float | None, typer.Option(min=0, help="Leave out what is farther.")
    ] = None,
    min_similarity: Annotated[
        float | None, typer.Option(min=0, max=100, help="Leave out what is less similar, percent.")
    ] = None,
    exclude_self: Annotated[
        bool, typer.Option("--exclude-self", help="Leave out the photo itself, if it is indexed.")
    ] = False,
    save: Annotated[
        Path | None, typer.Option(help="Write photo and matches side by side to a PNG or JPEG.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write them as one self-contained page, to mail around.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Colour in these where photo and best match agree.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Preview on the terminal.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Tell where the time went.")] = False,
    runtime: RuntimeOption = Runtime.LITERT,
    precision: PrecisionOption = Precision.FLOAT32,
) -> None:
    """Find the pictures most like a photo, nearest first.

    Distance is Euclidean. Similarity is 100 times the cosine of the two vectors, in percent.

    --where knows =, !=, <, <=, >, >=, in, and, or, not and brackets; what is not a plain word
    stands in quotes, and "" is the empty cell.

    Examples:
        pokesim query photo.jpg -k 3 --save match.png --explain
        pokesim query photos/*.jpg --html report.html
        pokesim query photo.jpg --where "Type1 in grass,poison" --format json
        pokesim query photo.jpg --runtime openvino --precision bfloat16
    """
    from pokesim.show.answers import write_answers
    from pokesim.show.reports import search_text, spans_text

    if not photos:
        raise UsageError("Give a PHOTO: a path, an http(s) URL, or - for standard input.")
    if save:
        check_ending("--save", save)
    if html and html.suffix.lower() not in PAGE_ENDINGS:
        raise UsageError(f"--html writes a page; name a file *.html, not {html}.")
    if explain and not (save or html):
        raise UsageError("--explain colours what --save or --html writes; give one of them too.")
    good: list[Answer] = []
    failed: list[Answer] = []
    with record_spans() as laps:
        laps.seconds["start Python"] = time.process_time()
        with span("import NumPy and Pillow"):
            from pokesim.search.index import open_index
        opened = open_index(index, runtime=runtime, precision=precision)
        if opened.manifest.search.recall is not None:
            note(f"The search is {search_text(opened.manifest.search)}.")
        with span("write the answers"):
            found = opened.answer(
                photos,
                k,
                where=where,
                label=label,
                group=group,
                max_distance=max_distance,
                min_similarity=min_similarity,
                exclude_self=exclude_self,
            )
            table = opened.manifest.metadata
            further = [*(["near"] if group else []), *(table.columns if table else [])]
            write_answers(_sorted_out(found, good, failed), form, sys.stdout, further)
        with span("draw"):
            if show:
                _preview(good)
            if good and (save or html):
                _draw(opened, good, save, html, explain)
    if stats:
        note(spans_text(laps.seconds))
    if failed:
        raise typer.Exit(PokesimError.exit_code)


def _sorted_out(
    answers: Iterable[Answer], good: list[Answer], failed: list[Answer]
) -> Iterator[Answer]:
    """Pass answers on, noting each failure as it comes and keeping those with matches, and it."""
    for answer in answers:
        if answer.error:
            complain(str(answer.error))
            failed.append(answer)
        elif answer.matches:
            good.append(answer)
        else:
            note(plain(f"{answer.query}: no picture is as asked."))
        yield answer


def _draw(
    index: Index, answers: list[Answer], save: Path | None, html: Path | None, explain: bool
) -> None:
    explanations = [_explained(index, answer, explain) for answer in answers]
    if save:
        from pokesim.show.card import save_cards

        save_cards(answers, save, explanations)
    if html:
        from pokesim.show.html_report import save_report

        about = f"{counted(len(index), 'picture')}, compared by {index.manifest.embedder.name}."
        save_report(answers, html, explanations, about)


def _explained(index: Index, answer: Answer, wanted: bool) -> Explanation | None:
    """Explain a photo's best match, if that is wanted and its picture is still there."""
    if not wanted:
        return None
    try:
        return index.explain(answer.photo, answer.matches[0].path)
    except PictureError as error:
        note(f"No explanation: {error}")
        return None


def _preview(answers: list[Answer]) -> None:
    import shutil

    from pokesim.show.terminal import preview

    if not sys.stderr.isatty():
        note("--show needs a terminal; nothing is drawn.")
        return
    for answer in answers:
        note(preview(answer.photo, answer.matches, shutil.get_terminal_size().columns))
