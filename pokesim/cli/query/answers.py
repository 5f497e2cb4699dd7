"""Printing the answers, and reporting the photos that have none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pokesim.cli.output import complain, note, results
from pokesim.errors import NotAPictureError
from pokesim.show.answers import Format, write_answers

if TYPE_CHECKING:
    from pokesim.search.index import Index
    from pokesim.search.matches import Answer


def columns_of(index: Index, group: bool) -> list[str]:
    """Return the names of the columns beside those that every match has."""
    table = index.manifest.metadata
    return [*(["near"] if group else []), *(table.columns if table else [])]


def write(answers: Iterator[Answer], form: Format, extra: Sequence[str], used: bool) -> None:
    """Write the answers; if they are also used, get them all even if nobody reads the results."""
    try:
        write_answers(answers, form, results, extra)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        if not used:
            raise
        for _ in answers:
            pass


def reported(
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
