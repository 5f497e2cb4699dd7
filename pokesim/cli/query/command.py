"""The command: options in, answers out."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from pokesim.cli.options import IndexOption, PrecisionOption, RuntimeOption, WhereOption, all_of
from pokesim.cli.output import note, say_lines
from pokesim.cli.query.answers import columns_of, reported, write
from pokesim.cli.query.options import (
    AnswerFormatOption,
    CopyToOption,
    CountOption,
    CropOption,
    ExcludeSelfOption,
    ExplainOption,
    FoldersOption,
    GroupOption,
    HtmlOption,
    LabelOption,
    LinkToOption,
    MaxDistanceOption,
    MinSimilarityOption,
    OpenOption,
    PhotosArgument,
    SaveOption,
    ShowOption,
    StatsOption,
    WithOption,
    WithoutOption,
    WithoutWordsOption,
    WordsOption,
)
from pokesim.cli.query.question import Question, with_folders
from pokesim.cli.query.uses import Uses
from pokesim.embedders.catalog import Precision, Runtime
from pokesim.index import DEFAULT_INDEX
from pokesim.search import DEFAULT_K
from pokesim.show.answers import Format
from pokesim.timing import Spans, record_spans, span

if TYPE_CHECKING:
    from pokesim.search.index import Index
    from pokesim.search.matches import Answer

_LIST = "list"
"""In place of a word, or understood if --words is given alone: lists those that are known."""


def query(
    photos: PhotosArgument = None,
    folders: FoldersOption = False,
    words: WordsOption = None,
    k: CountOption = DEFAULT_K,
    index: IndexOption = DEFAULT_INDEX,
    form: AnswerFormatOption = Format.TABLE,
    where: WhereOption = None,
    label_by: LabelOption = "auto",
    group: GroupOption = False,
    max_distance: MaxDistanceOption = None,
    min_similarity: MinSimilarityOption = None,
    exclude_self: ExcludeSelfOption = False,
    crop: CropOption = None,
    also: WithOption = None,
    unlike: WithoutOption = None,
    without_words: WithoutWordsOption = None,
    save: SaveOption = None,
    html: HtmlOption = None,
    copy_to: CopyToOption = None,
    link_to: LinkToOption = None,
    open_it: OpenOption = False,
    explain: ExplainOption = False,
    show: ShowOption = False,
    stats: StatsOption = False,
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
    searched, inside = with_folders(photos or []) if folders else (photos or [], frozenset[str]())
    question = Question(
        photos=searched,
        words=words or [],
        also=also or [],
        unlike=unlike or [],
        without_words=without_words or [],
        crop=crop,
        exclude_self=exclude_self,
        k=k,
        where=all_of(where),
        label=label_by,
        group=group,
        max_distance=max_distance,
        min_similarity=min_similarity,
    )
    question.check(of_folders=folders)
    uses = Uses(save, html, explain, show, copy_to, link_to, open_it)
    uses.check(max(1, len(searched)), is_combined=question.is_combined)
    answered: list[Answer] = []
    with record_spans() as spans:
        spans.seconds["start Python"] = time.process_time()
        opened = _opened(index, runtime, precision)
        with span("write the answers"):
            answers = reported(question.answers(opened), answered, inside, question.conditions)
            write(answers, form, columns_of(opened, group), uses.any)
        with span("draw and copy"):
            is_complete = uses.make(opened, answered)
    if stats:
        _show(spans)
    codes = [answer.error.exit_code for answer in answered if answer.error]
    if codes or not is_complete:
        raise typer.Exit(max(codes, default=1))


def _opened(index: str, runtime: Runtime, precision: Precision) -> Index:
    with span("import NumPy and Pillow"), _no_blas_threads():
        from pokesim.search.index import open_index
    opened = open_index(index, runtime=runtime, precision=precision)
    if opened.manifest.search.recall is not None:
        from pokesim.show.reports import search_text

        note(f"The search is {search_text(opened.manifest.search)}.")
    return opened


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


def _show(spans: Spans) -> None:
    from pokesim.show.reports import spans_text

    for line in spans_text(spans.seconds).splitlines():
        note(line)
