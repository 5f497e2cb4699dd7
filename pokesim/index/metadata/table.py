"""Read a table of metadata: CSV, TSV or JSON Lines → typed columns and rows."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from pokesim.errors import PokesimError, UsageError, did_you_mean

Value: TypeAlias = str | int | float | None
"""A cell; None if it is empty."""

MAX_COLUMNS = 500

_JSON_LINES = (".jsonl", ".ndjson")

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?([eE][+-]?\d{1,2})?")
"""A number; 007 is not one, but a name."""


@dataclass(frozen=True)
class Table:
    """A table of metadata.

    Attributes:
        source: its file, as an absolute path.
        sha256: SHA-256 of the file.
        key: the column that names pictures; "" before `keyed` chooses it.
        columns: all columns in their order; True if each cell is a number or empty.
        rows: cells in the order of the columns.
    """

    source: str
    sha256: str
    key: str
    columns: dict[str, bool]
    rows: Sequence[tuple[Value, ...]]

    @cached_property
    def _row_by_key(self) -> dict[str, int]:
        """Row numbers by key; of rows with the same key, the first wins."""
        at = list(self.columns).index(self.key)
        numbers: dict[str, int] = {}
        for number, row in enumerate(self.rows):
            if row[at] is not None:
                numbers.setdefault(_folded(str(row[at])), number)
        return numbers

    def row_of(self, path: str) -> int | None:
        """Return the number of a picture's row, whose key is its path, file name or stem."""
        numbers = self._row_by_key
        return next((numbers[name] for name in _names(path) if name in numbers), None)

    def keyed(self, paths: Sequence[str], key: str | None = None) -> Table:
        """Return the table with a key: the given column, or the one that names most pictures.

        Args:
            paths: paths of the pictures.
            key: the column; None chooses it.

        Raises:
            UsageError: there is no such column, or no column names a picture.
        """
        if key is not None and key not in self.columns:
            hint = did_you_mean(key, self.columns) or f" It has {', '.join(self.columns)}."
            raise UsageError(f"{self.source} has no column {key}.{hint}")
        known = {name for path in paths for name in _names(path)}
        candidates = [key] if key is not None else list(self.columns)
        best = max(candidates, key=lambda column: self._named(column, known))
        if not self._named(best, known):
            which = f"column {key}" if key is not None else "column"
            raise UsageError(
                f"No {which} of {self.source} names a picture by its label, file name or path."
            )
        return Table(self.source, self.sha256, best, self.columns, self.rows)

    def _named(self, column: str, known: set[str]) -> int:
        at = list(self.columns).index(column)
        return len({_folded(str(row[at])) for row in self.rows if row[at] is not None} & known)


def read_table(path: Path) -> Table:
    """Read a table: JSON Lines if the file ends so, else CSV with the separator of its first line.

    Raises:
        PokesimError: the file cannot be read, or is not a table; the message says where.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PokesimError(f"The table {path} cannot be read ({error.strerror}).") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PokesimError(f"The table {path} is not UTF-8 text (byte {error.start}).") from error
    by_line = path.suffix.lower() in _JSON_LINES
    columns, rows = _json_lines(path, text) if by_line else _separated(path, text)
    _check_columns(path, columns)
    if not rows:
        raise PokesimError(f"The table {path} has no rows.")
    numeric = [_is_numeric(column) for column in zip(*rows, strict=True)]
    typed = [
        tuple(
            _number(cell) if number else _text(cell)
            for cell, number in zip(row, numeric, strict=True)
        )
        for row in rows
    ]
    digest = hashlib.sha256(data).hexdigest()
    return Table(str(path.resolve()), digest, "", dict(zip(columns, numeric, strict=True)), typed)


def number_of(text: str) -> int | float | None:
    """Return the number in a text, or None if it is not one."""
    if not _NUMBER.fullmatch(text):
        return None
    return float(text) if set(".eE") & set(text) else int(text)


def _separated(path: Path, text: str) -> tuple[list[str], list[list[Value]]]:
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[Value]] = []
    try:
        columns = [name.strip() for name in next(lines, [])]
        for row in lines:
            if not row:
                continue
            if len(row) > len(columns):
                raise PokesimError(
                    f"The table {path} has {len(row)} cells in line {lines.line_num}, but "
                    f"{len(columns)} columns."
                )
            rows.append([cell.strip() or None for cell in row])
            rows[-1] += [None] * (len(columns) - len(row))
    except csv.Error as error:
        raise PokesimError(
            f"The table {path} cannot be read (line {lines.line_num}: {error})."
        ) from error
    return columns, rows


def _json_lines(path: Path, text: str) -> tuple[list[str], list[list[Value]]]:
    objects = list(_objects(path, text))
    columns = list(dict.fromkeys(name for one in objects for name in one))
    rows = [[_cell(one.get(name)) for name in columns] for one in objects]
    return columns, rows


def _objects(path: Path, text: str) -> Iterator[dict[str, object]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
        except (ValueError, RecursionError):
            one = None
        if not isinstance(one, dict):
            raise PokesimError(f"The table {path} has no JSON object in line {number}.")
        yield {name.strip(): value for name, value in one.items()}


def _cell(value: object) -> Value:
    """Return a JSON value as a cell: text and numbers unchanged, all else as JSON."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if number_of(repr(value)) is not None else repr(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()  # half a surrogate pair is not text


def _check_columns(path: Path, columns: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in columns:
        if not name or "\0" in name or name != name.encode("utf-8", "replace").decode():
            raise PokesimError(f"The table {path} has a column without a name.")
        if name.casefold() in seen:
            raise PokesimError(f"The table {path} has two columns named {name}.")
        seen.add(name.casefold())
    if not 0 < len(seen) <= MAX_COLUMNS:
        raise PokesimError(f"The table {path} has {len(seen)} columns, not 1 to {MAX_COLUMNS}.")


def _is_numeric(column: Sequence[Value]) -> bool:
    cells = [cell for cell in column if cell is not None]
    return bool(cells) and all(
        not isinstance(cell, str) or number_of(cell) is not None for cell in cells
    )


def _number(cell: Value) -> Value:
    return number_of(cell) if isinstance(cell, str) else cell


def _text(cell: Value) -> Value:
    return cell if cell is None else str(cell)


def _names(path: str) -> tuple[str, str, str]:
    """Return the keys that name a picture, the most precise first."""
    file = PurePosixPath(path)
    return _folded(path), _folded(file.name), _folded(file.stem)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip()).casefold()
