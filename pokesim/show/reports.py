"""What an index is, what a build did and what was measured, as text for people."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pokesim.embedders.catalog import DEFAULT
from pokesim.show.text import columns, counted, plain, readable_path

if TYPE_CHECKING:
    from pokesim.analysis.capacity import CapacityPlan
    from pokesim.analysis.compare import Comparison
    from pokesim.analysis.duplicates import Duplicate
    from pokesim.analysis.evaluate import Evaluation
    from pokesim.analysis.extras import Moves
    from pokesim.build.options import BuildReport
    from pokesim.embedders.inventory import InventoryRow
    from pokesim.embedders.words.vocabulary import Group
    from pokesim.index.manifest import (
        EmbedderRecord,
        Manifest,
        MetadataRecord,
        SearchRecord,
        Tuning,
    )
    from pokesim.index.store import Metadata, Snapshot
    from pokesim.maintenance.doctor import Finding

VALUES = 20
"""The number of a column's values that are shown."""

SKIPPED = 20
"""The number of files that a build lists as skipped for the same reason."""


def vocabulary_text(groups: Sequence[Group], width: int) -> str:
    """List the words that can be searched with, by groups, in lines of this width."""
    wrapped = textwrap.TextWrapper(max(width, 40), initial_indent="  ", subsequent_indent="  ")
    parts: list[str] = []
    for group in groups:
        parts.append(
            "\n".join([group.title, *wrapped.wrap(", ".join(group.broad or group.classes))])
        )
        if group.broad:
            parts.append(wrapped.fill(", ".join(group.classes)))
    return "\n\n".join(parts)


def build_text(report: BuildReport) -> str:
    """Summarise a build in one line."""
    if not report.changed:
        return f"Nothing to do: {report.index} has these {report.indexed:,} pictures already."
    return (
        f"Indexed {counted(report.indexed, 'picture')}, skipped {len(report.skipped):,}, with "
        f"{report.embedder} in {report.seconds:.1f} s: {report.embedded:,} new, "
        f"{report.indexed - report.embedded:,} unchanged, {report.dropped:,} removed "
        f"({report.embedded / report.seconds:,.0f}/s). The index is {report.index}."
    )


def update_lines(report: BuildReport, before: BuildReport | None) -> list[str]:
    """Say in a few lines what an update changed, with the files skipped since the one before."""
    counts = ((report.embedded, "new"), (report.dropped, "removed"))
    changes = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    known = frozenset(before.skipped if before else ())
    skipped = tuple(one for one in report.skipped if one not in known)
    return [
        *build_notes(replace(report, skipped=skipped, metadata=None)),
        f"{changes or 'Updated'}: {report.index} has {counted(report.indexed, 'picture')}.",
    ]


def build_notes(report: BuildReport) -> list[str]:
    """Return lines on the skipped files, and one on how the metadata and the pictures match."""
    count: Counter[str] = Counter()
    lines = []
    for skipped in report.skipped:
        count[skipped.reason] += 1
        if count[skipped.reason] <= SKIPPED:
            lines.append(plain(f"skipped {skipped.path}: {skipped.reason}"))
    for reason, files in count.items():
        if files > SKIPPED:  # such as the video that a phone keeps beside each photo
            more = counted(files - SKIPPED, "more file")
            lines.append(plain(f"skipped {more} (`pokesim info` lists all): {reason}"))
    if report.metadata:
        lines.append(plain(metadata_text(report.metadata, report.indexed)))
    return lines


def metadata_text(metadata: MetadataRecord, pictures: int) -> str:
    """Say how many pictures a table describes."""
    line = (
        f"{metadata.source} describes {metadata.described:,} of {pictures:,} pictures, by its "
        f"column {metadata.key}"
    )
    if metadata.unmatched or metadata.described < pictures:
        rows = f"{counted(metadata.unmatched, 'row')} match{'es' * (metadata.unmatched == 1)}"
        line += f"; {rows} no picture (`pokesim info --metadata` lists both)"
    return f"{line}."


def metadata_table(metadata: Metadata) -> str:
    """Lay out the columns of an index's metadata, then the pictures and rows without a match."""
    rows = [("column", "type", "values")]
    for name, numbers in metadata.record.columns.items():
        values = [str(value) for value in metadata.values(name, VALUES + 1)]
        shown = ", ".join(values[:VALUES]) + (", …" if len(values) > VALUES else "")
        rows.append((name, "numbers" if numbers else "text", shown))
    lines = [f"pictures without a row: {plain(path)}" for path in metadata.undescribed()]
    lines += [f"rows without a picture: {plain(key)}" for key in metadata.unmatched()]
    return "\n".join([columns(rows), *lines])


def snapshot_text(index: str, snapshot: Snapshot) -> str:
    """Describe an index, a fact a line."""
    manifest = snapshot.manifest
    made_by = manifest.embedder
    lengths = "scaled to length 1" if made_by.normalized else "lengths kept"
    facts = {
        "index": index,
        "pictures": f"{manifest.count:,} from {manifest.images}",
        "embedder": f"{made_by.name}, weights {made_by.weights_sha256[:12]}…",
        "vectors": f"{manifest.dimension} dimensions, {lengths}, by {manifest.runtime} in "
        f"{manifest.precision}",
        "search": f"Euclidean distance, {search_text(manifest.search)}",
        "size": f"{size_of(manifest) / 1e6:.1f} MB in {snapshot.location}",
        "built": f"{manifest.created[:19].replace('T', ' ')} UTC by pokesim {manifest.pokesim}",
        "skipped": f"{len(manifest.skipped):,}",
    }
    if network := made_by.network:
        origin = network.origin
        place = f"{origin.repository} at {origin.commit[:12]}" if origin else "a file"
        facts["network"] = f"from {place}; pictures: {network.frame.how}"
    facts["words"] = words_text(made_by)
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
    lines += [f"  {skipped.path}: {skipped.reason}" for skipped in manifest.skipped]
    return "\n".join(map(plain, lines))


def size_of(manifest: Manifest) -> int:
    """Return the bytes of an index's files."""
    return sum(file["bytes"] for file in manifest.files.values())


def words_text(record: EmbedderRecord) -> str:
    """Say which words an index by this embedder can be searched with."""
    from pokesim.embedders.words.vocabulary import reads_words, takes_words

    if reads_words(record):
        return "any"
    if takes_words(record):
        return "the names that `pokesim query --words` lists"
    return "none"


def search_text(search: SearchRecord) -> str:
    """Say whether an index is searched exactly, and if not, its recall."""
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


def embedder_table(embedders: Iterable[InventoryRow]) -> str:
    """Lay out the catalogue of embedders, and which of them are ready on this machine."""
    rows = [("embedder", "vector", "input", "on disk", "licence", "ready", "for")]
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
                f"{spec.about} (the default)" if spec.name == DEFAULT else spec.about,
            )
        )
    return columns(rows, right=(1, 2, 3))


def comparison_table(comparison: Comparison) -> str:
    """Lay out how each embedder did; "worse" where the difference from the best is significant."""
    rows = [("embedder", "R@1", "", "ms a picture", "bytes a vector")]
    for row in comparison.rows:
        worse = "worse" if row.is_worse else ""
        times = f"{1e3 * row.seconds:.1f}"
        rows.append((row.embedder, f"{100 * row.recall:.1f} %", worse, times, f"{row.bytes:,}"))
    return columns(rows, right=(1, 3, 4))


def comparison_note(comparison: Comparison) -> str:
    """Recommend an embedder, and say what that rests on."""
    return (
        f"Recommended: {comparison.recommended}, the fastest that is not worse than the best, on "
        f"{counted(comparison.pictures, 'picture')} in {counted(comparison.folders, 'folder')}."
    )


def findings_table(findings: Iterable[Finding]) -> str:
    """Lay out the state of this machine, and what to do about it."""
    rows = [(one.name, one.found, one.advice) for one in findings]
    return columns([("what", "found", "what to do"), *rows])


def evaluation_table(evaluations: Sequence[Evaluation]) -> str:
    """Lay out figures in percent with their 95 % intervals, a row per group of photos.

    Several evaluations are aligned by group; a line for each but the first compares it with the
    first by a paired test.
    """
    from pokesim.analysis.evaluate import paired_test

    several = len(evaluations) > 1
    names = list(evaluations[0].scores[0].figures)
    rows = [("", *(["index"] if several else []), "photos", *names)]
    for group in zip(*(evaluation.scores for evaluation in evaluations), strict=True):
        for evaluation, score in zip(evaluations, group, strict=True):
            cells = [
                f"{100 * value:.1f} ({100 * low:.1f}–{100 * high:.1f})"
                for value, low, high in score.figures.values()
            ]
            index = [evaluation.index] if several else []
            rows.append((score.name, *index, str(score.photos), *cells))
    first, *others = evaluations
    tests = [
        f"{other.index} against {first.index}: first places differ with "
        f"p = {paired_test(first, other):.2g} (exact McNemar test)"
        for other in others
    ]
    width = len(rows[0])
    return "\n".join(
        [columns(rows, right=range(width - len(names) - 1, width)), *map(plain, tests)]
    )


def groups_table(groups: Sequence[Sequence[Duplicate]]) -> str:
    """Lay out groups of copies or of similar pictures, a row per picture."""
    rows = [("", "similarity", "is", "kB", "picture")]
    for number, group in enumerate(groups, 1):
        for place, one in enumerate(group):
            similarity = f"{one.similarity:.1f} %" if place else ""
            size = f"{one.bytes / 1e3:,.0f}"
            first = "" if place else str(number)
            rows.append((first, similarity, one.kind, size, readable_path(one.path)))
    return columns(rows, right=(0, 1, 3))


def groups_text(groups: Sequence[Sequence[Duplicate]]) -> str:
    """Say how many groups of how many pictures there are."""
    pictures = sum(map(len, groups))
    similar = any(one.kind == "similar" for group in groups for one in group)
    what = "similar pictures" if similar else "pictures that are copies"
    return f"{counted(len(groups), 'group')} of {pictures:,} {what}"


def tuning_text(tuning: Tuning, dimensions: tuple[int, int]) -> str:
    """Describe a learned metric and how much it improves the index."""
    shape = f"{dimensions[0]} → {dimensions[1]} dimensions"
    line = f"Learned from {tuning.pictures:,} pictures of {tuning.labels:,} labels: {shape}."
    if not tuning.held_out:
        return f"{line} Not measured: too few labels to hold some out."
    figures = ", ".join(
        f"R@{k} {before:.1f} % → {after:.1f} %"
        for k, before, after in zip((1, 5), tuning.before, tuning.after, strict=True)
    )
    return f"{line}\nOn {tuning.held_out:,} pictures of labels held out from the fit: {figures}."


def capacity_text(plan: CapacityPlan) -> str:
    """Lay out the ways to store and search the pictures, the recommended one, the arithmetic."""
    from pokesim.analysis.capacity import size_text, time_text

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
        for one in plan.set_ups
    ]
    best = plan.recommended
    steps = [(step.what, f"{step.how}  =  {step.result}") for step in plan.steps]
    return "\n".join(
        [
            columns(rows, right=(2, 3, 4)),
            "",
            f"Recommended: {best.name} ({best.command}).",
            f"Building takes {time_text(plan.small_seconds)} with small pictures, "
            f"{time_text(plan.large_seconds)} with JPEGs of 12 megapixels.",
            f"A query takes {time_text(plan.photo_seconds + best.seconds)}: its photo "
            f"{time_text(plan.photo_seconds)}, the search {time_text(best.seconds)}.",
            "",
            columns(steps),
        ]
    )


def moves_text(moves: Moves) -> str:
    """Return a line for each picture that was moved, or would be: from where, and to where."""
    return "\n".join(
        plain(readable_path(path))
        if to is None
        else f"{plain(readable_path(path))} → {plain(readable_path(to))}"
        for path, to in moves.moved
    )
