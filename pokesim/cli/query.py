"""`pokesim query`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
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
    check_page,
    check_picture,
)
from pokesim.cli.output import complain, draw, note, progress, results
from pokesim.embedders.catalog import Precision, Runtime
from pokesim.errors import PictureError, UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.search import DEFAULT_K
from pokesim.show.answers import Format, verdict
from pokesim.show.text import counted
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
    save: Annotated[
        Path | None, typer.Option(help="Draw the photo and its matches to a PNG or JPEG.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the matches to one self-contained page.")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Colour in --save or --html where photo and match are alike."
        ),
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Preview the matches on the terminal.")
    ] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Show where the time went.")] = False,
    runtime: RuntimeOption = Runtime.LITERT,
    precision: PrecisionOption = Precision.FLOAT32,
) -> None:
    """Find the pictures most like a photo, nearest first.

    Distance is Euclidean. Similarity is 100 times the cosine of the two vectors, in percent.

    --where knows =, !=, <, <=, >, >=, in, and, or, not and brackets. Quote what is not a plain
    word; "" is the empty cell.

    Examples:
        pokesim query photo.jpg -k 3 --save match.png --explain
        pokesim query photo.jpg --crop 10%,20%,50%,60% --save part.png
        pokesim query photo.jpg --without 0.5:images/anguro.webp -k 3
        pokesim query photos/*.jpg --html report.html
        pokesim query photo.jpg --where "Type1 in grass,poison" --format json
        pokesim query photo.jpg --max-distance 0.9 --exclude-self
        pokesim query photo.jpg --min-similarity 60 --show --stats
        pokesim query photo.jpg -i indexes/mine --group --label-by folder
        pokesim query photo.jpg --runtime openvino --precision bfloat16
    """
    from pokesim.show.reports import search_text, spans_text

    if not photos:
        raise UsageError("Give a PHOTO: a path, an http(s) URL, or - for standard input.")
    if save:
        from pokesim.show.drawing.card import check_room

        check_picture(save)
        check_room(len(photos), save)
    if html:
        check_page(html)
    if explain and not (save or html):
        raise UsageError("--explain needs --save or --html, which it colours.")
    if explain and (also or unlike):
        raise UsageError("--explain is for one photo, so it does not go with --with or --without.")
    condition = all_of(where)
    seen: list[Answer] = []
    with record_spans() as spans:
        spans.seconds["start Python"] = time.process_time()
        with span("import NumPy and Pillow"):
            from pokesim.search.combine import split_weight
            from pokesim.search.index import open_index
        opened = open_index(index, runtime=runtime, precision=precision)
        if opened.manifest.search.recall is not None:
            note(f"The search is {search_text(opened.manifest.search)}.")
        with span("write the answers"):
            answers = opened.answer(
                photos,
                k,
                where=condition,
                label=label_by,
                group=group,
                max_distance=max_distance,
                min_similarity=min_similarity,
                exclude_self=exclude_self,
                crop=crop,
                positive=map(split_weight, also or []),
                negative=map(split_weight, unlike or []),
            )
            table = opened.manifest.metadata
            extra = [*(["near"] if group else []), *(table.columns if table else [])]
            passes = _conditions(condition, max_distance, min_similarity, exclude_self)
            answers = _reported(answers, seen, passes)
            _write(answers, form, extra, drawn=bool(save or html))
        with span("draw"):
            if show:
                _preview([answer for answer in seen if answer.matches])
            if any(answer.matches for answer in seen):
                _draw(opened, seen, save, html, explain)
    if stats:
        for line in spans_text(spans.seconds).splitlines():
            note(line)
    if failed := [answer.error.exit_code for answer in seen if answer.error]:
        raise typer.Exit(max(failed))


def _write(answers: Iterator[Answer], form: Format, extra: Sequence[str], drawn: bool) -> None:
    """Write the answers; if they are also drawn, get them all even if nobody reads the results."""
    from pokesim.show.answers import write_answers

    try:
        write_answers(answers, form, results, extra)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        if not drawn:
            raise
        for _ in answers:
            pass


def _reported(answers: Iterable[Answer], seen: list[Answer], conditions: str) -> Iterator[Answer]:
    """Yield answers, collect them, and report each that failed or is empty."""
    for answer in answers:
        seen.append(answer)
        if answer.error:
            complain(str(answer.error))
        elif not answer.matches:
            note(f"{answer.query}: no picture passes {conditions}.")
        yield answer


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


def _draw(
    index: Index, answers: list[Answer], save: Path | None, html: Path | None, explain: bool
) -> None:
    explanations = _explained(index, answers) if explain else [None] * len(answers)
    if save:
        from pokesim.show.drawing.card import save_cards

        drawn = [at for at, answer in enumerate(answers) if answer.matches]
        save_cards([answers[at] for at in drawn], save, [explanations[at] for at in drawn])
    if html:
        from pokesim.show.html_report import report

        about = f"{counted(len(index), 'picture')}, compared by {index.manifest.embedder.name}."
        with progress("photos drawn") as show:
            report(answers, html, explanations=explanations, about=about, progress=show)


def _explained(index: Index, answers: Sequence[Answer]) -> list[Explanation | None]:
    explanations = []
    with progress("photos explained") as show:
        for answer in answers:
            explanations.append(_explanation(index, answer) if answer.matches else None)
            show(len(explanations), len(answers))
    return explanations


def _explanation(index: Index, answer: Answer) -> Explanation | None:
    """Explain a photo's best match, if the two are alike and both still exist."""
    if not answer.resembles:
        best = f"{answer.matches[0].label} is only the {verdict(answer)}"
        note(f"No heat map for {answer.query}: {best}, so there is no likeness to show.")
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
        draw(preview(answer.photo, answer.matches, shutil.get_terminal_size().columns))
