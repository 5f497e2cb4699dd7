"""Answers as text on standard output: a table for people, JSON, NDJSON, CSV and paths for programs.

JSON is an array, NDJSON a line a photo, of ``{"query": …, "matches": [{"rank", "label", "path",
"distance", "similarity"}]}``, or ``{"query": …, "error": …}`` for a photo that cannot be read. A
match has "near" too where labels were asked for, and "metadata" where the index has a table.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:  # the command line reads `Format` from here before it needs anything else
    from pokesim.doctor import Finding
    from pokesim.embedders.models import Shelved
    from pokesim.evaluate import Evaluation
    from pokesim.index.duplicates import Duplicate
    from pokesim.index.manifest import MetadataRecord, Tuning
    from pokesim.index.matches import Answer, Match
    from pokesim.index.store import Described, Snapshot
    from pokesim.index.structure import SearchRecord


_VALUES = 20
"""So many values of a column are shown."""

_COMMANDS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class Format(StrEnum):
    """How matches are written."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    PATHS = "paths"


class Layout(StrEnum):
    """How figures and groups are written."""

    TABLE = "table"
    JSON = "json"


def write_answers(
    answers: Iterable[Answer], form: Format, out: TextIO, further: Sequence[str] = ()
) -> None:
    """Write each answer as it comes; the array of JSON is closed with the last.

    Args:
        answers: what to write.
        form: how.
        out: where.
        further: names of what each match has besides: "near" where labels were asked for, and the
            columns of the metadata.
    """
    _WRITERS[form](iter(answers), out, further)


def plain(name: str) -> str:
    """Show what in a file's name would command a terminal, or turn the line around, as escapes."""
    return _COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode(), name)


def counted(number: int, what: str) -> str:
    """Return "1 picture", "1,000 pictures"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Lay rows out in columns two spaces apart; the first row is the heading.

    Args:
        rows: cells, all rows of one length.
        right: columns whose cells are set to the right, as numbers are.
    """
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(_width(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = []
    for row in rows:
        room = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = (room[at] + cell if at in right else cell + room[at] for at, cell in enumerate(row))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _width(text: str) -> int:
    """Return how many cells of a terminal a text takes; a Chinese character takes two."""
    if text.isascii():  # loading rich takes longer than a search
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def embedder_table(shelf: Iterable[Shelved]) -> str:
    """Lay out the catalogue of embedders and what of it is on this machine."""
    rows = [("embedder", "vector", "input", "on disk", "licence", "ready", "what it is")]
    for entry in shelf:
        spec = entry.spec
        size = f"{entry.bytes / 1e6:.1f} MB" if entry.bytes else "–"
        side = f"{spec.side} px"
        rows.append(
            (spec.name, str(spec.dimension), side, size, spec.licence, entry.state, spec.about)
        )
    return columns(rows, right=(1, 2, 3))


def snapshot_text(index: str, snapshot: Snapshot) -> str:
    """Tell what an index is, a fact a line."""
    manifest = snapshot.manifest
    made_by = manifest.embedder
    size = sum(file["bytes"] for file in manifest.files.values())
    lengths = "scaled to length 1" if made_by.normalized else "lengths kept"
    facts = {
        "index": index,
        "pictures": f"{manifest.count:,} from {manifest.images}",
        "embedder": f"{made_by.name}, weights {made_by.weights_sha256[:12]}…",
        "vectors": f"{manifest.dimension} dimensions, {lengths}, by {manifest.runtime} in "
        f"{manifest.precision}",
        "search": f"Euclidean distance, {search_text(manifest.search)}",
        "size": f"{size / 1e6:.1f} MB in {snapshot.place}",
        "built": f"{manifest.created[:19].replace('T', ' ')} UTC by pokesim {manifest.pokesim}",
        "skipped": f"{len(manifest.skipped):,}",
    }
    if metadata := manifest.metadata:
        facts["metadata"] = (
            f"{', '.join(metadata.columns)} of {metadata.described:,} pictures, "
            f"from {metadata.source}"
        )
    if tuning := manifest.tuning:
        facts["tuned"] = (
            f"on {tuning.pictures:,} pictures of {tuning.labels:,} labels; R@1 on held-out labels "
            f"{tuning.before[0]:.1f} % → {tuning.after[0]:.1f} %"
        )
    lines = [f"{name:<10}{value}" for name, value in facts.items()]
    return "\n".join(
        lines + [plain(f"  {skipped.path}: {skipped.reason}") for skipped in manifest.skipped]
    )


def metadata_text(metadata: MetadataRecord, pictures: int) -> str:
    """Tell how a table and the pictures fit together."""
    line = (
        f"{metadata.source} describes {metadata.described:,} of {pictures:,} pictures, by its "
        f"column {metadata.key}"
    )
    if metadata.unmatched or metadata.described < pictures:
        line += (
            f"; {metadata.unmatched:,} rows are of no picture (`pokesim info --metadata` lists "
            "both)"
        )
    return f"{line}."


def metadata_table(metadata: Described) -> str:
    """Lay out the columns of an index's metadata and what they hold; then what has no match."""
    rows = [("column", "holds", "values")]
    for name, numbers in metadata.record.columns.items():
        values = [str(value) for value in metadata.values(name, _VALUES + 1)]
        shown = ", ".join(values[:_VALUES]) + (", …" if len(values) > _VALUES else "")
        rows.append((name, "numbers" if numbers else "text", shown))
    lines = [f"pictures without a row: {plain(path)}" for path in metadata.undescribed()]
    lines += [f"rows without a picture: {plain(key)}" for key in metadata.unmatched()]
    return "\n".join([columns(rows), *lines])


def search_text(search: SearchRecord) -> str:
    """Tell whether an index is searched exactly, and if not, how nearly."""
    from pokesim.index.structure import RECALL_AT

    if search.recall is None:
        return f"exact ({search.used})"
    return f"approximate ({search.used}): recall@{RECALL_AT} {100 * search.recall:.1f} % when built"


def laps_text(seconds: Mapping[str, float]) -> str:
    """Lay out where the time of a command went, in milliseconds."""
    rows = [("where the time went", "ms")]
    rows += [(name, f"{1e3 * taken:.1f}") for name, taken in seconds.items() if taken >= 5e-5]
    rows.append(("all", f"{1e3 * sum(seconds.values()):.1f}"))
    return columns(rows, right=(1,))


def findings_table(findings: Iterable[Finding]) -> str:
    """Lay out what was found on this machine, and what to do about it."""
    rows = [(one.name, one.found, one.advice) for one in findings]
    return columns([("what", "found", "what to do"), *rows])


def evaluation_table(evaluations: Sequence[Evaluation]) -> str:
    """Lay figures out in percent with their 95 % intervals, a row a group of photos.

    Several evaluations are lined up by group, each later one with the p-value of the paired test
    against the first.
    """
    several = len(evaluations) > 1
    names = list(evaluations[0].scores[0].figures)
    rows = [("", *(["index"] if several else []), "photos", *names)]
    for group in zip(*(evaluation.scores for evaluation in evaluations), strict=True):
        for evaluation, score in zip(evaluations, group, strict=True):
            cells = [
                f"{100 * value:.1f} ({100 * low:.1f}–{100 * high:.1f})"
                for value, low, high in score.figures.values()
            ]
            named = [evaluation.index] if several else []
            rows.append((score.name, *named, str(score.photos), *cells))
    from pokesim.evaluate import paired_test

    first, *others = evaluations
    tests = [
        f"{other.index} against {first.index}: first places differ with "
        f"p = {paired_test(first, other):.2g} (exact McNemar test)"
        for other in others
    ]
    return "\n".join(
        [columns(rows, right=range(len(rows[0]) - len(names) - 1, len(rows[0]))), *tests]
    )


def evaluation_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as a JSON object; figures and intervals are shares of 1."""
    return {
        "index": evaluation.index,
        "embedder": evaluation.embedder,
        "scores": [
            {
                "name": score.name,
                "photos": score.photos,
                **{
                    name: {"value": value, "low": low, "high": high}
                    for name, (value, low, high) in score.figures.items()
                },
            }
            for score in evaluation.scores
        ],
        "unknown_labels": dict(evaluation.unknown),
        "skipped": {skipped.path: skipped.reason for skipped in evaluation.skipped},
    }


def groups_table(groups: Sequence[Sequence[Duplicate]]) -> str:
    """Lay out groups of near-identical pictures, a picture a row; nothing for no group."""
    rows = [("", "similarity", "kB", "picture")]
    for number, group in enumerate(groups, 1):
        for place, one in enumerate(group):
            similarity = f"{one.similarity:.1f} %" if place else ""
            size = f"{one.bytes / 1e3:,.0f}"
            rows.append(("" if place else str(number), similarity, size, readable_path(one.path)))
    return columns(rows, right=(0, 1, 2))


def groups_list(groups: Sequence[Sequence[Duplicate]]) -> list[list[dict[str, Any]]]:
    """Return groups of near-identical pictures as JSON has them."""
    return [
        [
            {
                "path": os.fspath(one.path),
                "label": one.label,
                "bytes": one.bytes,
                "similarity": round(one.similarity, 2),
            }
            for one in group
        ]
        for group in groups
    ]


def tuning_text(tuning: Tuning, dimensions: tuple[int, int]) -> str:
    """Tell what a learned metric is and what it was worth."""
    shape = f"{dimensions[0]} → {dimensions[1]} dimensions"
    line = f"Learned from {tuning.pictures:,} pictures of {tuning.labels:,} labels: {shape}."
    if not tuning.held_out:
        return f"{line} Not measured: too few labels to hold some out."
    figures = ", ".join(
        f"R@{k} {before:.1f} % → {after:.1f} %"
        for k, before, after in zip((1, 5), tuning.before, tuning.after, strict=True)
    )
    return f"{line}\nOn {tuning.held_out:,} pictures of labels held out from the fit: {figures}."


def readable_path(path: Path) -> str:
    """Return a path relative to the current folder where it lies below, else whole."""
    try:
        return os.fspath(path.relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)


def as_dict(answer: Answer) -> dict[str, Any]:
    """Return an answer as the JSON object that the module describes."""
    if answer.error:
        return {"query": answer.query, "error": str(answer.error)}
    return {"query": answer.query, "matches": [_match_dict(match) for match in answer.matches]}


def _match_dict(match: Match) -> dict[str, Any]:
    further: dict[str, Any] = {} if match.near is None else {"near": match.near}
    if match.metadata:
        further["metadata"] = match.metadata
    return _found(match) | further


def _found(match: Match) -> dict[str, Any]:
    return {
        "rank": match.rank,
        "label": match.label,
        "path": os.fspath(match.path),
        "distance": round(match.distance, 6),
        "similarity": round(match.similarity, 2),
    }


def _further(match: Match) -> list[str]:
    """Return the cells of what a match has besides."""
    cells = [*([] if match.near is None else [match.near]), *match.metadata.values()]
    return ["" if cell is None else str(cell) for cell in cells]


def _write_table(answers: Iterator[Answer], out: TextIO, further: Sequence[str]) -> None:
    for number, answer in enumerate(answers):
        if answer.error:
            continue
        rows = [("", "label", "similarity", "distance", *further, "picture")]
        rows += [
            (
                str(match.rank),
                match.label,
                f"{match.similarity:.1f} %",
                f"{match.distance:.4f}",
                *_further(match),
                readable_path(match.path),
            )
            for match in answer.matches
        ]
        gap = "\n" if number else ""
        print(f"{gap}{plain(answer.query)}\n{columns(rows, right=(0, 2, 3))}", file=out)


def _write_json(answers: Iterator[Answer], out: TextIO, _: Sequence[str]) -> None:
    print(json.dumps([as_dict(answer) for answer in answers], indent=1), file=out)


def _write_ndjson(answers: Iterator[Answer], out: TextIO, _: Sequence[str]) -> None:
    for answer in answers:
        print(json.dumps(as_dict(answer)), file=out, flush=True)


def _write_csv(answers: Iterator[Answer], out: TextIO, further: Sequence[str]) -> None:
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["query", "rank", "label", "path", "distance", "similarity", *further])
    for answer in answers:
        for match in answer.matches:
            table.writerow([answer.query, *_found(match).values(), *_further(match)])


def _write_paths(answers: Iterator[Answer], out: TextIO, _: Sequence[str]) -> None:
    for answer in answers:
        for match in answer.matches:
            print(match.path, file=out)


_WRITERS: dict[Format, Callable[[Iterator[Answer], TextIO, Sequence[str]], None]] = {
    Format.TABLE: _write_table,
    Format.JSON: _write_json,
    Format.NDJSON: _write_ndjson,
    Format.CSV: _write_csv,
    Format.PATHS: _write_paths,
}
