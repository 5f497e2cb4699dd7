"""Forged contents of an index's binary files: each field, each array and each end of a structure.

Every case is tried in a fork of its own (see `runner`); what must hold is that reading the index
gives right ids or one sentence, and never ends the process.
"""

import os
import shutil
import signal
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from stress.forged.contents import COUNT, Forgery, cut, patched, with_file
from stress.forged.databases import sqlite_cases
from stress.forged.runner import in_a_fork
from stress.forged.sealing import current, forge
from support.indexes import index_of

import pokesim
from pokesim.errors import PokesimError
from pokesim.index import open_store
from pokesim.index.metadata.filter_parser import parse_filter
from pokesim.index.vectors import faiss_format

DIMENSION = 16

SEARCHES = {
    "flat": "flat",
    "described": "flat",
    "pca": "pca",
    "ivf": "IVF8,Flat",
    "ivf sparse": "IVF200,Flat",
    "ivf sq": "IVF8,SQ8",
    "ivf pq": "IVF8,PQ4x4",
    "ivf hnsw": "IVF8_HNSW4,Flat",
    "hnsw": "HNSW4",
    "hnsw sq": "HNSW4,SQ8",
    "pq": "PQ4x4",
    "sq": "SQ4",
    "pca ivf": "PCA8,IVF8,Flat",
    "opq": "OPQ4_8,PQ4x4",
    "rr": "RR8,Flat",
    "l2norm": "L2norm,Flat",
    "refine": "IVF8,PQ4x4",  # its file is replaced
}

NUMBERS = (0, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1)


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
        if search not in ("flat", "pca"):
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

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = used + (2 << 30)  # of addresses, with those of the libraries
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
        said = str(error)
    else:
        return True
    assert "\n" not in said, said
    return False


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
            record, alternatives = reader.metadata.record, reader.metadata.alternatives
            condition = parse_filter("number > 7", record.columns, alternatives)
            reader.view(condition)


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
            new = {
                int.from_bytes(tag, "little") for tag in (*faiss_format._KINDS, b"null", b"ilod")
            }
        for number in sorted(new - {old}):
            change = patched(name, at, number.to_bytes(size, "little"))
            yield Forgery(f"field {code} at {at} is {number}", kind, change)
        yield Forgery(f"cut at {at}", kind, cut(name, at), refused=True)
    for at, dtype, count in cursor.arrays:
        width = np.dtype(dtype).itemsize
        ids = dtype in ("<i4", "<i8", "<u8")
        for place in {0, count // 2, count - 1} if count else ():
            for number in (COUNT, 2**31 - 1, 2**31, 256**width - 2, 256**width - 1):
                encoded = (number & (256**width - 1)).to_bytes(width, "little")
                change = patched(name, at + place * width, encoded)
                found = f"{dtype} at {at}, {place} of {count}, is {number}"
                # -1 is the absence of a link, and floats may have any bits.
                bad = ids and not (dtype == "<i4" and number == 256**width - 1)
                yield Forgery(found, kind, change, refused=bad)
        yield Forgery(f"cut in the array at {at}", kind, cut(name, at + width), refused=count > 1)
    yield Forgery("longer", kind, with_file(name, data.tobytes() + b"\0"), refused=True)
    yield Forgery("empty", kind, with_file(name, b""), refused=True)
    yield Forgery("random", kind, with_file(name, np.random.default_rng(1).bytes(len(data))), True)


def _plain_cases(home: Path) -> Iterator[Forgery]:
    for kind, name, head in (("flat", "vectors.faiss", 45), ("pca", "search.faiss", 81)):
        data = (current(home / kind) / name).read_bytes()
        for size in (0, 1, head, len(data) - 4, len(data) - 1, len(data) // 2):
            yield Forgery(f"{name} cut at {size}", kind, cut(name, size), refused=True)
        for at in range(0, head, 4):
            for number in (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
                new = number.to_bytes(4, "little")
                if data[at : at + 4] != new:
                    change = patched(name, at, new)
                    yield Forgery(f"{name} at {at} is {number}", kind, change, at < head - 5)
        for number in (float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e-45):
            filled = struct.pack("<f", number) * ((len(data) - head) // 4)
            yield Forgery(f"{name} full of {number}", kind, patched(name, head, filled))
            some = patched(name, len(data) - 400, struct.pack("<f", number) * 100)
            yield Forgery(f"{name} ends in {number}", kind, some)
        yield Forgery(f"{name} is longer", kind, with_file(name, data + b"\0" * 4), refused=True)


def _npy(text: str, version: bytes = b"\x01\x00", body: bytes = b"") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text.encode() + body


def matrix_cases() -> Iterator[Forgery]:
    name, rows, columns = "rotation.npy", DIMENSION + 3, DIMENSION
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
        yield Forgery(f"{name}: {how}", "pca", with_file(name, data), refused=True)
    huge = np.full((rows, columns), 3e38, "<f4").tobytes()
    yield Forgery(f"{name}: huge", "pca", with_file(name, _npy(good, body=huge)))
    yield Forgery(f"{name}: zeros", "pca", with_file(name, _npy(good, body=bytes(len(body)))))


def main() -> None:
    """Try all forgeries, or one of N: ``cd tests; python -m stress.forged.formats [N]``."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["POKESIM_CACHE"] = str(home / "cache")
        build_bases(home)
        forgeries = list(cases(home))[:: int(sys.argv[1]) if sys.argv[1:] else 1]
        wrong = [found for forgery in forgeries if (found := attempt(home, forgery))]
    for line in wrong:
        print(line)
    print(f"forged contents: {len(forgeries):,} forged files, {len(wrong)} failures")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
