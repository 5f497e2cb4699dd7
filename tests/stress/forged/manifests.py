"""Forged manifests: wrong types, absurd values, paths that lead elsewhere, text that is no JSON."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from stress.forged.runner import Case, World
from stress.forged.sealing import Snapshot, forge

Path = tuple[str | int, ...]

MISSING = object()

ANY = (None, True, -1, 0, 1.5, math.nan, math.inf, 10**30, "", "x", "\0", "\ud800", "x" * 100_000)
"""Wrong for nearly every field; where one is right, the index must simply work."""

CONTAINERS = ([], {}, [[]], {"x": 1}, [None], MISSING)

FIELDS: dict[Path, tuple[Any, ...]] = {
    ("images",): (
        "../../outside/pictures",
        "relative",
        "/dev",
        "/dev/zero",
        "/dev/fd/0",
        "/proc/self/fd",
        "/proc/kmsg",
        "/nowhere/" + "y" * 300,
        "/" + "d/" * 2100,
        "/a\nb",
        "/\x1b]0;title\x07",
        "C:\\pictures",
        "//server/share",
    ),
    ("embedder",): (),
    ("embedder", "name"): ("../../../other/evil", "no-such", "auto", "general", "resnet50"),
    ("embedder", "weights_sha256"): ("0" * 64, "../" * 22, "F" * 64, "0" * 63, "0" * 65),
    ("embedder", "export_version"): (2, 10**9, "1", 2**63, 1.0),
    ("embedder", "side"): (1, 127, 224, 10_000, 10**9, 2**63, "128", 128.0),
    ("embedder", "reading"): ("another way",),
    ("embedder", "normalized"): (False, 1, "true"),
    ("dimension",): (1, 255, 257, 65_536, 2**31, 2**62, "256", 256.0),
    ("count",): (1, 11, 13, 2**31, 2**40, 2**63, "12", 12.0),
    ("skipped",): (
        [{"path": "a.png", "reason": "r"}] * 20_000,
        [{"path": 1, "reason": "r"}],
        [{"path": "a.png"}],
        [{"path": "a.png", "reason": None}],
        [{"path": "a.png", "reason": "r", "more": 1}],
        [{"path": "../" * 2000, "reason": "r"}],
        [{"path": "a\udcff.png", "reason": "\x1b[2J"}],
        [{"path": "a\ud800.png", "reason": "r"}],
        [["a.png", "r"]],
        {"path": "a.png", "reason": "r"},
        [[[[[[]]]]]],
        "path",
    ),
    ("created",): ("yesterday", "2026", "9999-99-99T00:00:00+00:00", "2026-01-01T00:00:00\x1b[2J"),
    ("metric",): ("IP", "l2", "L1"),
    ("tuning",): (
        {"labels": 1, "pictures": 1, "held_out": 0, "before": [0, 0], "after": [0, 0]},
        {"labels": 1},
    ),
    ("search",): ({"asked": "flat"}, {"used": "flat"}, "flat"),
    ("search", "asked"): (
        "IVF2,Flat",
        "HNSW1000000000",
        "IVF999999999,Flat",
        "Pad1000000000,Flat",
        "PCA99999999,Flat",
        "RR1000000000,Flat",
        "IVF2,Flat nprobe=99999999999999999999",
        "IVF2,Flat\nnprobe=1",
        "((((((((((Flat))))))))))",
        "(" * 5_000,
        "," * 200,
        "PQ0",
        "PQ-1",
        "IVF0,Flat",
        "HNSW0",
        "SQ8,SQ8",
        "é",
        "IVF2(IVF2(IVF2,Flat),Flat),Flat",
        "../../outside/victim",
    ),
    ("search", "used"): ("pca", "flat, by Milvus", "IVF2,Flat", "HNSW32", "auto"),
    ("search", "recall"): (2, -0.1, "1", 1e308),
    ("metadata",): ({"source": "/dev/zero"}, {"columns": {}}),
    ("runtime",): ("keras", "openvino", "tensorrt", "LITERT"),
    ("precision",): ("bfloat16", "float64", "int8"),
    ("files",): ([["items.sqlite", 1]], "items.sqlite"),
    ("pokesim",): ("0.0.1\x1b[2J", "9" * 60),
    ("format",): (2, 0, -5, 1.0, "1", 10**9, [1], {"a": 1}),
    ("surprise",): (1,),
    ("embedder", "surprise"): (1,),
    ("search", "surprise"): (1,),
}

DESCRIBED: dict[Path, tuple[Any, ...]] = {
    ("metadata", "source"): (
        "../table.csv",
        "/dev/zero",
        "/dev/stdin",
        "/proc/kcore",
        "/proc/self/mem",
        "/proc/self/environ",
        "/etc/passwd",
        "/",
    ),
    ("metadata", "sha256"): ("0" * 64, "xyz"),
    ("metadata", "key"): ("number", 'name" FROM sqlite_schema --', "no such column"),
    ("metadata", "columns"): (
        {"name": 1},
        {"": True},
        {"name": False, "Name": False},
        {"name": False, "no": True},
        {f"column {number}": False for number in range(501)},
        {'name") FROM described --': False, "name": False},
        {"name": False, "n" * 100_000: False},
        {"na\0me": False, "name": False},
        {"name": False, "\ud800": False},
        {" row": True, "name": False},
        ["name"],
    ),
    ("metadata", "described"): (13, 2**40),
    ("metadata", "unmatched"): (2**70,),
    ("metadata", "surprise"): (1,),
}

TUNED: dict[Path, tuple[Any, ...]] = {
    ("tuning", "labels"): (2**70,),
    ("tuning", "pictures"): (2**70,),
    ("tuning", "held_out"): (2**70,),
    ("tuning", "before"): ([0], [0, 0, 0], [0, "0"], [math.nan, 0], [-1, 0], [101, 0], [True, 0]),
    ("tuning", "after"): ([0], [1e308, 0], {"0": 0}),
    ("tuning", "surprise"): (1,),
    ("tuning",): (None,),
}

ENTRY: dict[Path, tuple[Any, ...]] = {
    ("files", name): ([12288, "0" * 64], "x")
    for name in ("items.sqlite", "vectors.faiss", "plain.faiss", "projection.npy")
} | {
    ("files", "vectors.faiss", "bytes"): (12_332, 2**62, 2**70, "12333", 12333.0),
    ("files", "vectors.faiss", "sha256"): ("0" * 64, "0" * 63, "G" * 64, "\n" * 64),
    ("files", "vectors.faiss", "surprise"): (1,),
}

NAMES = (
    "../../../../outside/victim",
    "../../../../outside/index/CURRENT",
    "../../../../outside/pipe",
    "../../CURRENT",
    "../../lock",
    "../",
    "..",
    ".",
    "",
    "/dev/zero",
    "/dev/null",
    "/etc/passwd",
    "manifest.json",
    "search.faiss",
    "rotation.npy",
    "plain.faiss",
    "projection.npy",
    "more.txt",
    "vectors.faiss/",
    "./vectors.faiss",
    "VECTORS.FAISS",
    "a\0b",
    "\ud800",
    "n" * 300,
    "C:\\victim",
    "\\\\server\\share",
)
"""Names of one more file; `check --repair` of an unwary pokesim would write to the first."""

TEXTS: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "number": b"1",
    "string": b'"manifest"',
    "true": b"true",
    "empty object": b"{}",
    "NaN": b"NaN",
    "open": b"{",
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "deep and closed": b"[" * 50_000 + b"]" * 50_000,
    "deep in a field": b'{"skipped":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "long number": b'{"format":1,"count":' + b"9" * 5000 + b"}",
    "long exponent": b'{"format":1,"count":1e999999}',
    "huge number": b'{"format":' + b"1" * 100_000 + b"}",
    "not UTF-8": b'{"images": "\xff\xfe"}',
    "UTF-16": '{"format": 1}'.encode("utf-16"),
    "UTF-32": '{"format": 1}'.encode("utf-32"),
    "BOM": b"\xef\xbb\xbf{}",
    "NULs": b"\0" * 1000,
    "many lists": b"[" + b"[]," * 5_000_000 + b"[]]",
    "many objects": b"[" + b"{}," * 5_000_000 + b"{}]",
    "many strings": b"[" + b'"ab",' * 3_000_000 + b'""]',
    "too large": b'{"format": 1, "images": "' + b"x" * 70_000_000 + b'"}',
    "spaces": b" " * 40_000_000,
    "git lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "zip": b"PK\x03\x04" + bytes(200),
    "pickle": b"\x80\x04\x95cos\nsystem\n(S'touch victim'\ntR.",
}


def put(manifest: Any, path: Path, value: Any) -> None:
    """Put a value into a manifest, or remove the field that is there."""
    *folders, last = path
    for name in folders:
        manifest = manifest[name]
    if value is MISSING:
        del manifest[last]
    else:
        manifest[last] = value


def field_cases() -> Iterator[Case]:
    """Yield a case for each field and wrong value."""
    tables = (("flat", FIELDS), ("described", DESCRIBED), ("tuned", TUNED), ("tuned", ENTRY))
    for kind, table in tables:
        for path, values in table.items():
            general = () if path[-1] == "surprise" else (*ANY, *CONTAINERS)
            for number, value in enumerate((*general, *values)):
                name = f"{'.'.join(map(str, path))} #{number} {_shown(value)}"
                yield changed(name, kind, partial(_put, path, value))


def _put(path: Path, value: Any, snapshot: Snapshot) -> None:
    put(snapshot.manifest, path, value)


def changed(name: str, kind: str, change: Callable[[Snapshot], object]) -> Case:
    def make(world: World) -> None:
        forge(world.index, change)

    return Case(name, kind, make)


def _shown(value: Any) -> str:
    return "missing" if value is MISSING else repr(value)[:40]


def name_cases() -> Iterator[Case]:
    """Yield a case for each name of one more file, and for one that takes a right one's place."""
    for kind in ("flat", "tuned", "pca"):
        for name in NAMES:
            entry = {"bytes": 12_333, "sha256": "0" * 64}
            yield changed(f"file {_shown(name)}", kind, partial(_put, ("files", name), entry))
    for name in NAMES:
        yield changed(f"renamed to {_shown(name)}", "flat", partial(_renamed, name))


def _renamed(name: str, snapshot: Snapshot) -> None:
    """Let another file have the entry of the vectors, size and hash of a victim."""
    files = snapshot.manifest["files"]
    files[name] = files.pop("vectors.faiss")


def victim_cases() -> Iterator[Case]:
    """Yield cases that describe files outside rightly, as the stranger may know them."""
    for kind in ("approximate", "pca"):
        yield changed("a load for the victim", kind, _loaded)
    for name in ("victim", "victim.csv", "index/CURRENT", "pipe"):
        for kind in ("flat", "tuned"):
            yield changed(f"right about {name}", kind, partial(_right_about, name))


def _loaded(snapshot: Snapshot) -> None:
    """Name a file that, taken over into a new snapshot by its name, would land outside."""
    load = b"what the stranger wants there"
    (snapshot.index / "victim").write_bytes(load)
    sha256 = hashlib.sha256(load).hexdigest()
    snapshot.manifest["files"]["../../victim"] = {"bytes": len(load), "sha256": sha256}
    snapshot.manifest["files"]["search.faiss"]["sha256"] = "0" * 64


def _right_about(name: str, snapshot: Snapshot) -> None:
    path = snapshot.index.parents[1] / "outside" / name
    data = path.read_bytes() if path.is_file() else b""
    snapshot.manifest["files"][f"../../../../outside/{name}"] = {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def outside_cases() -> Iterator[Case]:
    """Yield cases whose pictures or table are paths outside, as other fields may be damaged."""
    places = ("outside/pictures", "outside/pipes", "outside", "outside/pipe", "outside/victim", "")
    for place in (*places, "work/index", "work/index/snapshots"):
        for broken in (False, True):
            name = f"images {place or 'home'}{', broken' * broken}"
            yield changed(name, "described", partial(_outside, ("images",), place, broken))
    for place in ("outside/victim.csv", "outside/victim", "outside/pipe", "outside"):
        for broken in (False, True):
            name = f"table {place}{', broken' * broken}"
            where = ("metadata", "source")
            yield changed(name, "described", partial(_outside, where, place, broken))


def _outside(path: Path, place: str, broken: bool, snapshot: Snapshot) -> None:
    put(snapshot.manifest, path, str(snapshot.index.parents[1] / place))
    if broken:
        put(snapshot.manifest, ("files", "vectors.faiss", "sha256"), "0" * 64)
    put(snapshot.manifest, ("metadata", "sha256"), "0" * 64)


def text_cases() -> Iterator[Case]:
    """Yield manifests whose text is wrong."""
    for name, text in TEXTS.items():
        yield changed(f"text {name}", "flat", partial(_text, lambda right, text=text: text))
    changes: dict[str, Callable[[bytes], bytes]] = {
        "a field twice": lambda right: right.replace(b"{", b'{"count": 3,', 1),
        "a field twice inside": lambda right: right.replace(b'"name":', b'"name": "x", "name":', 1),
        "a file twice": lambda right: right.replace(
            b'"items.sqlite":', b'"items.sqlite": {"bytes": 1, "sha256": "0"}, "items.sqlite":'
        ),
        "count of 5,000 digits": lambda right: right.replace(
            b'"count": 12', b'"count": ' + b"1" * 5000
        ),
        "bytes of 5,000 digits": lambda right: right.replace(
            b'"bytes": ', b'"bytes": ' + b"1" * 5000, 1
        ),
        "infinity": lambda right: right.replace(b'"recall": null', b'"recall": 1e999'),
        "not a number": lambda right: right.replace(b'"recall": null', b'"recall": NaN'),
        "cut": lambda right: right[:-20],
        "more after the end": lambda right: right + b"{}",
        "a comment": lambda right: b"// pokesim\n" + right,
        "no spaces": lambda right: json.dumps(json.loads(right), separators=(",", ":")).encode(),
        "UTF-16": lambda right: right.decode().encode("utf-16"),
        "invalid UTF-8": lambda right: right.replace(b'"L2"', b'"L\xff"'),
        "BOM": lambda right: b"\xef\xbb\xbf" + right,
        "a million spaces": lambda right: right + b" " * 1_000_000,
        "deep field": lambda right: right.replace(b'"L2"', b"[" * 9000 + b"]" * 9000),
    }
    for name, change in changes.items():
        yield changed(f"text with {name}", "flat", partial(_text, change))


def _text(change: Callable[[bytes], bytes], snapshot: Snapshot) -> None:
    snapshot.text = change(json.dumps(snapshot.manifest, indent=1).encode() + b"\n")


def manifest_cases() -> Iterator[Case]:
    """Yield all forged manifests."""
    yield from field_cases()
    yield from name_cases()
    yield from victim_cases()
    yield from outside_cases()
    yield from text_cases()
