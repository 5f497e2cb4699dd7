"""Random filters and tables: a filter selects what Python selects, and a bad table is refused."""

import csv
import io
import json
import operator
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
from support.indexes import index_of
from support.memory_milvus import MemoryMilvus

import pokesim
from pokesim.index.metadata.table import MAX_CELL, Table, read_table
from pokesim.index.milvus import store as milvus_store

Say = Callable[[str], object]

NUMBERS = (
    *("0", "-0", "7", "1.5", "-2.25", "1e2", "1e22", "1e-7", "-3.0", "99", "1e99", "0.1"),
    *(f"{2**53 + more}" for more in (-1, 0, 1, 2)),
    *("9007199254740993.0", "999999999999999999", "1e18", "9.3e18", "-9.3e18"),
)
TEXTS = (
    *("a", "b", "A", "grass", "very odd, 'indeed'", 'with "quotes"', "and", "or", "not", "in"),
    *("=", "(", "1", "007", "NaN", "²", "1e400", "9" * 25, "é", "e\u0301"),
    *("\u2028x", "a\\b", "\\", "%", "_", "a\tb"),
    *("\x7f", "\U0001f600", "<=", "x;y", "--", "'", '"', "a'b", "\x01", "x" * 300),
)  # fmt: skip
NAMES = (
    *("Type", "HP", "Sp. Atk", "and", "or", "not", "in", "a=b", 'q"uote', "it's", "é", "x;y"),
    *("(", "*", "rowid", "row", "c0", "metadata", "NULL", "1", "%s", "?", "a\\b", "\U0001f600"),
)  # fmt: skip
GARBAGE = ["(", ")", "=", "<", ">", "!", ",", "'", '"', " ", "and", "or", "not", "in", "\\", "\0",
           "\n", "é", "\U0001f600", "²", "1", "x", "9" * 30, "((((((((((", "#",
           "\ud800"]  # fmt: skip

ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

Passes = Callable[[dict[str, object]], bool]


def number(text: str) -> int | float:
    return float(text) if set(".e") & set(text) else int(text)


class Filters:
    """Draws filters over the columns of a table: each as text, and as a predicate on a row."""

    def __init__(self, chance: random.Random, columns: dict[str, bool], rows: list[dict]) -> None:
        self.chance, self.columns, self.rows = chance, columns, rows

    def quoted(self, text: str) -> str:
        mark = self.chance.choice("'\"")
        plain = text.isascii() and text.isalnum() and text not in ("and", "or", "not", "in")
        if plain and self.chance.random() < 0.7:
            return text
        return mark + text.replace(mark, 2 * mark) + mark

    def value(self, column: str, known: bool) -> tuple[str, object]:
        """Return a value as written in a filter, and what it means."""
        if self.chance.random() < 0.1 and known:
            return self.chance.choice(["''", '""']), None
        if self.columns[column]:
            text = self.chance.choice(NUMBERS)
            return self.chance.choice([text, f"'{text}'"]), number(text)
        cells = [row[column] for row in self.rows if row[column] is not None]
        text = self.chance.choice(cells) if known or self.chance.random() < 0.5 else "zz"
        return self.quoted(str(text)), text

    def test(self) -> tuple[str, Passes]:
        column = self.chance.choice(list(self.columns))
        name = self.quoted(column)
        space = self.chance.choice(["", " ", "  "])
        kind = self.chance.choice(["=", "!=", "in", "not in", *ORDER])
        if kind in ORDER:
            text, value = self.value(column, known=False)
            return (
                f"{name}{space}{kind}{space}{text}",
                lambda row: row[column] is not None and ORDER[kind](row[column], value),
            )
        values = [self.value(column, known=True) for _ in range(self.chance.randrange(1, 6))]
        if "in" in kind:
            text = f"{name} {kind} {','.join(text for text, _ in values)}"
        else:
            values = values[:1]
            text = f"{name}{space}{kind}{space}{values[0][0]}"
        negated, meant = kind in ("!=", "not in"), [value for _, value in values]
        return text, lambda row: (row[column] in meant) != negated

    def draw(self, depth: int = 0) -> tuple[str, Passes]:
        kind = self.chance.randrange(6 if depth < 5 else 3)
        if kind < 3:
            return self.test()
        first, one = self.draw(depth + 1)
        if kind == 3:
            return f"not ({first})", lambda row: not one(row)
        second, two = self.draw(depth + 1)
        if kind == 4:
            return f"({first}) and ({second})", lambda row: one(row) and two(row)
        return f"({first}) or ({second})", lambda row: one(row) or two(row)


def drawn_table(chance: random.Random) -> tuple[dict[str, bool], list[dict]]:
    """Return columns, True for a number, and rows; each column has at least one value."""
    names = chance.sample(NAMES, chance.randrange(1, 5))
    columns = {name: chance.random() < 0.5 for name in names}
    rows: list[dict] = []
    for at in range(chance.randrange(2, 30)):
        row: dict = {}
        for name, numeric in columns.items():
            text = chance.choice(NUMBERS if numeric else TEXTS)
            row[name] = (
                (number(text) if numeric else text) if at < 2 or chance.random() < 0.8 else None
            )
        rows.append(row)
    for name, numeric in columns.items():
        if not numeric:
            rows[0][name] = "words"  # a column of digits alone would be one of numbers
    return columns, rows


def check_sentence(error: pokesim.PokesimError) -> None:
    assert 10 < len(str(error)) < 2000
    assert str(error).endswith((".", "?"))


def damaged(chance: random.Random, text: str) -> str:
    """Insert, delete or repeat something at a few places."""
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(text) + 1)
        end = at + chance.randrange(4)
        text = text[:at] + chance.choice(["", *GARBAGE, text[:at] * 2]) + text[end:]
    return text


def fuzz_where(home: Path, seconds: float, say: Say) -> None:
    """Compare filters in a folder and on Milvus with Python; a damaged one works or is refused."""
    chance = random.Random(6)
    until = time.monotonic() + seconds
    seen: Counter[str] = Counter()
    while time.monotonic() < until:
        columns, rows = drawn_table(chance)
        table = home / "table.jsonl"
        lines = [json.dumps({"picture": str(at)} | row) for at, row in enumerate(rows)]
        table.write_text("\n".join(lines))
        shutil.rmtree(home / "index", ignore_errors=True)
        xb = np.arange(2 * len(rows) + 4, dtype=np.float32).reshape(-1, 2)
        here = index_of(home / "index", xb, table=table)
        empty = dict.fromkeys(columns)
        with mock.patch.object(milvus_store, "Client", return_value=MemoryMilvus()):
            pokesim.push_index(home / "index", "milvus://127.0.0.1:1/fuzz")
            there = pokesim.open_index("milvus://127.0.0.1:1/fuzz")
        filters = Filters(chance, columns, rows)
        for _ in range(100):
            where, passes = filters.draw()
            expected = [at for at, row in enumerate([*rows, empty, empty]) if passes(row)]
            assert here.select(where).tolist() == expected, (where, rows)
            assert there.select(where).tolist() == expected, (where, rows)
            bad = damaged(chance, where)
            try:
                selected = here.select(bad).tolist()
            except pokesim.UsageError as error:
                check_sentence(error)
                seen["damaged filters refused"] += 1
            else:
                assert there.select(bad).tolist() == selected, (bad, rows)
                seen["damaged filters that are still filters"] += 1
            seen["filters equal to Python's answer"] += 1
        here.close()
        seen["tables"] += 1
    say("fuzz_where: " + ", ".join(f"{count:,} {what}" for what, count in sorted(seen.items())))


def table_bytes(chance: random.Random, columns: list[str], rows: list[dict], suffix: str) -> bytes:
    if suffix == ".jsonl":
        text = "\n".join(json.dumps(row, ensure_ascii=chance.random() < 0.5) for row in rows)
    else:
        file = io.StringIO()
        delimiter = "\t" if suffix == ".tsv" else chance.choice(",;")
        end = chance.choice(["\n", "\r\n"])
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
        writer.writerow(columns)
        writer.writerows(
            [["" if row[name] is None else row[name] for name in columns] for row in rows]
        )
        text = file.getvalue()
    return chance.choice([b"", b"\xef\xbb\xbf"]) + text.encode()


def damaged_bytes(chance: random.Random, data: bytes) -> bytes:
    match chance.randrange(6):
        case 0:
            return data[: chance.randrange(len(data) + 1)]
        case 1:
            return bytes(byte ^ (chance.random() < 0.02) * chance.randrange(256) for byte in data)
        case 2:
            return data.decode().encode(chance.choice(["utf-16", "utf-16-le", "utf-32", "utf-7"]))
        case 3:
            at = chance.randrange(len(data) + 1)
            more = chance.choice(
                [
                    b"\0",
                    b"\r",
                    b'"',
                    b"\n\n",
                    b"\xff",
                    b"[" * 9999,
                    b"," * 999,
                    b"9" * 5000,
                    b"NaN",
                    b"1e999",
                    b"\\ud800",
                    b"x" * (MAX_CELL + 1),
                ]
            )
            return data[:at] + more + data[at:]
        case 4:
            return data * chance.randrange(3)
        case _:
            return chance.randbytes(chance.randrange(200))


def check_table(table: Table) -> None:
    """Check that a table is what the index expects."""
    assert len({name.casefold() for name in table.columns}) == len(table.columns)
    for row in table.rows:
        for (name, numeric), cell in zip(table.columns.items(), row, strict=True):
            assert name == name.strip()
            assert cell is None or isinstance(cell, int | float if numeric else str)
            if isinstance(cell, float):
                assert np.isfinite(cell)
            elif isinstance(cell, int):
                assert abs(cell) < 2**63
            elif cell:
                assert "\0" not in cell.encode().decode()


def fuzz_tables(home: Path, seconds: float, say: Say) -> None:
    """Read good tables as they were written; a damaged one is read or refused in one sentence."""
    chance = random.Random(7)
    until = time.monotonic() + seconds
    seen: Counter[str] = Counter()
    while time.monotonic() < until:
        columns, rows = drawn_table(chance)
        suffix = chance.choice([".csv", ".tsv", ".jsonl"])
        path = home / f"table{suffix}"
        data = table_bytes(chance, list(columns), rows, suffix)
        path.write_bytes(data)
        good = read_table(path)
        check_table(good)
        assert list(good.columns) == list(columns), data
        # Only CSV and TSV cells are stripped.
        as_read = (lambda cell: cell) if suffix == ".jsonl" else stripped
        expected = [tuple(as_read(row[name]) for name in columns) for row in rows]
        assert expected == list(good.rows), data
        seen["tables read as written"] += 1
        for _ in range(20):
            path.write_bytes(damaged_bytes(chance, data))
            try:
                table = read_table(path)
            except pokesim.PokesimError as error:
                check_sentence(error)
                seen["damaged tables refused"] += 1
                continue
            check_table(table)
            seen["damaged tables that are still tables"] += 1
            if not chance.randrange(50):
                kept = kept_by_an_index(home, table)
                assert kept in (None, list(table.rows))
                seen["of which an index kept every cell"] += kept is not None
    say("fuzz_tables: " + ", ".join(f"{count:,} {what}" for what, count in sorted(seen.items())))


def stripped(cell: object) -> object:
    return cell.strip() if isinstance(cell, str) else cell


def kept_by_an_index(home: Path, table: Table) -> list[tuple] | None:
    """Return the rows of a table as an index gives them; None if no picture has a row."""
    shutil.rmtree(home / "index", ignore_errors=True)
    try:
        index = index_of(home / "index", np.eye(8, 2, dtype=np.float32), table=Path(table.source))
    except pokesim.UsageError:
        return None
    with index:
        return list(index.metadata.table().rows)
