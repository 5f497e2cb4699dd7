"""The same reports as data: what ``--format json`` and ``--format csv`` print."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pokesim.show.text import TableFormat, json_text

if TYPE_CHECKING:
    from pokesim.analysis.capacity import CapacityPlan
    from pokesim.analysis.compare import Comparison
    from pokesim.analysis.duplicates import Duplicate
    from pokesim.analysis.evaluate import Evaluation
    from pokesim.embedders.inventory import InventoryRow
    from pokesim.index.store import Metadata, Snapshot
    from pokesim.maintenance.doctor import Finding


@dataclass(frozen=True, slots=True)
class Records:
    """A report as data.

    Attributes:
        data: the JSON value.
        columns: the columns of the CSV.
        rows: its rows.
    """

    data: Any
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def text(self, form: TableFormat) -> str:
        """Return lines of JSON or CSV; a cell is empty for None, "true" or "false" for a bool."""
        if form is TableFormat.JSON:
            return f"{json_text(self.data, indent=1)}\n"
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(self.columns)
        table.writerows(map(_cell, row) for row in self.rows)
        return out.getvalue()


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _listed(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Records:
    """Return records whose JSON is a list of the CSV's rows, as objects."""
    kept = list(rows)
    return Records([dict(zip(columns, row, strict=True)) for row in kept], columns, kept)


def _named(data: Mapping[str, Any]) -> Records:
    """Return records whose CSV has a row (name, value) for each value of a JSON object."""
    return Records(data, ("name", "value"), list(_flattened("", data)))


def _flattened(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values; an element of a list repeats the list's name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flattened(f"{name}.{key}" if name else key, inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _flattened(name, inner)
    else:
        yield name, value


def snapshot_records(index: str, snapshot: Snapshot) -> Records:
    """Return what an index is, by name."""
    from pokesim.show.reports import size_of

    manifest = snapshot.manifest
    return _named(
        {
            "index": index,
            "pictures": manifest.count,
            "images": manifest.images,
            "embedder": manifest.embedder.name,
            "weights_sha256": manifest.embedder.weights_sha256,
            "dimension": manifest.dimension,
            "normalized": manifest.embedder.normalized,
            "runtime": manifest.runtime,
            "precision": manifest.precision,
            "search": asdict(manifest.search),
            "bytes": size_of(manifest),
            "location": str(snapshot.location),
            "created": manifest.created,
            "pokesim": manifest.pokesim,
            "metadata": manifest.metadata and asdict(manifest.metadata),
            "tuning": manifest.tuning and asdict(manifest.tuning),
            "network": manifest.embedder.network and manifest.embedder.network.to_fields(),
            "skipped": [asdict(skipped) for skipped in manifest.skipped],
        }
    )


def metadata_records(metadata: Metadata) -> Records:
    """Return the columns of an index's metadata, and the pictures and rows without a match."""
    from pokesim.show.reports import VALUES

    columns = [
        (name, "numbers" if numbers else "text", metadata.values(name, VALUES))
        for name, numbers in metadata.record.columns.items()
    ]
    names = ("column", "type", "values")
    data = {
        "columns": [dict(zip(names, row, strict=True)) for row in columns],
        "pictures_without_row": list(metadata.undescribed()),
        "rows_without_picture": list(metadata.unmatched()),
    }
    rows = [(name, kind, ", ".join(map(str, values))) for name, kind, values in columns]
    return Records(data, names, rows)


def check_records(index: str, repairs: Iterable[str], checks: Iterable[str]) -> Records:
    """Return the lines of `repair_index` and `check_index`, divided at their first colon."""
    repaired = [_divided(line) for line in repairs]
    checked = [_divided(line) for line in checks]
    data = {"index": index, "sound": True, "repairs": dict(repaired), "checks": dict(checked)}
    return Records(data, ("check", "result"), [*repaired, *checked])


def _divided(line: str) -> tuple[str, str]:
    name, _, result = line.partition(": ")
    return name, result


def embedder_records(embedders: Iterable[InventoryRow]) -> Records:
    """Return the catalogue of embedders, and which of them are ready on this machine."""
    columns = ("embedder", "dimension", "side", "bytes", "licence", "ready", "about")
    return _listed(
        columns,
        (
            (
                entry.spec.name,
                entry.spec.dimension,
                entry.spec.side,
                entry.bytes,
                entry.spec.licence,
                str(entry.availability),
                entry.spec.about,
            )
            for entry in embedders
        ),
    )


def finding_records(findings: Iterable[Finding]) -> Records:
    """Return the state of this machine, and what to do about it."""
    return _listed(
        ("what", "found", "advice"), ((one.name, one.found, one.advice) for one in findings)
    )


def comparison_records(comparison: Comparison) -> Records:
    """Return how each embedder did: R@1 as a share of 1, milliseconds a picture, bytes a vector."""
    columns = ("embedder", "R@1", "p", "ms", "bytes", "recommended")
    return _listed(
        columns,
        (
            (
                row.embedder,
                row.recall,
                row.p,
                1e3 * row.seconds,
                row.bytes,
                row.embedder == comparison.recommended,
            )
            for row in comparison.rows
        ),
    )


def evaluation_records(evaluations: Sequence[Evaluation]) -> Records:
    """Return figures and intervals as shares of 1; the CSV has a row for each figure."""
    columns = ("index", "embedder", "name", "photos", "figure", "value", "low", "high")
    rows = [
        (one.index, one.embedder, score.name, score.photos, figure, *values)
        for one in evaluations
        for score in one.scores
        for figure, values in score.figures.items()
    ]
    return Records([_evaluation(one) for one in evaluations], columns, rows)


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
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


def group_records(groups: Sequence[Sequence[Duplicate]]) -> Records:
    """Return groups of copies or of similar pictures; the CSV numbers the groups."""
    columns = ("path", "label", "bytes", "similarity", "kind")
    found = [
        [one.to_dict() | {"similarity": round(one.similarity, 2)} for one in group]
        for group in groups
    ]
    rows = [
        (number, *map(row.get, columns)) for number, group in enumerate(found, 1) for row in group
    ]
    return Records(found, ("group", *columns), rows)


def capacity_records(plan: CapacityPlan) -> Records:
    """Return a plan in bytes and seconds; the CSV has a row for each way to store and search."""
    columns = ("name", "exact", "memory", "disk", "seconds", "fits", "command")
    rows = [[getattr(one, name) for name in columns] for one in plan.set_ups]
    data = {
        "set_ups": [dict(zip(columns, row, strict=True)) for row in rows],
        "recommended": plan.recommended.name,
        "small_seconds": plan.small_seconds,
        "large_seconds": plan.large_seconds,
        "photo_seconds": plan.photo_seconds,
        "steps": [asdict(step) for step in plan.steps],
    }
    return Records(data, columns, rows)
