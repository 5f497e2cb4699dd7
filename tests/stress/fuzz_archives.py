"""Fuzzing of the names in archives: nothing is ever written outside the folder."""

import io
import os
import random
import shutil
import tarfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pokesim.datasets.archives import ArchiveError, unpack

Say = Callable[[str], object]


def fuzz_archives(home: Path, seconds: float, say: Say) -> None:
    """Unpack archives of hostile names and flipped bytes: written below the folder, or refused."""
    chance = random.Random(5)
    parts = ["a", "b", "B", "c.png", "d.png", "ä", "con", " ", "~", "\x1b[31m", "\n"] * 4
    parts += ["..", ".", "", "C:", "\\", "x" * 256, "__MACOSX", ".h", "\udcff", "/".join("a" * 70)]
    seen: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        names = [
            "/".join(chance.choice(parts) for _ in range(chance.randrange(1, 5)))
            for _ in range(chance.randrange(1, 6))
        ]
        data = bytearray(chance.choice(PACKERS)(names))
        for _ in range(chance.choice((0, 0, 1, 2, 8))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        del data[chance.choice((len(data), len(data), chance.randrange(len(data)))) :]
        inside = home / "parent"
        inside.mkdir()
        (home / "archive").write_bytes(data)
        try:
            unpack(home / "archive", inside / "set", 1_000_000)
            seen["unpacked"] += 1
        except ArchiveError:
            seen["refused"] += 1
        assert {path.name for path in home.iterdir()} == {"archive", "parent"}
        assert {path.name for path in inside.iterdir()} <= {"set"}
        assert not any(path.is_symlink() for path in inside.rglob("*"))
        shutil.rmtree(inside)
    say(
        f"archives: {seen.total():,} fuzzed, {seen['unpacked']:,} unpacked below their folder, "
        f"{seen['refused']:,} refused with a reason, 0 other errors"
    )
    assert seen["unpacked"] > 0
    assert seen["refused"] > 0


def zip_named(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two entries of one name
        for name in names:
            archive.writestr(os.fsencode(name).decode("latin-1") or "x", os.fsencode(name * 9))
    return buffer.getvalue()


def tar_named(names: list[str], how: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{how}") as archive:
        for name in names:
            info, data = tarfile.TarInfo(name), os.fsencode(name * 9)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


PACKERS = [zip_named, *(partial(tar_named, how=how) for how in ("", "gz", "bz2", "xz"))]
