"""Forged folders: links, pipes, folders and devices in place of files, and a wrong CURRENT."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from stress.forged.manifests import changed
from stress.forged.runner import Case, World
from stress.forged.sealing import Snapshot, current, forge

Replace = Callable[[Path, World], object]


def link_to(place: str, path: Path, world: World) -> None:
    path.symlink_to(world.home / place if place[:1] != "/" else place)


REPLACEMENTS: dict[str, Replace] = {
    "link to a file": partial(link_to, "outside/victim"),
    "link to a pipe": partial(link_to, "outside/pipe"),
    "link to a folder": partial(link_to, "outside/index"),
    "link to /dev/zero": partial(link_to, "/dev/zero"),
    "link to nothing": partial(link_to, "outside/new"),
    "link to itself": lambda path, world: path.symlink_to(path.name),
    "pipe": lambda path, world: os.mkfifo(path),
    "folder": lambda path, world: path.mkdir(),
    "folder with a file": lambda path, world: (path.mkdir(), (path / "x").write_text("x")),
    "nothing": lambda path, world: None,
    "empty file": lambda path, world: path.write_bytes(b""),
    "device": lambda path, world: _device(path),
}

TOP = (
    "CURRENT",
    "lock",
    "lock.holder",
    "snapshots",
    "labelled",
    ".building",
    ".unfinished",
    ".unfinished-edit",
)

INNER = (
    ".unfinished/vectors.f32",
    ".unfinished/journal.sqlite",
    ".unfinished/journal.sqlite-wal",
    ".unfinished-edit/vectors.f32",
    ".unfinished-edit/journal.sqlite",
    ".building/vectors.faiss",
    "labelled/CURRENT",
    "labelled/lock.holder",
    "labelled/snapshots",
    "labelled/.unfinished",
)

FILES = {
    "flat": ("manifest.json", "items.sqlite", "vectors.faiss", "items.sqlite-wal"),
    "tuned": ("plain.faiss", "projection.npy"),
    "pca": ("search.faiss", "rotation.npy"),
    "approximate": ("search.faiss",),
}

POINTERS = (
    b"",
    b"\n",
    b"\0",
    b".",
    b"..",
    b"../../outside/index",
    b"/dev",
    b"\xff\xfe",
    b"gone",
    b"20260101T000000.000000Z-0123456789abcdef",
    b"20260101T000000.000000Z-0123456789abcdef/../..",
    b"20260101T000000.000000Z-0123456789abcdef\0",
    b"x" * 300,
    b"x" * 5_000_000,
    b"\n" * 5_000_000,
    "２０260101T000000.000000Z-0123456789abcdef".encode(),
)


def replaced(name: str, kind: str, where: Callable[[Path], Path], how: Replace) -> Case:
    def make(world: World) -> None:
        path = where(world.index)
        path.parent.mkdir(exist_ok=True)
        remove(path)
        how(path, world)

    return Case(name, kind, make)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _device(path: Path) -> None:
    """Make a device that never ends; only root may."""
    if os.geteuid() == 0:
        os.mknod(path, 0o20666, os.makedev(1, 5))


def entry_cases() -> Iterator[Case]:
    """Yield cases in which something else is in the place of an entry of the folder."""
    for how, replace in REPLACEMENTS.items():
        for name in (*TOP, *INNER):
            yield replaced(
                f"{name}: {how}", "tuned", lambda index, name=name: index / name, replace
            )
        for kind, names in FILES.items():
            for name in names:
                yield replaced(
                    f"{name}: {how}", kind, lambda index, name=name: current(index) / name, replace
                )


def moved_cases() -> Iterator[Case]:
    """Yield cases in which the real thing is outside, and a link to it in its place."""
    for name in (
        "CURRENT",
        "snapshots",
        "snapshots/*",
        *(f"snapshots/*/{one}" for one in FILES["flat"]),
    ):
        yield Case(f"moved {name}", "flat", partial(_moved, name))


def _moved(name: str, world: World) -> None:
    """Let a link lead to the same file of another index."""
    for path in list(world.index.glob(name)):
        remove(path)
        path.symlink_to(world.base("flat") / path.relative_to(world.index))


def pointer_cases() -> Iterator[Case]:
    """Yield indexes with a wrong CURRENT."""
    for number, text in enumerate(POINTERS):
        yield replaced(
            f"CURRENT #{number} {text[:30]!r}",
            "flat",
            lambda index: index / "CURRENT",
            lambda path, world, text=text: path.write_bytes(text),
        )


def snapshot_cases() -> Iterator[Case]:
    """Yield indexes whose snapshots have odd names or odd neighbours."""
    for name in ("x", "..x", "2026-0123456789abcdef", "20260101T000000.000000Z-" + "0" * 16):
        yield changed(f"snapshot called {name}", "flat", partial(_called, name))
    yield changed("snapshot called by another hash", "flat", partial(_called, "x-" + "f" * 16))
    neighbours: dict[str, Callable[[Path, World], object]] = {
        "files": lambda folder, world: [(folder / f"{n}").write_text("x") for n in range(2000)],
        "links": lambda folder, world: [
            (folder / _named(n)).symlink_to(world.outside / "index") for n in range(2000)
        ],
        "empty snapshots": lambda folder, world: [
            (folder / _named(n)).mkdir() for n in range(2000)
        ],
        "pipes": lambda folder, world: [_with_pipe(folder / _named(n)) for n in range(20)],
        "links in snapshots": lambda folder, world: [
            _with_link(folder / _named(n), world) for n in range(20)
        ],
        "odd names": lambda folder, world: [
            (folder / name).mkdir() for name in ("a\nb", "\x1b[2J", "..x", " ", "é", "x" * 250)
        ],
        "name that is not UTF-8": lambda folder, world: (folder / "\udcff").mkdir(),
        "a loop": lambda folder, world: (folder / _named(1)).symlink_to(folder),
        "large manifests": lambda folder, world: [_with_manifest(folder, n) for n in range(12)],
    }
    for how, add in neighbours.items():
        for broken in (False, True):
            yield Case(
                f"{how} beside the snapshot{', broken' * broken}",
                "flat",
                partial(_beside, add, broken),
            )


def _called(name: str, snapshot: Snapshot) -> None:
    snapshot.name = name


def _named(number: int) -> str:
    return f"20990101T000000.{number:06}Z-0123456789abcdef"


def _with_pipe(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "manifest.json")


def _with_link(folder: Path, world: World) -> None:
    folder.mkdir()
    (folder / "manifest.json").symlink_to(world.outside / "pipe")
    (folder / "victims").symlink_to(world.outside)


def _with_manifest(folder: Path, number: int) -> None:
    text = b'{"format": 1, "skipped": [' + b'"a",' * 2_000_000 + b"%d]}" % number
    name = f"20990101T000000.{number:06}Z-{hashlib.sha256(text).hexdigest()[:16]}"
    (folder / name).mkdir()
    (folder / name / "manifest.json").write_bytes(text)


def _beside(add: Callable[[Path, World], object], broken: bool, world: World) -> None:
    if broken:
        forge(world.index, lambda one: one.manifest["files"]["vectors.faiss"].update(bytes=1))
    add(world.index / "snapshots", world)


def folder_cases() -> Iterator[Case]:
    """Yield all forged folders."""
    yield from entry_cases()
    yield from moved_cases()
    yield from pointer_cases()
    yield from snapshot_cases()
