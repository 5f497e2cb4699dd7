"""Power cuts during each command that writes an index: afterwards it is whole, old or new.

Each command is recorded once (`stress.disk_model`). Of every state that a power cut at any of its
system calls can leave, the index is opened, verified and queried.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from stress.disk_model import Recording, State, record, tree, write_tree

import pokesim
from pokesim.build.journal import Journal
from pokesim.errors import IndexFolderError, IndexNotFoundError

Say = Callable[[str], object]

OPERATIONS = ("build", "add", "remove", "tune", "rebuild", "pull")

_COLOURS = ("red", "green", "blue", "gold", "black", "white")

# Downloads an index from a collection in this process, in place of one on a server.
PULL = """
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
import numpy as np
import pokesim
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.milvus.download import download

class FakeCollection:
    def __init__(self, index):
        self.index = pokesim.open_index(index)
        self.manifest = IndexFolder(index).current().manifest
    def in_order(self, fields, size):
        yield [asdict(item) | {"vector": self.index.vectors([item.id])[0], "metadata": {}}
               for item in self.index.items]
    def vectors_of(self, rows, dimension):
        return np.array([row["vector"] for row in rows], np.float32)
    def projection(self): return None
    def check_rows(self, digest): pass
    def check_file(self, name, digest): pass

try:
    download(FakeCollection(Path(sys.argv[1])), Path(sys.argv[2]), lambda done, total: None)
except pokesim.PokesimError as error:
    sys.exit(f"pokesim: {error}")
"""


@dataclass(frozen=True)
class Operation:
    """A recorded command.

    Attributes:
        recording: what it did to its folder.
        after: the state of the folder at its end.
        indexes: paths of the indexes below that folder.
        rows: the vector of each picture, by path, as a journal may hold it.
        made_by: what the journal of such a build is made by.
    """

    recording: Recording
    after: State
    indexes: tuple[str, ...]
    rows: dict[str, bytes]
    made_by: str


def small_index(home: Path) -> Path:
    """Make a few pictures and an index of them, once; return the index."""
    pictures = home / "pictures"
    if not pictures.exists():
        _draw(pictures)
        pokesim.build_index(pictures, home / "base", embedder="compact")
        pokesim.build_index(pictures / "more", home / "other", embedder="compact")
    return home / "base"


def command(name: str, home: Path, index: Path) -> list[str]:
    """Return the command of an operation."""
    own = [sys.executable, "-m", "pokesim"]
    options = ["--index", str(index)]
    build = [*own, "build-index", str(home / "pictures"), *options, "--embedder", "compact"]
    return {
        "build": [*build, "--batch-size", "2"],
        "add": [*own, "add", str(home / "extra.png"), *options],
        "remove": [*own, "remove", "red", *options],
        "tune": [*own, "tune", str(home / "labelled"), *options, "--dims", "3", "--force"],
        "rebuild": [*build, "--batch-size", "2", "--rebuild", "--search", "IVF2,Flat"],
        "pull": [sys.executable, "-c", PULL, str(home / "other"), str(index)],
    }[name]


def operation(name: str, home: Path) -> Operation:
    """Record a command on a small index; ``home`` is a folder for all operations."""
    base = small_index(home)
    folder = home / name
    folder.mkdir()
    index = folder / ("new/parents/index" if name == "build" else "index")
    if name != "build":
        shutil.copytree(base, index)
    recording = record(folder, command(name, home, index), home / f"{name}.strace")
    with pokesim.open_index(index) as opened:
        manifest = opened.manifest
        vectors = opened.vectors(np.arange(len(opened)))
        rows = {item.path: vectors[item.id].tobytes() for item in opened.items}
    made_by = [manifest.images, asdict(manifest.embedder), manifest.runtime, manifest.precision]
    inside = index.relative_to(folder).as_posix()
    indexes = (inside, f"{inside}/labelled") if name == "tune" else (inside,)
    return Operation(recording, tree(folder), indexes, rows, json.dumps(made_by))


def _draw(pictures: Path) -> None:
    (pictures / "more").mkdir(parents=True)
    for at, colour in enumerate(_COLOURS):
        for folder, size in ((pictures, 8), (pictures / "more", 9)):
            Image.new("RGB", (size + at, size), colour).save(folder / f"{colour}.png")
        for number in range(3):
            folder = pictures.parent / "labelled" / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            Image.linear_gradient("L").resize((16 + number, 16 + at)).rotate(90 * number).save(
                folder / f"{colour}.png"
            )
    Image.radial_gradient("L").save(pictures.parent / "extra.png")
    for path in pictures.parent.rglob("*.png"):
        os.utime(path, (1e9, 1e9))


class Verifier:
    """Says what an index in a state is: missing, whole with a content, or broken.

    Attributes:
        checked: the number of different states that were opened, verified and queried.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._known: dict[object, object] = {}
        self.checked = 0

    def __call__(self, state: State, index: str) -> object:
        """Return the content of an index, None if there is none, or the message of its error."""
        relevant = _relevant(state, index)
        key = tuple(sorted(relevant.items()))
        if key not in self._known:
            shutil.rmtree(self._scratch, ignore_errors=True)
            write_tree(relevant, self._scratch)
            self._known[key] = content(self._scratch)
            self.checked += 1
        return self._known[key]


def _relevant(state: State, index: str) -> State:
    """Return what a reader of an index reads: of several snapshots, only the current one."""
    inside = {
        path.removeprefix(f"{index}/"): content
        for path, content in state.items()
        if path.startswith(f"{index}/")
    }
    current = f"snapshots/{(inside.get('CURRENT') or b'').decode('ascii', 'replace').strip()}/"
    if f"{current}manifest.json" not in inside:
        return {path: data for path, data in inside.items() if path.split("/")[0] in _READ}
    return {
        path: data
        for path, data in inside.items()
        if path == "CURRENT" or (path.startswith(current) and data is not None)
    }


_READ = ("CURRENT", "snapshots")


@cache
def _photo() -> bytes:
    from io import BytesIO

    photo = BytesIO()
    Image.new("RGB", (8, 8), "blue").save(photo, "PNG")
    return photo.getvalue()


def content(index: Path) -> object:
    """Verify, open and query an index; return its content, None without one, or its error."""
    if not (index / "CURRENT").exists() and list(index.glob("snapshots/*/manifest.json")):
        # A first build that ended between its last two steps: the message names this remedy.
        with contextlib.suppress(pokesim.PokesimError):
            list(pokesim.repair_index(index))
        return "to repair", content(index) if (index / "CURRENT").exists() else None
    try:
        list(pokesim.check_index(index))
        with pokesim.open_index(index) as opened:
            (match,) = opened.query(_photo(), k=1)
            items = tuple((item.path, item.sha256) for item in opened.items)
            vectors = opened.vectors(np.arange(len(opened)))
            assert np.isfinite(match.distance)
            return items, vectors.shape, vectors.tobytes(), opened.manifest.search
    except IndexNotFoundError:
        return None
    except IndexFolderError as error:
        return str(error)


def broken(made: Operation, verify: Verifier, *, seeds: int, without: int | None = None) -> str:
    """Return the first wrong state that a power cut can leave, or an empty string.

    Args:
        made: the recorded command.
        verify: says what an index is.
        seeds: number of random states at each system call.
        without: the number of an fsync to leave out.
    """
    end = made.recording.end
    for index in made.indexes:
        before = verify(next(made.recording.states(0, 0)), index)
        after = verify(made.after, index)
        start = 0 if without is None else without
        for at in [*range(start, end), end]:
            allowed = [after] if at == end else [before, after]
            if before is None and at < end:
                allowed.append(("to repair", after))
            for state in made.recording.states(at, seeds, without):
                found = verify(state, index)
                if found not in allowed:
                    what = found if isinstance(found, (str, type(None))) else "the old index"
                    return f"{index} after {at} of {end} system calls: {what}"
    return ""


def journals(made: Operation, scratch: Path, *, seeds: int) -> int:
    """Open the journal in every state; each row must be right. Return the number of states."""
    (index,) = made.indexes
    dimension = len(next(iter(made.rows.values()))) // 4
    seen = set()
    for at in range(made.recording.end):
        for state in made.recording.states(at, seeds):
            prefix = f"{index}/.unfinished/"
            files = {
                path.removeprefix(prefix): data
                for path, data in state.items()
                if path.startswith(prefix)
            }
            key = tuple(sorted(files.items()))
            if key in seen:
                continue
            seen.add(key)
            shutil.rmtree(scratch, ignore_errors=True)
            write_tree(files, scratch)
            journal = Journal(scratch, dimension, made.made_by, rebuild=False)
            rows = journal.rows(np.arange(journal.count))
            for item, row in zip(journal.items(range(journal.count)), rows, strict=True):
                assert made.rows[item.path] == row.tobytes(), (at, item.path)
            journal.close()
    return len(seen)


def power_cuts(
    home: Path, say: Say, *, operations: tuple[str, ...] = OPERATIONS, seeds: int
) -> None:
    """Cut the power at every system call of every command, and with each fsync left out."""
    for name in operations:
        made = operation(name, home)
        verify = Verifier(home / "scratch")
        wrong = broken(made, verify, seeds=seeds)
        assert not wrong, f"{name}: {wrong}"
        ours = [one for one in made.recording.flushes if "/.unfinished" not in one[1]]
        unnoticed = [path for at, path in ours if not broken(made, verify, seeds=0, without=at)]
        assert not unnoticed, f"{name}: may be left out: {unnoticed}"
        say(
            f"power cuts: {name}: {made.recording.end} system calls, {verify.checked} different "
            f"states, all whole; all {len(ours)} fsyncs are necessary"
        )
        for _, path in ours:
            say(f"  fsync {path}")
        if name == "build":
            count = journals(made, home / "scratch", seeds=seeds)
            say(f"  {count} different states of the journal, none with a wrong vector")
