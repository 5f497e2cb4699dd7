"""System calls that fail while an index is written: one sentence, and nothing is lost.

strace makes the nth call of a kind fail, for each n until a command makes no more such calls.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stress.powercut import command, content, small_index

Say = Callable[[str], object]


@dataclass(frozen=True)
class Fault:
    """Calls that fail.

    Attributes:
        operation: the command, as in `stress.powercut`.
        calls: names of system calls.
        error: how they fail.
        path: only calls on this file of the index folder.
        lasts: whether all later calls fail too.
        until: how many calls are tried at most.
    """

    operation: str
    calls: str
    error: str
    path: str = ""
    lasts: bool = False
    until: int = 1000


_WRITTEN = {
    "rebuild": [
        *(f".building/{name}.faiss" for name in ("vectors", "search")),
        *(f".building/{name}" for name in ("items.sqlite", "manifest.json")),
        *(f".unfinished/{name}" for name in ("vectors.f32", "journal.sqlite")),
        *(f".unfinished/journal.sqlite-{name}" for name in ("wal", "journal")),
    ],
    "tune": [".building/projection.npy", ".building/plain.faiss", ".building/vectors.faiss"],
}

ALL = [
    Fault(operation, calls, error, path, lasts)
    for operation, paths in _WRITTEN.items()
    for path in [*paths, "lock", "lock.holder", "CURRENT", ".building", ".unfinished"]
    for calls, error, lasts in (
        ("write,pwrite64,ftruncate", "ENOSPC", True),
        ("write,pwrite64", "EIO", False),
        ("openat", "EMFILE", False),
        ("openat", "EACCES", True),
    )
]
ALL += [
    Fault(operation, calls, error)
    for operation in ("rebuild", "tune", "remove", "add", "build", "pull")
    for calls, error in (
        ("fsync", "EIO"),
        ("fdatasync", "EIO"),
        ("rename", "EIO"),
        ("rename", "ENOSPC"),
        ("mkdir", "ENOSPC"),
        ("link,linkat", "EPERM"),
    )
]

SHORT = [
    Fault("rebuild", "write,pwrite64", "ENOSPC", ".building/search.faiss", lasts=True, until=1),
    Fault("rebuild", "write,pwrite64", "ENOSPC", ".unfinished/journal.sqlite-wal", True, until=1),
    Fault("rebuild", "pwrite64", "EIO", ".building/items.sqlite", until=1),
    Fault("tune", "write", "ENOSPC", ".building/projection.npy", lasts=True, until=1),
    Fault("remove", "fsync", "EIO", until=2),
    Fault("remove", "rename", "EIO", until=2),
]


def faults(home: Path, some: Sequence[Fault], say: Say) -> None:
    """Let system calls fail, one after the other, in commands that write an index."""
    base = small_index(home)
    failed = survived = 0
    for number, fault in enumerate(some):
        index = home / "faults" / str(number) / "index"
        before, after = None, None
        if fault.operation != "build":
            before = content(base)
        for nth in range(1, fault.until + 1):
            shutil.rmtree(index.parent, ignore_errors=True)
            if before:
                shutil.copytree(base, index)
            done, hit = _run(fault, nth, home, index)
            if not hit:
                break
            what = (fault, nth, done.stderr)
            assert "Traceback" not in done.stderr, what
            if done.returncode == 0:  # something that may fail, such as the name of the holder
                survived += 1
                assert isinstance(content(index), tuple), what
                continue
            failed += 1
            lines = [one for one in done.stderr.splitlines() if one.startswith("pokesim:")]
            assert (done.returncode, len(lines)) == (1, 1), what
            assert "Unexpected" not in done.stderr, what
            now = content(index)
            if now != before:  # it failed after the new index was complete
                after = after or _after(fault, home)
                assert now in (after, ("to repair", after)), what
        if index.exists():
            again = subprocess.run(
                command(fault.operation, home, index), capture_output=True, text=True, check=False
            )
            assert again.returncode == 0 or "no picture with the label" in again.stderr, again
            assert isinstance(content(index), tuple), fault
    say(f"faults: {failed} failed calls, each one sentence and nothing lost; {survived} survived")


def _run(
    fault: Fault, nth: int, home: Path, index: Path
) -> tuple[subprocess.CompletedProcess[str], bool]:
    log = home / "faults.strace"
    when = f"{nth}+" if fault.lasts else str(nth)
    strace = ["strace", "-f", "-o", str(log), "-e", f"trace={fault.calls}", "-e", "signal=none"]
    strace += ["-e", f"inject={fault.calls}:error={fault.error}:when={when}"]
    if fault.path:
        strace += ["-P", str(index / fault.path)]
    done = subprocess.run(
        [*strace, *command(fault.operation, home, index)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done, "(INJECTED)" in log.read_text()


def _after(fault: Fault, home: Path) -> object:
    index = home / "faults" / "after" / "index"
    shutil.rmtree(index.parent, ignore_errors=True)
    if fault.operation != "build":
        shutil.copytree(home / "base", index)
    subprocess.run(command(fault.operation, home, index), capture_output=True, check=True)
    return content(index)
