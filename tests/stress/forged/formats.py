"""Forged contents of an index's binary files: each field, each array and each end of a structure.

Every case is tried in a fork of its own (see `runner`); what must hold is that reading the index
gives right ids or one sentence, and never ends the process.
"""

import os
import shutil
import signal
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from stress.forged.runner import in_a_fork
from stress.forged.sealing import Snapshot, current, forge
from support.indexes import index_of

import pokesim
from pokesim.errors import PokesimError
from pokesim.index import open_store
from pokesim.index.metadata.filter_parser import parse_filter
from pokesim.index.vectors import faiss_format

COUNT, DIMENSION = 300, 16

SEARCHES = {
    "flat": "flat",
    "described": "flat",
    "panorama": "panorama",
    "ivf": "IVF8,Flat",
    "ivf sparse": "IVF200,Flat",
    "ivf sq": "IVF8,SQ8",
    "ivf pq": "IVF8,PQ4x4",
    "ivf hnsw": "IVF8_HNSW4,Flat",
    "hnsw": "HNSW4",
    "hnsw sq": "HNSW4,SQ8",
    "pq": "PQ4x4",
    "sq": "SQ4",
    "pca": "PCA8,IVF8,Flat",
    "opq": "OPQ4_8,PQ4x4",
    "rr": "RR8,Flat",
    "l2norm": "L2norm,Flat",
    "refine": "IVF8,PQ4x4",  # its file is replaced
}

NUMBERS = (0, 1, 2, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1)


@dataclass(frozen=True)
class Forgery:
    """A changed file.

    Attributes:
        kind: which index, of `SEARCHES`.
        change: changes the snapshot, whose hashes are made right afterwards.
        refused: the index must not be opened; otherwise it may be.
    """

    name: str
    kind: str
    change: Callable[[Snapshot], object]
    refused: bool = False


def build_bases(home: Path) -> None:
    """Build the intact indexes, in another process: FAISS's threads do not survive a fork."""
    failure = in_a_fork(lambda: _build(home), seconds=200)
    assert not failure, failure


def _build(home: Path) -> None:
    import faiss

    faiss.omp_set_num_threads(1)
    table = home / "table.csv"
    table.write_text("\n".join(["name,number", *(f"{n}.png,{n}" for n in range(COUNT))]))
    random = np.random.default_rng(5)
    rows = random.standard_normal((COUNT, DIMENSION)).astype(np.float32)
    for kind, search in SEARCHES.items():
        index_of(home / kind, rows, search, table if kind == "described" else None).close()
    refined = faiss.index_factory(DIMENSION, "IVF8,PQ4x4,RFlat")
    refined.train(rows)
    refined.add(rows)
    faiss.write_index(refined, str(current(home / "refine") / "search.faiss"))
    forge(home / "refine", lambda snapshot: None)


def cases(home: Path) -> Iterator[Forgery]:
    """Yield every forgery of the indexes in a folder."""
    for kind, search in SEARCHES.items():
        if search not in ("flat", "panorama"):
            yield from _faiss_cases(kind, current(home / kind) / "search.faiss")
    yield from _plain_cases(home)
    yield from matrix_cases()
    yield from sqlite_cases()


def attempt(home: Path, forgery: Forgery) -> str:
    """Try a forgery; return what went wrong, or an empty string."""
    index = home / "forged"
    shutil.rmtree(index, ignore_errors=True)
    shutil.copytree(home / forgery.kind, index)
    forge(index, forgery.change)
    failure = in_a_fork(lambda: _read(index, forgery.refused), seconds=20)
    return failure and f"{forgery.kind}: {forgery.name}: {failure}"


def _read(index: Path, refused: bool) -> None:
    import resource

    import faiss

    most = 4 << 30  # of addresses, with those of the libraries
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.setitimer(signal.ITIMER_PROF, 10)
    faiss.omp_set_num_threads(1)
    opened = _one_sentence(lambda: _search(index))
    assert not (refused and opened), "it was opened"
    _one_sentence(lambda: _read_rows(index))
    _one_sentence(lambda: list(pokesim.check_index(index)))


def _one_sentence(work: Callable[[], object]) -> bool:
    """Do something; return whether it went well. Any failure must be a single sentence."""
    try:
        work()
    except PokesimError as error:
        assert "\n" not in str(error), error
        return False
    return True


def _search(index: Path) -> None:
    with pokesim.open_index(index) as opened:
        queries = np.linspace(-1, 1, 25 * DIMENSION, dtype=np.float32).reshape(25, DIMENSION)
        for xq, k in ((queries[:2], 5), (queries, 5), (queries[:1], COUNT)):
            _, ids = opened.search(xq, k)
            assert ids.min() >= -1
            assert ids.max() < COUNT
        for item in opened.items:
            opened.path_of(item)
        assert opened.items.find("none") is None
        opened.items.id_of_path("7.png")
        opened.items.ids_of_bytes("")
        assert opened.items.in_folders in (True, False)


def _read_rows(index: Path) -> None:
    with closing(open_store(index).snapshot().open()) as reader:
        if reader.metadata is not None:
            reader.metadata.row(3)
            reader.metadata.table()
            list(reader.metadata.unmatched())
            reader.metadata.values("name", 10)
            condition = parse_filter("number > 7", reader.metadata.record.columns)
            reader.view(condition)


def _patched(name: str, at: int, data: bytes) -> Callable[[Snapshot], object]:
    def change(snapshot: Snapshot) -> None:
        path = snapshot.path / name
        whole = bytearray(path.read_bytes())
        whole[at : at + len(data)] = data
        path.write_bytes(whole)

    return change


def _cut(name: str, size: int) -> Callable[[Snapshot], object]:
    def change(snapshot: Snapshot) -> None:
        path = snapshot.path / name
        path.write_bytes(path.read_bytes()[:size])

    return change


def _with(name: str, data: bytes) -> Callable[[Snapshot], object]:
    return lambda snapshot: (snapshot.path / name).write_bytes(data)


class _Recording(faiss_format._Cursor):
    """Notes where the fields and the arrays of a file are."""

    fields: list[tuple[int, str]]
    arrays: list[tuple[int, str, int]]

    def __init__(self, data):
        super().__init__(data)
        self.fields, self.arrays = [], []
        self.latest = self

    def unpack(self, layout):
        at = self._at
        for one in struct.iter_unpack("c", layout.encode()):
            code = one[0].decode()
            if code.isdigit():
                continue
            code = "4s" if code == "s" else code
            self.fields.append((at, code))
            at += struct.calcsize("<" + code)
        return super().unpack(layout)

    def array(self, dtype, count):
        self.arrays.append((self._at, dtype, count))
        return super().array(dtype, count)


def _faiss_cases(kind: str, path: Path) -> Iterator[Forgery]:
    data = np.fromfile(path, np.uint8)
    cursor = _Recording(data)
    faiss_format._index(cursor, DIMENSION, COUNT, faiss_format._ANY)
    assert cursor.at_end(), kind
    name = "search.faiss"
    for at, code in cursor.fields:
        size = struct.calcsize("<" + code)
        old = int.from_bytes(data[at : at + size].tobytes(), "little")
        new = {number & (256**size - 1) for number in (*NUMBERS, old - 1, old + 1, 2 * old)}
        if code == "4s":
            new = {int.from_bytes(tag, "little") for tag in (*faiss_format._KINDS, b"null", b"ilod")}
        for number in sorted(new - {old}):
            change = _patched(name, at, number.to_bytes(size, "little"))
            yield Forgery(f"field {code} at {at} is {number}", kind, change)
        yield Forgery(f"cut at {at}", kind, _cut(name, at), refused=True)
    for at, dtype, count in cursor.arrays:
        width = np.dtype(dtype).itemsize
        ids = dtype in ("<i4", "<i8", "<u8")
        for place in {0, count // 2, count - 1} if count else ():
            for number in (COUNT, 2**31 - 1, 2**31, 256**width - 2, 256**width - 1):
                encoded = (number & (256**width - 1)).to_bytes(width, "little")
                change = _patched(name, at + place * width, encoded)
                found = f"{dtype} at {at}, {place} of {count}, is {number}"
                # -1 is the absence of a link, and floats may have any bits.
                bad = ids and not (dtype == "<i4" and number == 256**width - 1)
                yield Forgery(found, kind, change, refused=bad)
        yield Forgery(f"cut in the array at {at}", kind, _cut(name, at + width), refused=count > 1)
    yield Forgery("longer", kind, _with(name, data.tobytes() + b"\0"), refused=True)
    yield Forgery("empty", kind, _with(name, b""), refused=True)
    yield Forgery("random", kind, _with(name, np.random.default_rng(1).bytes(len(data))), True)


def _plain_cases(home: Path) -> Iterator[Forgery]:
    for kind, name in (("flat", "vectors.faiss"), ("panorama", "search.faiss")):
        data = (current(home / kind) / name).read_bytes()
        ends = (0, 1, 45, len(data) - 4, len(data) - 1, len(data) // 2)
        fields = [*range(0, 45, 4)]
        if kind == "panorama":
            norms = len(data) - 4 * 1024 * 2 - 8  # one batch, one level
            ends, fields = (*ends, norms, norms + 8), [*fields, norms]
        for size in ends:
            yield Forgery(f"{name} cut at {size}", kind, _cut(name, size), refused=True)
        for at in fields:
            for number in (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
                new = number.to_bytes(4, "little")
                if data[at : at + 4] != new and (kind, at) != ("panorama", 44):
                    change = _patched(name, at, new)
                    yield Forgery(f"{name} at {at} is {number}", kind, change, at < 41 or at > 99)
        for number in (float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e-45):
            filled = struct.pack("<f", number) * ((len(data) - 45) // 4)
            yield Forgery(f"{name} full of {number}", kind, _patched(name, 45, filled))
            some = _patched(name, len(data) - 400, struct.pack("<f", number) * 100)
            yield Forgery(f"{name} ends in {number}", kind, some)
        yield Forgery(f"{name} is longer", kind, _with(name, data + b"\0" * 4), refused=True)


def _npy(text: str, version: bytes = b"\x01\x00", body: bytes = b"") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text.encode() + body


def matrix_cases() -> Iterator[Forgery]:
    name, rows, columns = "rotation.npy", DIMENSION + 1, DIMENSION
    body = np.ones((rows, columns), "<f4").tobytes()

    def header(shape: object, descr: str = "'<f4'", order: object = False) -> str:
        return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"

    good = header((rows, columns))
    forged = {
        "none": b"",
        "no body": _npy(good),
        "short": _npy(good, body=body[:-1]),
        "long": _npy(good, body=body + b"\0"),
        "version 2": _npy(good, b"\x02\x00", body),
        "version 9": _npy(good, b"\x09\x00", body),
        "pickled": _npy(header((1,), "'|O'"), body=b"cos\nsystem\n(S'touch pwned'\ntR."),
        "objects": _npy(header((rows, columns), "'|O'"), body=body),
        "float64": _npy(header((rows, columns), "'<f8'"), body=body * 2),
        "big-endian": _npy(header((rows, columns), "'>f4'"), body=body),
        "structured": _npy(header((rows, columns), "[('a', '<f4')]"), body=body),
        "other shape": _npy(header((columns, rows)), body=body),
        "flat shape": _npy(header((rows * columns,)), body=body),
        "huge shape": _npy(header((2**62, 2**62)), body=body),
        "overflowing shape": _npy(header((2**32 + rows, columns)), body=body),
        "negative shape": _npy(header((-rows, -columns)), body=body),
        "zero shape": _npy(header((0, columns)), body=b""),
        "nested header": _npy("(" * 9000, body=body),
        "deep header": _npy("-" * 60000 + "1\n", body=body),
        "not a header": _npy("__import__('os').system('touch pwned')\n", body=body),
        "NaN": _npy(good, body=np.full((rows, columns), np.nan, "<f4").tobytes()),
        "infinite": _npy(good, body=np.full((rows, columns), np.inf, "<f4").tobytes()),
    }
    for how, data in forged.items():
        yield Forgery(f"{name}: {how}", "panorama", _with(name, data), refused=True)
    huge = np.full((rows, columns), 3e38, "<f4").tobytes()
    yield Forgery(f"{name}: huge", "panorama", _with(name, _npy(good, body=huge)))
    yield Forgery(f"{name}: zeros", "panorama", _with(name, _npy(good, body=bytes(len(body)))))


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
        "DROP TABLE items;" + ITEMS_SQL.replace("path TEXT NOT NULL", "path DEFAULT (randomblob(9))")
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
    yield Forgery("a lone surrogate", "flat", _sql("UPDATE items SET path = CAST(x'eda080' AS TEXT)"))
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
            change = _patched("items.sqlite", at, number.to_bytes(4, "big"))
            yield Forgery(f"SQLite's header at {at} is {number:x}", "flat", change)
    for page in range(1, 9):
        for at, data in ((0, b"\x05"), (0, b"\x0d"), (3, b"\xff\xff"), (5, b"\0\1"), (8, b"\0\0\0\1")):
            place = 4096 * page + at
            yield Forgery(f"page {page} at {at}", "flat", _patched("items.sqlite", place, data))
    for size in (0, 1, 99, 100, 4095, 4096, 8192):
        yield Forgery(f"cut at {size}", "flat", _cut("items.sqlite", size), refused=True)
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


def main() -> None:
    """Try all forgeries: ``python -m stress.forged.formats`` from the folder of the tests."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["POKESIM_CACHE"] = str(home / "cache")
        build_bases(home)
        tried = 0
        for forgery in cases(home):
            tried += 1
            if wrong := attempt(home, forgery):
                print(wrong)
        print(f"{tried} forgeries tried")


if __name__ == "__main__":
    main()
