"""Try every operation on forged indexes, each index in a process of its own.

The process is a fork of one that has imported everything, so a case costs milliseconds, and a
crash, a hang or too much memory is that case's alone.
"""

import contextlib
import hashlib
import importlib
import io
import logging
import os
import resource
import shutil
import signal
import stat
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

import pokesim
from pokesim.errors import PokesimError
from pokesim.samples import CREATURES, builtin_samples

CPU_SECONDS, SECONDS = 10, 60
"""The longest that an operation may compute, and that it may take, waiting for a busy
machine included."""

MOST_BYTES = 1 << 30
"""The most memory that a process may have used at the end of a case."""

KINDS = {
    "flat": {},
    "described": {},
    "pca": {"search": "pca"},
    "approximate": {"search": "IVF2,Flat"},
    "tuned": {},
}

PICTURES = 12

_IMPORTED = (
    "faiss",
    "ai_edge_litert.interpreter",
    "pokesim.analysis.duplicates",
    "pokesim.analysis.layout",
    "pokesim.analysis.tune",
    "pokesim.build.edit",
    "pokesim.cli",
    "pokesim.maintenance.check",
    "pokesim.maintenance.repair",
    "pokesim.show.map",
    "pokesim.show.records",
    "pokesim.web.service",
)
"""What the operations need, imported once."""


@dataclass(frozen=True)
class World:
    """A folder with intact indexes, pictures, and a stranger's possible victims.

    Attributes:
        home: the folder.
        watched: what is outside the forged index, none of which may change.
    """

    home: Path

    @property
    def index(self) -> Path:
        """Where a forged index is put, alone in its folder."""
        return self.home / "work" / "index"

    @property
    def outside(self) -> Path:
        return self.home / "outside"

    def base(self, kind: str) -> Path:
        return self.home / "bases" / kind

    def watched(self) -> dict[str, tuple[int, int, bytes]]:
        """Return the mode, the time and the hash of each file outside the index."""
        seen = {}
        for folder, folders, files in os.walk(self.home):
            path = Path(folder)
            if path == self.index.parent:
                folders[:] = [name for name in folders if name != self.index.name]
            for name in (*folders, *files):
                found = (path / name).lstat()
                seen[str(path / name)] = (found.st_mode, found.st_mtime_ns, _hash(path / name))
        for changing in (self.home, self.index.parent, self.home / "map.html"):
            seen.pop(str(changing), None)
        return seen


def _hash(path: Path) -> bytes:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return bytes(path.readlink())
    return hashlib.sha256(path.read_bytes()).digest() if stat.S_ISREG(mode) else b""


@dataclass(frozen=True)
class Case:
    """A forgery: which index, and how it is changed."""

    name: str
    kind: str
    change: Callable[[World], object]


def make_world(home: Path) -> World:
    """Build the intact indexes, in another process: FAISS's threads do not survive a fork."""
    world = World(home.resolve())
    (world.home / "cache").mkdir()
    os.environ["POKESIM_CACHE"] = str(world.home / "cache")
    failure = in_a_fork(lambda: _build(world), seconds=120)
    assert not failure, failure
    for module in _IMPORTED:
        importlib.import_module(module)
    return world


def _build(world: World) -> None:
    samples = builtin_samples()
    pictures, labelled = world.home / "pictures", world.home / "labelled"
    pictures.mkdir()
    labelled.mkdir()
    for name in CREATURES[:PICTURES]:
        shutil.copy(samples.images / f"{name}.webp", pictures)
        with Image.open(samples.images / f"{name}.webp") as picture:
            picture.convert("RGB").rotate(7).save(labelled / f"{name}.png")
    table = world.home / "table.csv"
    rows = (f"{name},{number},{'ab'[number % 2]}" for number, name in enumerate(CREATURES))
    table.write_text("\n".join(("name,number,type", *rows)))
    for kind, options in KINDS.items():
        given = {"metadata": table} if kind == "described" else options
        pokesim.build_index(pictures, world.base(kind), embedder="compact", **given)
    pokesim.tune_index(labelled, world.base("tuned"), dims=8, force=True)
    for kind in KINDS:
        for snapshot in (world.base(kind) / "snapshots").iterdir():
            if snapshot.name != (world.base(kind) / "CURRENT").read_text().strip():
                shutil.rmtree(snapshot)
    outside = world.outside
    outside.mkdir()
    (outside / "victim").write_text("what the user would miss\n")
    shutil.copy(table, outside / "victim.csv")
    shutil.copytree(pictures, outside / "pictures")
    shutil.copytree(world.base("flat"), outside / "index")
    os.mkfifo(outside / "pipe")
    (outside / "pipes").mkdir()
    for name in CREATURES[:PICTURES]:
        os.mkfifo(outside / "pipes" / f"{name}.webp")
    (world.home / "work").mkdir()


def operations(world: World) -> dict[str, Callable[[], object]]:
    """Return what a user may do with an index that was received."""
    home, index = world.home, world.index
    photo = home / "labelled" / f"{CREATURES[0]}.png"

    def command(*args: str | Path) -> Callable[[], object]:
        return lambda: _command([*map(str, args), "--index", str(index)])

    return {
        "query": command("query", photo, "-k", "3", "--format", "json"),
        "info": command("info"),
        "check": command("check"),
        "repair": command("check", "--repair"),
        "add": command("add", photo),
        "remove": command("remove", CREATURES[1]),
        "build": command("build-index", home / "pictures", "--embedder", "compact"),
        "tune": command("tune", home / "labelled", "--force", "--dims", "4"),
        "duplicates": command("duplicates"),
        "map": command("map", "--save", home / "map.html", "--method", "pca"),
        "serve": lambda: _opened_to_serve(index),
    }


def _command(args: list[str]) -> None:
    from pokesim.cli import app

    logging.getLogger("pokesim").handlers.clear()
    code: object = 0
    try:
        app(args, prog_name="pokesim")
    except SystemExit as ended:
        code = ended.code
    assert code in (None, 0, 1, 2), f"exit code {code}"


def _opened_to_serve(index: Path) -> None:
    from pokesim.web.service import SearchService

    try:
        with pokesim.open_index(index) as opened:
            SearchService(opened).warm()
            for item in opened.items:
                opened.path_of(item)
    except PokesimError as error:
        print(f"pokesim: {error}", file=sys.stderr)


def attempt(world: World, case: Case, names: Iterable[str] | None = None) -> list[str]:
    """Try operations on a forged index; return what went wrong, a line each."""
    before = world.watched()
    note = world.home.with_name(f"{world.home.name}.note")

    def all_of_it() -> None:
        for name, operation in operations(world).items():
            if names is None or name in names:
                note.write_text(name)
                _prepare(world, case)
                signal.alarm(SECONDS)
                signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
                _judged(operation)
                signal.alarm(0)
                signal.setitimer(signal.ITIMER_PROF, 0)
        _clear(world)

    failure = in_a_fork(all_of_it, seconds=None)
    wrong = [f"{case.name}, {note.read_text()}: {failure}"] if failure else []
    after = world.watched()
    wrong += [
        f"{case.name} changed {path}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]
    return wrong


def _prepare(world: World, case: Case) -> None:
    _clear(world)
    shutil.copytree(world.base(case.kind), world.index)
    case.change(world)


def _clear(world: World) -> None:
    with contextlib.suppress(FileNotFoundError):
        if world.index.is_symlink():
            world.index.unlink()
        shutil.rmtree(world.index)


def _judged(operation: Callable[[], object]) -> None:
    out, err = io.StringIO(), io.StringIO()
    out.reconfigure = err.reconfigure = lambda **_: None  # the command line sets it
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        operation()
    said = err.getvalue()
    for word in ("Traceback", "Unexpected"):
        assert word not in said, said
    errors = [line for line in said.splitlines() if line.startswith("pokesim: ")]
    assert len(errors) <= 1, said
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert used < MOST_BYTES, f"{used / 1e6:.0f} MB of memory"


def in_a_fork(work: Callable[[], object], seconds: int | None) -> str:
    """Do something in a fork of this process; return how it failed, or an empty string."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.close(reading)
            for timer in (signal.SIGALRM, signal.SIGPROF):
                signal.signal(timer, signal.SIG_DFL)
            signal.alarm(seconds or 0)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what C libraries say
            work()
            code = 0
        except BaseException:
            os.write(writing, traceback.format_exc()[-3000:].encode(errors="replace"))
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        failure = said.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        ends = {signal.SIGALRM: "waits without end", signal.SIGPROF: "computes too long"}
        return ends.get(number, f"ended by signal {number}")
    return failure or ("" if not status else f"ended with {status}")


def failures(world: World, cases: Iterable[Case]) -> Iterator[str]:
    for case in cases:
        yield from attempt(world, case)
