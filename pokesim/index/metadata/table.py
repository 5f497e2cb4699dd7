"""Read a table of metadata: CSV, TSV or JSON Lines → typed columns and rows.

A number has up to 18 digits before the point and an exponent of up to two digits; anything else is
text: 007, NaN, a number of 19 digits. A whole number, such as 3.0 or 2e9, becomes an integer and
any other a float. So an integer and a float are never equal, and both kinds of store compare them
exactly, although Milvus converts integers to floats to compare them.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from pokesim.errors import PokesimError, UsageError, did_you_mean
from pokesim.files import open_regular

Value: TypeAlias = str | int | float | None
"""A cell; None if it is empty."""

MAX_BYTES, MAX_COLUMNS, MAX_CELLS = 256 << 20, 500, 20_000_000
"""The largest table; all of it is held in memory."""

MAX_NAME, MAX_CELL = 1000, 131_072
"""The longest name of a column, and the longest cell, in characters."""

_JSON_LINES = (".jsonl", ".ndjson")

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?([eE][+-]?\d{1,2})?", re.ASCII)

_INT64 = 1 << 63
"""A whole float below this becomes an integer, as both kinds of store hold it."""

_MAX_DIGITS = 1000  # of a JSON integer; Python converts 4,300

_LINE = re.compile(r"[^\r\n]*+(?:\r\n?|\n)|[^\r\n]+")


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
    return parse_table(path, read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """Return the content of a table's file. Raises PokesimError."""
    try:
        with open_regular(path, follow_links=True) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise PokesimError(f"The table {path} cannot be read ({reason}).") from error
    if len(data) > MAX_BYTES:
        raise PokesimError(f"The table {path} is larger than {MAX_BYTES >> 20} MiB.")
    return data


def parse_table(path: Path, data: bytes) -> Table:
    """Parse the content of a table's file, whose name tells its format.

    Raises:
        PokesimError: it is not a table; the message says where.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PokesimError(f"The table {path} is not UTF-8 text (byte {error.start}).") from error
    if "\0" in text:
        line = 1 + text.count("\n", 0, text.index("\0"))
        raise PokesimError(
            f"The table {path} has a NUL character in line {line}; save it as UTF-8 text."
        )
    by_line = path.suffix.lower() in _JSON_LINES
    columns, rows = _json_lines(path, text) if by_line else _separated(path, text)
    if not rows:
        raise PokesimError(f"The table {path} has no rows.")
    numeric = [_is_numeric(row[at] for row in rows) for at in range(len(columns))]
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
    if not set(".eE") & set(text):
        return int(text)
    return exact(float(text))


def exact(number: float) -> int | float:
    """Return a whole number as an integer, if 64 bits hold it."""
    return int(number) if number.is_integer() and abs(number) < _INT64 else number


def check_columns(source: object, columns: Sequence[str]) -> None:
    """Check the names of a table's columns. Raises PokesimError."""
    if not 0 < len(columns) <= MAX_COLUMNS:
        raise PokesimError(
            f"The table {source} has {len(columns):,} columns, not 1 to {MAX_COLUMNS}."
        )
    seen: set[str] = set()
    for name in columns:
        if not name or "\0" in name or name != name.encode("utf-8", "replace").decode():
            raise PokesimError(f"The table {source} has a column without a name.")
        if len(name) > MAX_NAME:
            raise PokesimError(
                f"The table {source} has a column whose name is longer than {MAX_NAME:,} "
                f"characters; it begins with {name[:40]}."
            )
        if name.casefold() in seen:
            raise PokesimError(f"The table {source} has two columns named {name}.")
        seen.add(name.casefold())


def _separated(path: Path, text: str) -> tuple[list[str], list[list[Value]]]:
    first = re.sub('"[^"]*"', "", text.partition("\n")[0])
    separator = max(",;\t", key=first.count)
    lines = csv.reader(
        (found[0] for found in _LINE.finditer(text)), delimiter=separator, strict=True
    )
    rows: list[list[Value]] = []
    try:
        columns = [name.strip() for name in next(lines, [])]
        check_columns(path, columns)
        for row in lines:
            if not row:
                continue
            if len(row) > len(columns):
                raise PokesimError(
                    f"The table {path} has {len(row):,} cells in line {lines.line_num}, but "
                    f"{len(columns)} columns."
                )
            _check_cells(path, (1 + len(rows)) * len(columns))
            rows.append([cell.strip() or None for cell in row])
            rows[-1] += [None] * (len(columns) - len(row))
    except csv.Error as error:
        raise PokesimError(
            f"The table {path} cannot be read (line {lines.line_num}: {error})."
        ) from error
    return columns, rows


def _json_lines(path: Path, text: str) -> tuple[list[str], list[list[Value]]]:
    columns: dict[str, None] = {}
    objects = []
    for one in _objects(path, text):
        columns.update(dict.fromkeys(one))
        if len(columns) > MAX_COLUMNS:
            raise PokesimError(f"The table {path} has more than {MAX_COLUMNS} columns.")
        objects.append(one)
        _check_cells(path, len(objects) * len(columns))
    if objects:
        check_columns(path, list(columns))
    return list(columns), [[one.get(name) for name in columns] for one in objects]


def _objects(path: Path, text: str) -> Iterator[dict[str, Value]]:
    for number, found in enumerate(re.finditer(r"[^\n]*\n|[^\n]+", text), 1):
        if not found[0].strip():
            continue
        try:
            one = json.loads(found[0], parse_int=_json_integer, parse_constant=str)
            cells = [(name.strip(), _cell(value)) for name, value in one.items()]
        except (ValueError, AttributeError, RecursionError) as error:
            raise PokesimError(f"The table {path} has no JSON object in line {number}.") from error
        row = dict(cells)
        if len(row) < len(cells):
            raise PokesimError(
                f"The table {path} has two columns with the same name in line {number}."
            )
        for cell in row.values():
            if isinstance(cell, str) and (len(cell) > MAX_CELL or "\0" in cell):
                what = "a NUL character" if "\0" in cell else f"more than {MAX_CELL:,} characters"
                raise PokesimError(f"The table {path} has a cell with {what} in line {number}.")
        yield row


def _json_integer(text: str) -> int | str:
    return int(text) if len(text) <= _MAX_DIGITS else text


def _cell(value: object) -> Value:
    """Return a JSON value as a cell: text and numbers unchanged, all else as JSON."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if number_of(repr(value)) is not None else repr(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()  # half a surrogate pair is not text


def _check_cells(path: Path, count: int) -> None:
    if count > MAX_CELLS:
        raise PokesimError(f"The table {path} has more than {MAX_CELLS:,} cells.")


def _is_numeric(column: Iterable[Value]) -> bool:
    empty = True
    for cell in column:
        if isinstance(cell, str) and number_of(cell) is None:
            return False
        empty = empty and cell is None
    return not empty


def _number(cell: Value) -> Value:
    return cell if cell is None else number_of(str(cell))


def _text(cell: Value) -> Value:
    return cell if cell is None else str(cell)


def _names(path: str) -> tuple[str, str, str]:
    """Return the keys that name a picture, the most precise first."""
    file = PurePosixPath(path)
    return _folded(path), _folded(file.name), _folded(file.stem)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip()).casefold()
