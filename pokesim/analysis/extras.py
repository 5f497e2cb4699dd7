"""Move the pictures of a group that are not kept out of the way, and back.

Nothing is deleted: a picture goes to a folder or to the system's trash. It goes only if it and the
picture that is kept have the bytes that were indexed, and are not one file by two names.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pokesim.analysis.duplicates import Duplicate
from pokesim.arguments import file_path, iterable, truth
from pokesim.build.edit import add_pictures, remove_pictures
from pokesim.errors import PokesimError, UsageError
from pokesim.files import atomic_write, make_folder, open_regular, sha256_of
from pokesim.index import DEFAULT_INDEX, open_store

_MAX_BYTES = 1 << 30  # of a file that undoes moves


@dataclass(slots=True)
class Moves:
    """What was moved, or would be.

    Attributes:
        moved: from where to where; the target is None for the trash.
        skipped: what was not moved, and why.
        undo: the file that `undo_moves` takes, if there is one.
    """

    moved: list[tuple[Path, Path | None]] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    undo: Path | None = None


def move_extras(
    groups: Sequence[Sequence[Duplicate]],
    index: str | Path = DEFAULT_INDEX,
    *,
    folder: str | Path | None,
    dry_run: bool = True,
) -> Moves:
    """Move all pictures of each group but the first, and remove them from the index.

    A picture is skipped if it, or the first of its group, has changed since it was indexed.

    Args:
        groups: as `find_duplicates` returns them.
        index: the index that they are from.
        folder: where the pictures are moved, under their paths in the picture folder; None is the
            system's trash. A file there records the moves; see `undo_moves`.
        dry_run: only find out what would be moved.

    Raises:
        UsageError: the folder is inside the picture folder, where the next build would find it.
        PokesimError: the folder or the index cannot be written; what was moved is recorded.
    """
    groups = _checked(groups)
    truth("dry_run", dry_run)
    target = None if folder is None else file_path("The folder", folder).resolve()
    root = Path(open_store(index).snapshot().manifest.images)
    if target and target.is_relative_to(root.resolve()):
        raise UsageError(
            f"{folder} is inside the picture folder {root}, where the next build would find the "
            "pictures again; name a folder outside it."
        )
    moves = Moves()
    taken: set[Path] = set()
    for group in groups:
        problem = _problem(group[0])
        for extra in group[1:]:
            reason = _reason(extra, group[0], problem)
            if reason:
                moves.skipped.append((extra.path, reason))
                continue
            to = target and _free(target / _place(root, extra.path), taken)
            moves.moved.append((extra.path, to))
    if moves.moved and not dry_run:
        _move(moves, index, target, {one.path: one.sha256 for group in groups for one in group})
    return moves


def undo_moves(file: str | Path) -> Moves:
    """Move pictures back to where they were, and add them to the index again.

    A picture is skipped if it has changed since, or another file has its old name.

    Args:
        file: what `move_extras` wrote; it is removed once all its pictures are back.

    Raises:
        PokesimError: the file is none that it wrote, or the index cannot be written.
    """
    path = file_path("The file", file)
    record = _read_record(path)
    back = Moves()
    for entry in record["moved"]:
        now, before = Path(entry["to"]), Path(entry["from"])
        try:
            if os.path.lexists(before):
                raise FileExistsError(0, f"there is another file at {before}")
            if sha256_of(now, follow_links=False) != entry["sha256"]:
                raise OSError(0, "it has changed")
            make_folder(before.parent)
            _rename(now, before)
        except OSError as error:
            back.skipped.append((now, error.strerror or str(error)))
        else:
            back.moved.append((now, before))
    if back.moved:
        try:
            add_pictures([str(before) for _, before in back.moved], record["index"])
        except PokesimError as error:
            raise PokesimError(
                f"The pictures are back, but not in the index {record['index']}; build it again "
                f"({error})"
            ) from error
    if not back.skipped:
        path.unlink()
    return back


def _checked(groups: object) -> list[list[Duplicate]]:
    """Return groups of pictures. Raises UsageError for anything else."""
    found = [list(iterable("Each group", group)) for group in iterable("groups", groups)]
    if not all(isinstance(one, Duplicate) for group in found for one in group):
        raise UsageError("groups must be what find_duplicates returns.")
    return [group for group in found if group]


def _problem(one: Duplicate) -> str | None:
    """Return why a picture is not as it was indexed, or None."""
    try:
        return None if sha256_of(one.path) == one.sha256 else "has changed since it was indexed"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def _reason(extra: Duplicate, kept: Duplicate, problem: str | None) -> str | None:
    """Return why an extra picture stays, or None."""
    if problem:
        return f"{kept.path}, which would be kept, {problem}"
    if own := _problem(extra):
        return f"it {own}"
    if os.path.realpath(extra.path) == os.path.realpath(kept.path):
        return f"it is the same file as {kept.path}"
    return None


def _place(root: Path, path: Path) -> Path:
    """Return where a picture goes below the target: a picture from elsewhere, by its name."""
    return path.relative_to(root) if path.is_relative_to(root) else Path(path.name)


def _free(path: Path, taken: set[Path]) -> Path:
    """Return the path, or if there is such a file, one with a number after the name."""
    free, number = path, 2
    while free in taken or os.path.lexists(free):
        free, number = path.with_name(f"{path.stem} ({number}){path.suffix}"), number + 1
    taken.add(free)
    return free


def _move(moves: Moves, index: str | Path, target: Path | None, hashes: dict[Path, str]) -> None:
    planned, moves.moved = moves.moved, []
    if target:
        moves.undo = _write_record(target, index, planned, hashes)
    for path, to in planned:
        try:
            if to is None:
                _to_trash(path)
            else:
                make_folder(to.parent)
                _rename(path, to)
        except OSError as error:
            moves.skipped.append((path, error.strerror or str(error)))
        else:
            moves.moved.append((path, to))
    if not moves.moved:
        return
    try:
        remove_pictures([str(path) for path, _ in moves.moved], index)
    except PokesimError as error:
        raise PokesimError(
            f"The pictures were moved, but the index {index} still has them; build it again "
            f"({error})"
        ) from error


def _rename(path: Path, to: Path) -> None:
    """Move a file, also to another file system; if that fails, it is where it was."""
    try:
        shutil.move(path, to)
    except OSError:
        if path.exists():
            with suppress(OSError):
                to.unlink()
        raise


def _to_trash(path: Path) -> None:
    from send2trash import send2trash

    send2trash(os.fspath(path))


def _write_record(
    target: Path,
    index: str | Path,
    planned: Sequence[tuple[Path, Path | None]],
    hashes: dict[Path, str],
) -> Path:
    """Record the moves before they are made, so that an interruption leaves none unrecorded."""
    moved = [
        {"from": str(path.absolute()), "to": str(to), "sha256": hashes[path]}
        for path, to in planned
    ]
    where = str(index) if "://" in str(index) else str(Path(index).resolve())
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    try:
        make_folder(target)
        path = _free(target / f"undo-{stamp}.json", set())
        atomic_write(path, json.dumps({"index": where, "moved": moved}, indent=1).encode())
    except OSError as error:
        raise PokesimError(f"{target} cannot be written ({error.strerror or error}).") from error
    return path


def _read_record(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path, follow_links=True) as file:
            record = json.loads(file.read(_MAX_BYTES))
        entries = [(one["from"], one["to"], one["sha256"]) for one in record["moved"]]
        texts = [record["index"], *(value for entry in entries for value in entry)]
        if not all(isinstance(value, str) and "\0" not in value for value in texts):
            raise TypeError
    except OSError as error:
        raise PokesimError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PokesimError(
            f"{path} does not say what was moved; name the undo-….json of a --move-to folder."
        ) from error
    return dict(record)
