"""Forged ``items.sqlite``: schemas, values, pages, and journals beside it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

from stress.forged.contents import COUNT, Forgery, cut, patched
from stress.forged.sealing import Snapshot

ITEMS_SQL = (
    "CREATE TABLE items (id INTEGER PRIMARY KEY, path TEXT NOT NULL, label TEXT NOT NULL,"
    " size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL)"
)

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT x FROM c"

SCHEMAS = {
    "a view": "CREATE VIEW v AS SELECT 1",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON items BEGIN SELECT 1; END",
    "a table": "CREATE TABLE other (x)",
    "a virtual table": "CREATE VIRTUAL TABLE f USING fts5(x)",
    "statistics": "ANALYZE",
    "another index": "CREATE INDEX more ON items (path)",
    "a partial index": "CREATE INDEX more ON items (path) WHERE size > 1",
    "an index of expressions": "CREATE INDEX more ON items (lower(path))",
    "another column": "ALTER TABLE items ADD COLUMN more",
    "a generated column": "ALTER TABLE items ADD COLUMN g AS (size + 1)",
    "no index": "DROP INDEX items_sha256",
    "items are a view": f"DROP TABLE items; CREATE VIEW items AS {ENDLESS}",
    "items are without row ids": (
        "DROP TABLE items;" + ITEMS_SQL.replace("INTEGER PRIMARY", "INT PRIMARY") + " WITHOUT ROWID"
    ),
    "items have defaults": (
        "DROP TABLE items;"
        + ITEMS_SQL.replace("path TEXT NOT NULL", "path DEFAULT (randomblob(9))")
    ),
    "metadata are a view": f"DROP TABLE metadata; CREATE VIEW metadata AS {ENDLESS}",
    "described is a view": f"DROP TABLE described; CREATE VIEW described AS {ENDLESS}",
    "metadata are gone": "DROP TABLE metadata",
    "described is gone": "DROP TABLE described",
    "metadata have other columns": "ALTER TABLE metadata RENAME COLUMN name TO other",
    "metadata have more columns": "ALTER TABLE metadata ADD COLUMN more",
    "described is empty": "DELETE FROM described",
    "described is twofold": "INSERT INTO described SELECT * FROM described",
    "described is a text": "UPDATE described SET rows = 'abc'",
    "described is a number": "UPDATE described SET rows = 7",
    "described is short": "UPDATE described SET rows = x'00000000'",
    "described is odd": "UPDATE described SET rows = substr(rows, 2)",
    "described is negative": f"UPDATE described SET rows = x'{'ffffffff' * COUNT}'",
    "described is too high": f"UPDATE described SET rows = x'{'ffffff7f' * COUNT}'",
    "a row of the metadata is gone": 'DELETE FROM metadata WHERE " row" = 4',
    "the empty row is gone": 'DELETE FROM metadata WHERE " row" = 0',
    "a row of the metadata is negative": 'UPDATE metadata SET " row" = -4 WHERE " row" = 4',
    "a cell is a blob": "UPDATE metadata SET name = x'00ff'",
    "a cell is infinite": "UPDATE metadata SET number = 9e999",
    "a number is a text": "UPDATE metadata SET number = 'seven'",
    "a text is a number": "UPDATE metadata SET name = 7",
    "a cell is not UTF-8": "UPDATE metadata SET name = CAST(x'ff' AS TEXT)",
    "a cell has a surrogate": "UPDATE metadata SET name = CAST(x'eda080' AS TEXT)",
    "no items": "DELETE FROM items",
    "an item is gone": "DELETE FROM items WHERE id = 7",
    "the first item is gone": "DELETE FROM items WHERE id = 0",
    "a last item too many": "INSERT INTO items VALUES (300, 'a', 'a', 1, 1, '')",
    "a negative id": "UPDATE items SET id = -1 WHERE id = 0",
    "a huge id": f"UPDATE items SET id = {2**62} WHERE id = 7",
    "another user_version": "PRAGMA user_version = 7",
    "UTF-16": "DROP TABLE items; PRAGMA encoding = 'UTF-16'; VACUUM",
}

HARMLESS = ("another user_version", "UTF-16")

VALUES = {
    "path": ("''", "'..'", "'../x'", "'a/../../x'", "7", "x'00ff'", "'a' || char(0)",
             "printf('%.*c', 100000, 'x')"),
    "label": ("7", "x'00'", "char(0)", "printf('%.*c', 100000, 'x')"),
    "size": ("-1", "'a'", "1.5", "x'00'", "9e999"),
    "mtime_ns": ("-2", "'a'", "1.5", "x'00'"),
    "sha256": ("7", "x'00'", "printf('%.*c', 1000, 'x')"),
}  # fmt: skip


def _sql(*statements: str) -> Callable[[Snapshot], object]:
    def change(snapshot: Snapshot) -> None:
        with closing(sqlite3.connect(snapshot.path / "items.sqlite")) as db:
            for statement in statements:
                db.executescript(statement)
            db.commit()

    return change


def sqlite_cases() -> Iterator[Forgery]:
    schema_only = ("cell", "number is", "text is", "described", "metadata")
    for name, statement in SCHEMAS.items():
        # What is wrong with the table shows when it is read.
        refused = name not in HARMLESS and not any(word in name for word in schema_only)
        yield Forgery(name, "described", _sql(statement), refused and "empty row" not in name)
    for column, values in VALUES.items():
        for value in values:
            # The type of a column converts numbers and texts; those of the schema are kept.
            update = f"UPDATE items SET {column} = {value} WHERE id = 7"
            converts = column in ("path", "label", "sha256") and value == "7"
            yield Forgery(f"{column} is {value}", "described", _sql(update), not converts)
    yield Forgery(
        "a lone surrogate", "flat", _sql("UPDATE items SET path = CAST(x'eda080' AS TEXT)")
    )
    big = "UPDATE items SET path = CAST(zeroblob(30000000) AS TEXT) WHERE id = 7"
    yield Forgery("a path of 30 MB", "flat", _sql(big), refused=True)
    hidden = (
        "PRAGMA writable_schema = ON;"
        " UPDATE sqlite_master SET sql = 'CREATE TABLE items AS SELECT 1' WHERE name = 'items'"
    )
    yield Forgery("other SQL of items", "flat", _sql(hidden), refused=True)
    swapped = (
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage ="
        " (SELECT rootpage FROM sqlite_master WHERE name = 'items_sha256') WHERE name = 'items'"
    )
    yield Forgery("items are the index", "flat", _sql(swapped), refused=True)
    for at in range(0, 100, 4):
        for number in (0, 0x7FFFFFFF, 0xFFFFFFFF):
            change = patched("items.sqlite", at, number.to_bytes(4, "big"))
            yield Forgery(f"SQLite's header at {at} is {number:x}", "flat", change)
    for page in range(1, 9):
        for at, data in (
            (0, b"\x05"),
            (0, b"\x0d"),
            (3, b"\xff\xff"),
            (5, b"\0\1"),
            (8, b"\0\0\0\1"),
        ):
            place = 4096 * page + at
            yield Forgery(f"page {page} at {at}", "flat", patched("items.sqlite", place, data))
    for size in (0, 1, 99, 100, 4095, 4096, 8192):
        yield Forgery(f"cut at {size}", "flat", cut("items.sqlite", size), refused=True)
    yield Forgery("a journal beside it", "flat", _with_journal)
    yield Forgery("a write-ahead log", "flat", _with_wal)
    yield Forgery("pages without end", "flat", _endless, refused=True)


def _with_journal(snapshot: Snapshot) -> None:
    """Leave a hot journal, whose roll-back would empty the file."""
    path = snapshot.path / "items.sqlite"
    intact = path.read_bytes()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA cache_size = 1")
        db.execute("BEGIN")
        db.execute("UPDATE items SET label = 'changed'")
        journal = path.with_name("items.sqlite-journal").read_bytes()
        db.rollback()
    path.write_bytes(intact)
    path.with_name("items.sqlite-journal").write_bytes(journal)


def _with_wal(snapshot: Snapshot) -> None:
    path = snapshot.path / "items.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("UPDATE items SET label = 'changed'")
        db.commit()
        data = {one: one.read_bytes() for one in path.parent.glob("items.sqlite*")}
    for one, content in data.items():
        one.write_bytes(content)


def _endless(snapshot: Snapshot) -> None:
    """Make every child of the table's root the root itself."""
    path = snapshot.path / "items.sqlite"
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'items'").fetchone()
    data = bytearray(path.read_bytes())
    start = 4096 * (root - 1)
    assert data[start] == 5, "an inner page of a table"
    cells = int.from_bytes(data[start + 3 : start + 5], "big")
    data[start + 8 : start + 12] = root.to_bytes(4, "big")
    for number in range(cells):
        at = int.from_bytes(data[start + 12 + 2 * number :][:2], "big")
        data[start + at : start + at + 4] = root.to_bytes(4, "big")
    path.write_bytes(data)
