"""What a power cut can leave of an index: every state that POSIX allows, at every moment.

After Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014): the system calls of a
command are recorded with strace and replayed into a model of a disk, on which only what was flushed
(fsync) is certain. Of anything else, each change of a folder's names and of a file's content may
have reached the disk or not, in any order.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

_CALLS = (
    "open,openat,creat,write,pwrite64,writev,pwritev,lseek,ftruncate,truncate,rename,renameat,"
    "renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,"
    "sync_file_range,close,dup,dup2,dup3,copy_file_range,sendfile,mmap"
)

State = dict[str, bytes | None]
"""The files of a folder, by relative path, with their content; None is a folder."""


@dataclass(eq=False)
class Node:
    """A file or a folder, and all that ever happened to it.

    Attributes:
        names: of a folder: for each name, what it named since when (None: nothing).
        content: of a file: its content since when.
        flushed: when it was flushed; (-1,) for what was there before the recording.
    """

    is_folder: bool
    names: dict[str, list[tuple[int, Node | None]]] = field(default_factory=dict)
    content: list[tuple[int, bytes]] = field(default_factory=list)
    flushed: list[int] = field(default_factory=list)

    def changed(self) -> bool:
        """Return whether it has changed since it was last flushed."""
        since = max(self.flushed, default=-1)
        changes = [*self.names.values(), self.content]
        return any(history and history[-1][0] > since for history in changes)

    def get(self, name: str) -> Node | None:
        return self.names[name][-1][1] if name in self.names else None


@dataclass
class _Open:
    node: Node
    position: int = 0
    appends: bool = False


class Recording:
    """The replay of a command's system calls below a folder.

    Attributes:
        root: the folder, as a node.
        end: the number of system calls that changed or flushed something.
        flushes: when, and the path, of each fsync of something that had changed since the last one.
    """

    def __init__(self, folder: Path, before: State) -> None:
        self.folder = folder
        self.root = _node_of(before)
        self.end = 0
        self.flushes: list[tuple[int, str]] = []
        self._files: dict[int, _Open] = {}

    def replay(self, log: Path) -> None:
        """Replay what strace logged."""
        pending: dict[str, str] = {}
        for line in log.read_text().splitlines():
            process, _, call = line.partition(" ")
            call = call.strip()
            if call.endswith("<unfinished ...>"):
                pending[process] = call.removesuffix("<unfinished ...>")
                continue
            if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", call):
                call = pending.pop(process, "") + resumed[1]
            if found := re.match(r"(\w+)\((.*)\)\s+= (-?\d+|\?|0x\w+)", call):
                name, arguments, result = found.groups()
                if not result.startswith(("-", "?")):
                    self._call(name, _split(arguments), int(result, 0))

    def _call(self, name: str, args: list[str], result: int) -> None:  # noqa: PLR0912, PLR0915
        match name:
            case "open" | "creat" | "openat":
                self._open(*((None, *args) if name != "openat" else args)[:3], result)
            case "close":
                self._files.pop(int(args[0]), None)
            case "dup" | "dup2" | "dup3":
                if int(args[0]) in self._files:
                    self._files[result] = self._files[int(args[0])]
            case "lseek":
                if file := self._files.get(int(args[0])):
                    file.position = result
            case "write" | "writev":
                if file := self._files.get(int(args[0])):
                    at = len(_latest(file.node)) if file.appends else file.position
                    self._write(file.node, at, _bytes(args[1])[:result])
                    file.position = at + result
            case "pwrite64" | "pwritev":
                if file := self._files.get(int(args[0])):
                    self._write(file.node, int(args[-1]), _bytes(args[1])[:result])
            case "sendfile" | "copy_file_range" | "sync_file_range":
                target = args[0] if name == "sendfile" else args[2]
                assert int(target) not in self._files, f"{name} is not modelled"
            case "mmap":
                shared = "MAP_SHARED" in args[3] and "PROT_WRITE" in args[2]
                assert not (shared and int(args[4]) in self._files), "mmap is not modelled"
            case "ftruncate" | "truncate":
                file = self._files.get(int(args[0])) if name == "ftruncate" else None
                node = file.node if file else self._find(None, args[0])[2]
                if node:
                    size = int(args[1])
                    self._set(node, _latest(node)[:size].ljust(size, b"\0"))
            case "fsync" | "fdatasync":
                if file := self._files.get(int(args[0])):
                    if file.node.changed():
                        self.flushes.append((self.end, self._path_of(file.node)))
                    file.node.flushed.append(self._now())
            case "mkdir" | "mkdirat":
                parent, last, _ = self._find(*((None, args[0]) if name == "mkdir" else args[:2]))
                self._name(parent, last, Node(is_folder=True))
            case "rmdir" | "unlink" | "unlinkat":
                at = (None, args[0]) if name != "unlinkat" else args[:2]
                self._name(*self._find(*at)[:2], None)
            case "rename" | "renameat" | "renameat2" | "link" | "linkat":
                short = name in ("rename", "link")
                source = self._find(*((None, args[0]) if short else args[:2]))
                target = self._find(*((None, args[1]) if short else args[2:4]))
                if source[2] or target[0]:
                    assert source[2], "moved in from outside"
                    self._name(*target[:2], source[2])
                    if name.startswith("rename"):
                        self._name(*source[:2], None)
            case _:
                raise AssertionError(f"{name} is not modelled")

    def _open(self, at: str | None, path: str, flags: str, result: int) -> None:
        parent, last, node = self._find(at, path)
        if parent is None and node is None:
            return
        if node is None:
            node = Node(is_folder=False, content=[(self.end, b"")])
            self._name(parent, last, node)
        elif "O_TRUNC" in flags and _latest(node):
            self._set(node, b"")
        self._files[result] = _Open(node, appends="O_APPEND" in flags)

    def _find(self, at: str | None, path: str) -> tuple[Node | None, str, Node | None]:
        """Return the folder of a path, its last part, and what it names; None outside."""
        text = os.fsdecode(_bytes(path))
        node = self.root
        if at not in (None, "AT_FDCWD") and not text.startswith("/"):
            opened = self._files.get(int(at))
            if opened is None:
                return None, "", None
            node, parts = opened.node, [*Path(text).parts]
        else:
            full = Path(os.path.normpath(self.folder / text))
            if not full.is_relative_to(self.folder):
                return None, "", None
            parts = [*full.relative_to(self.folder).parts]
        if not parts:
            return None, "", node
        for part in parts[:-1]:
            found = node.get(part)
            assert found, text
            node = found
        return node, parts[-1], node.get(parts[-1])

    def _path_of(self, node: Node) -> str:
        paths = {id(one): path for path, one in _walk(self.root, lambda names: names[-1][1])}
        return paths.get(id(node), "removed") or "."

    def _now(self) -> int:
        self.end += 1
        return self.end - 1

    def _name(self, parent: Node | None, name: str, node: Node | None) -> None:
        if parent:
            parent.names.setdefault(name, [(-1, None)]).append((self._now(), node))

    def _write(self, node: Node, at: int, data: bytes) -> None:
        old = _latest(node).ljust(at, b"\0")
        self._set(node, old[:at] + data + old[at + len(data) :])

    def _set(self, node: Node, content: bytes) -> None:
        node.content.append((self._now(), content))

    # ------------------------------------------------------------------ states after a power cut

    def states(self, at: int, seeds: int = 3, without: int | None = None) -> Iterator[State]:
        """Yield what may be on the disk if the power fails before the system call ``at``.

        Args:
            at: number of system calls that have happened.
            seeds: number of random states.
            without: leave out the fsync that is the system call of this number.
        """

        def durable(node: Node) -> int:
            return max((t for t in node.flushed if t < at and t != without), default=-1)

        def possible(history: list[tuple[int, object]], since: int) -> list[object]:
            """Return the value that is certain, then the later ones."""
            past = [value for t, value in history if t <= since]
            return past[-1:] + [value for t, value in history if since < t < at]

        loose = {
            (node, name)
            for _, node in _walk(self.root, lambda names: names)
            for name, history in node.names.items()
            if len(possible(history, durable(node))) > 1
        }

        def state(
            names: Callable[[Node, str, list[object]], object],
            content: Callable[[list[object]], object],
        ) -> State:
            found: State = {}

            def visit(node: Node, prefix: str) -> None:
                for name, history in node.names.items():
                    values = possible(history, durable(node))
                    one = names(node, name, values) if len(values) > 1 else values[0]
                    if one is None:
                        continue
                    path = f"{prefix}{name}"
                    if one.is_folder:
                        found[path] = None
                        visit(one, f"{path}/")
                    else:
                        versions = possible(one.content, durable(one)) or [b""]
                        found[path] = content(versions) if len(versions) > 1 else versions[0]

            visit(self.root, "")
            return found

        def first(*values: object) -> object:
            return values[-1][0]

        def last(*values: object) -> object:
            return values[-1][-1]

        def zeros(versions: list[object]) -> object:
            return bytes(len(versions[-1]))

        def empty(versions: list[object]) -> object:
            return b""

        for names in (first, last):
            for content in (first, last, zeros, empty):
                yield state(names, content)
        for one in loose:  # of all names, only this one reached the disk, or only this did not
            for same, other in ((last, first), (first, last)):
                for content in (first, last):
                    yield state(
                        lambda node, name, values, one=one, same=same, other=other: (
                            same if (node, name) == one else other
                        )(values),
                        content,
                    )
        for seed in range(seeds):
            chance = random.Random(f"{at} {seed}")
            yield state(
                lambda node, name, values, chance=chance: chance.choice(values),
                lambda versions, chance=chance: _torn(chance, [*versions, zeros(versions)]),
            )


def record(folder: Path, command: list[str], log: Path) -> Recording:
    """Run a command and record what it does to the files below a folder."""
    recording = Recording(folder, tree(folder))
    strace = ["strace", "-f", "--seccomp-bpf", "-xx", "-s", "100000000", "-e", f"trace={_CALLS}"]
    done = subprocess.run(
        [*strace, "-e", "signal=none", "-o", log, *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    recording.replay(log)
    now = {path: node for path, node in _walk(recording.root, lambda names: names[-1][1]) if path}
    replayed = {path: None if one.is_folder else _latest(one) for path, one in now.items()}
    assert replayed == tree(folder), "the replay differs from what happened"
    return recording


def tree(folder: Path) -> State:
    """Return what is below a folder."""
    found = sorted(folder.rglob("*"))
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in found
    }


def write_tree(state: State, folder: Path) -> None:
    """Write a state into a new folder."""
    folder.mkdir(parents=True)
    for path, content in state.items():
        if content is None:
            (folder / path).mkdir(parents=True, exist_ok=True)
        else:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)


def _node_of(before: State) -> Node:
    root = Node(is_folder=True)
    for path, content in sorted(before.items()):
        *folders, name = path.split("/")
        node = root
        for part in folders:
            node = node.names[part][0][1]
        known = [] if content is None else [(-1, content)]
        node.names[name] = [(-1, Node(content is None, content=known))]
    return root


def _walk(
    node: Node, of: Callable[[list[tuple[int, Node | None]]], object], path: str = ""
) -> Iterator[tuple[str, Node]]:
    yield path, node
    for name, history in node.names.items():
        chosen = of(history)
        for one in [each[1] for each in chosen] if isinstance(chosen, list) else [chosen]:
            if one is not None:
                yield from _walk(one, of, f"{path}/{name}".lstrip("/"))


def _torn(chance: random.Random, versions: list[bytes]) -> bytes:
    """Return a mixture of versions of a file, block by block."""
    blocks = range(0, len(chance.choice(versions)), 512)
    return b"".join(chance.choice(versions)[at : at + 512].ljust(512, b"\0") for at in blocks)


def _latest(node: Node) -> bytes:
    return node.content[-1][1]


def _bytes(text: str) -> bytes:
    """Return the bytes of the strings in an argument, as strace -xx prints them."""
    return b"".join(
        bytes.fromhex(one.replace("\\x", "")) for one in re.findall(r'"((?:\\x..)*)"', text)
    )


def _split(arguments: str) -> list[str]:
    """Split the arguments of a system call; a comma inside brackets does not separate."""
    found, depth, start = [], 0, 0
    for at, letter in zip(count(), arguments, strict=False):
        if letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and not depth:
            found.append(arguments[start:at].strip())
            start = at + 1
    return [*found, arguments[start:].strip()]
