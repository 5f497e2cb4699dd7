"""What an index will take, as text for people."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pokesim.analysis.capacity import CapacityPlan, size_text, time_text
from pokesim.show.text import columns, plain, readable_path

if TYPE_CHECKING:
    from pokesim.analysis.duplicates import Duplicate
    from pokesim.analysis.evaluate import Evaluation
    from pokesim.embedders.inventory import InventoryRow
    from pokesim.index.manifest import MetadataRecord, SearchRecord, Tuning
    from pokesim.index.store import Metadata, Snapshot
    from pokesim.maintenance.doctor import Finding


def capacity_text(found: CapacityPlan) -> str:
    """Lay out the ways to hold and search the pictures, which to take, and the arithmetic."""
    rows = [("", "exact", "memory", "disk", "a search", "fits")]
    rows += [
        (
            one.name,
            "yes" if one.exact else "no",
            size_text(one.memory),
            size_text(one.disk),
            time_text(one.seconds),
            "yes" if one.fits else "no",
        )
        for one in found.set_ups
    ]
    best = found.recommended
    steps = [(step.what, f"{step.how}  =  {step.result}") for step in found.steps]
    return "\n".join(
        [
            columns(rows, right=(2, 3, 4)),
            "",
            f"Recommended: {best.name} ({best.command}).",
            f"Building takes {time_text(found.small_seconds)} with small pictures, "
            f"{time_text(found.large_seconds)} with JPEGs of 12 megapixels.",
            f"A query takes {time_text(found.photo_seconds + best.seconds)}: its photo "
            f"{time_text(found.photo_seconds)}, the search {time_text(best.seconds)}.",
            "",
            columns(steps),
        ]
    )


_VALUES = 20
"""So many values of a column are shown."""


class Layout(StrEnum):
    """How figures and groups are written."""

    TABLE = "table"
    JSON = "json"


def embedder_table(embedders: Iterable[InventoryRow]) -> str:
    """Return a table of the embedders and their state on this machine."""
    rows = [("embedder", "vector", "input", "on disk", "licence", "ready", "what it is")]
    for entry in embedders:
        spec = entry.spec
        size = f"{entry.bytes / 1e6:.1f} MB" if entry.bytes else "–"
        side = f"{spec.side} px"
        rows.append(
            (
                spec.name,
                str(spec.dimension),
                side,
                size,
                spec.licence,
                entry.availability,
                spec.about,
            )
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
        "size": f"{size / 1e6:.1f} MB in {snapshot.location}",
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
            f"; {metadata.unmatched:,} rows match no picture (`pokesim info --metadata` lists both)"
        )
    return f"{line}."


def metadata_table(metadata: Metadata) -> str:
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
    from pokesim.index.vectors.ann import RECALL_AT

    if search.recall is None:
        return f"exact ({search.used})"
    return f"approximate ({search.used}): recall@{RECALL_AT} {100 * search.recall:.1f} % when built"


def spans_text(seconds: Mapping[str, float]) -> str:
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
    from pokesim.analysis.evaluate import paired_test

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
