"""Answers as text on standard output: a table for people; JSON, NDJSON, CSV and paths for programs.

JSON is an array, NDJSON a line per photo, of ``{"query": …, "resembles": …, "verdict": …,
"matches": [{"rank", "label", "path", "distance", "similarity"}]}``, or ``{"query": …, "error": …}``
for a photo that cannot be read. It has "crop" if the query was for a part, and "with" or "without",
[{"query" or "words", "weight"}], if the photo was combined with other photos or with words.
"resembles" is whether the best match looks like the photo or is only the closest, and "verdict"
says so in words. For words without a photo there is "words" in place of "query", and no
"resembles". A match also has "near" if the query was for labels, and "metadata" if the index has a
table.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from pokesim.show.text import columns, json_text, plain, readable_path

if TYPE_CHECKING:
    from pokesim.search.combine import Example
    from pokesim.search.matches import Answer, Match


class Output(Protocol):
    """A stream that text is written to."""

    @property
    def width(self) -> int | None:
        """The width of a line, in cells, if it is a terminal."""

    def write(self, text: str, /) -> object:
        """Write a text."""

    def flush(self) -> object:
        """Write what is buffered."""


class Format(StrEnum):
    """The formats of matches."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    PATHS = "paths"


def write_answers(
    answers: Iterable[Answer], form: Format, out: Output, extra: Sequence[str] = ()
) -> None:
    """Write each answer as it arrives; JSON, being one array, waits for the last.

    Args:
        answers: the answers.
        form: the format.
        out: the stream to write to.
        extra: the names of the extra columns: "near" if the query was for labels, and the columns
            of the metadata.
    """
    _WRITERS[form](iter(answers), out, extra)


def as_dict(answer: Answer) -> dict[str, Any]:
    """Return an answer as the JSON object described above."""
    if answer.error:
        return {"query": answer.query, "error": str(answer.error)}
    matches = [_match_dict(match) for match in answer.matches]
    if answer.photo is None:
        return {
            "words": answer.query,
            **_examples(answer),
            "verdict": verdict(answer),
            "matches": matches,
        }
    return {
        "query": answer.query,
        **({"crop": str(answer.crop)} if answer.crop else {}),
        **_examples(answer),
        "resembles": answer.resembles,
        "verdict": verdict(answer),
        "matches": matches,
    }


def verdict(answer: Answer) -> str:
    """Say in a phrase what the best match is to the photo, such as "looks most like".

    Of words it is only said which picture is nearest: how near is not comparable with photos.
    """
    if not answer.matches:
        return "no match"
    if answer.photo is None:
        return "nearest to the words" if " " in answer.query else "nearest to the word"
    return "looks most like" if answer.resembles else f"closest of {answer.searched:,}"


def query_name(answer: Answer) -> str:
    """Return what was searched with, such as "a.jpg (10%,20%,50%,60%) + 0.5 × b.jpg"."""
    query = f'"{answer.query}"' if answer.photo is None else answer.query
    name = f"{query} ({answer.crop})" if answer.crop else query
    for one in answer.others:
        share = "" if abs(one.weight) == 1 else f"{abs(one.weight):g} × "
        name += f" {sign(one)} {share}{one.name}"
    return name


def sign(one: Example) -> str:
    """Return whether matches are to be like a photo or words, "+", or unlike them, "−"."""
    return "+" if one.weight > 0 else "−"


def _examples(answer: Answer) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in answer.others:
        group = groups.setdefault("with" if one.weight > 0 else "without", [])
        kind = "words" if one.photo is None else "query"
        group.append({kind: one.query, "weight": abs(one.weight)})
    return groups


def lead(name: str, answer: Answer) -> str:
    """Return a photo's name and the verdict; the label of the best match completes the sentence."""
    if answer.photo is None:
        return f"{verdict(answer).capitalize()} {name}:"
    return f"{name} {verdict(answer)}" if answer.resembles else f"{name}: the {verdict(answer)} is"


def _match_dict(match: Match) -> dict[str, Any]:
    extra: dict[str, Any] = {} if match.near is None else {"near": match.near}
    if match.metadata:
        extra["metadata"] = match.metadata
    return _fields(match) | extra


def _fields(match: Match) -> dict[str, Any]:
    return {
        "rank": match.rank,
        "label": match.label,
        "path": os.fspath(match.path),
        "distance": round(match.distance, 6),
        "similarity": round(match.similarity, 2),
    }


def _extra_cells(match: Match) -> list[str]:
    """Return a match's cells of the extra columns."""
    cells = [*([] if match.near is None else [match.near]), *match.metadata.values()]
    return ["" if cell is None else str(cell) for cell in cells]


def _write_table(answers: Iterator[Answer], out: Output, extra: Sequence[str]) -> None:
    for number, answer in enumerate(answers):
        if answer.error:
            continue
        rows = [("", "label", "similarity", "distance", *extra, "picture")]
        rows += [
            (
                str(match.rank),
                match.label,
                f"{match.similarity:.1f} %",
                f"{match.distance:.4f}",
                *_extra_cells(match),
                readable_path(match.path),
            )
            for match in answer.matches
        ]
        gap = "\n" if number else ""
        title = (
            f"{lead(query_name(answer), answer)} {answer.matches[0].label}"
            if answer.matches
            else query_name(answer)
        )
        texts = 1, *range(4, 4 + len(extra))  # not the path, which people copy
        table = columns(rows, right=(0, 2, 3), shorten=texts, width=out.width)
        out.write(f"{gap}{plain(title)}\n{table}\n")


def _write_json(answers: Iterator[Answer], out: Output, _: Sequence[str]) -> None:
    out.write(f"{json_text([as_dict(answer) for answer in answers], indent=1)}\n")


def _write_ndjson(answers: Iterator[Answer], out: Output, _: Sequence[str]) -> None:
    for answer in answers:
        out.write(f"{json_text(as_dict(answer))}\n")
        out.flush()


def _write_csv(answers: Iterator[Answer], out: Output, extra: Sequence[str]) -> None:
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["query", "rank", "label", "path", "distance", "similarity", *extra])
    for answer in answers:
        for match in answer.matches:
            table.writerow([answer.query, *_fields(match).values(), *_extra_cells(match)])


def _write_paths(answers: Iterator[Answer], out: Output, _: Sequence[str]) -> None:
    for answer in answers:
        for match in answer.matches:
            out.write(f"{match.path}\n")


_WRITERS: dict[Format, Callable[[Iterator[Answer], Output, Sequence[str]], None]] = {
    Format.TABLE: _write_table,
    Format.JSON: _write_json,
    Format.NDJSON: _write_ndjson,
    Format.CSV: _write_csv,
    Format.PATHS: _write_paths,
}
