"""Change the content of a file of an index that is being forged."""

from collections.abc import Callable
from dataclasses import dataclass

from stress.forged.sealing import Snapshot

COUNT = 300
"""Number of pictures in the indexes whose files are forged."""


@dataclass(frozen=True)
class Forgery:
    """A changed file.

    Attributes:
        kind: which index, of `formats.SEARCHES`.
        change: changes the snapshot, whose hashes are made right afterwards.
        refused: the index must not be opened; otherwise it may be.
    """

    name: str
    kind: str
    change: Callable[[Snapshot], object]
    refused: bool = False


def patched(name: str, at: int, data: bytes) -> Callable[[Snapshot], object]:
    def change(snapshot: Snapshot) -> None:
        path = snapshot.path / name
        whole = bytearray(path.read_bytes())
        whole[at : at + len(data)] = data
        path.write_bytes(whole)

    return change


def cut(name: str, size: int) -> Callable[[Snapshot], object]:
    def change(snapshot: Snapshot) -> None:
        path = snapshot.path / name
        path.write_bytes(path.read_bytes()[:size])

    return change


def with_file(name: str, data: bytes) -> Callable[[Snapshot], object]:
    return lambda snapshot: (snapshot.path / name).write_bytes(data)
