"""Change an index and seal it again: sizes, hashes, the snapshot's name and CURRENT are right."""

import hashlib
import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]


@dataclass
class Snapshot:
    """The current snapshot of an index that is being forged.

    Attributes:
        index: the index.
        path: the snapshot's folder.
        manifest: its manifest, to be changed.
        text: in place of the manifest's JSON, if it is not None.
        name: in place of the snapshot's right name, if it is not empty.
    """

    index: Path
    path: Path
    manifest: Manifest
    text: bytes | None = None
    name: str = ""


def current(index: Path) -> Path:
    return index / "snapshots" / (index / "CURRENT").read_text().strip()


def forge(index: Path, change: Callable[[Snapshot], object]) -> None:
    """Change the current snapshot, then make right whatever the change has made wrong.

    The entries in the manifest that the change has not touched get the size and hash of their
    files.
    """
    path = current(index)
    snapshot = Snapshot(index, path, json.loads((path / "manifest.json").read_text()))
    before = {name: dict(entry) for name, entry in snapshot.manifest["files"].items()}
    change(snapshot)
    if isinstance(snapshot.manifest.get("files"), dict):
        for name, entry in snapshot.manifest["files"].items():
            if entry == before.get(name) and is_file(path / name):
                data = (path / name).read_bytes()
                entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    text = snapshot.text
    if text is None:
        text = json.dumps(snapshot.manifest, indent=1).encode() + b"\n"
    if is_file(path / "manifest.json"):
        (path / "manifest.json").write_bytes(text)
    right = f"20260101T000000.000000Z-{hashlib.sha256(text).hexdigest()[:16]}"
    named = path.rename(path.with_name(snapshot.name or right))
    (index / "CURRENT").write_text(f"{named.name}\n")


def is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
