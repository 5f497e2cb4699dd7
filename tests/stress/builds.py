"""Builds that are killed, repeated, short of disk space, or published while others read."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import pokesim
from pokesim.samples import CREATURES, builtin_samples

Say = Callable[[str], object]


def command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "pokesim", *map(os.fspath, args)]


def contents(index: Path) -> tuple[list[tuple[str, str]], bytes]:
    """Return all items, by path and hash, and the bytes of all vectors."""
    with pokesim.open_index(index) as opened:
        items = [(item.path, item.sha256) for item in opened.items]
        return items, opened.vectors(np.arange(len(opened))).tobytes()


def kills(home: Path, times: int, say: Say) -> None:
    """Kill builds at random moments: the old index is readable, and the build can be resumed."""
    few, many = home / "few", home / "many"
    pictures = sorted(builtin_samples().images.iterdir())
    for folder, count in ((few, 12), (many, 151)):
        folder.mkdir()
        for picture in pictures[:count]:
            shutil.copy(picture, folder)
    pokesim.build_index(many, home / "whole", embedder="compact")
    whole = contents(home / "whole")
    pokesim.build_index(few, home / "before", embedder="compact")
    before = contents(home / "before")
    build = command("build-index", many, "--index", home / "index", "--embedder", "compact")
    build += ["--batch-size", "1"]
    for _ in range(2):
        shutil.rmtree(home / "index", ignore_errors=True)
        start = time.monotonic()
        subprocess.run(build, check=True, capture_output=True)
        longest = time.monotonic() - start
    moments = random.Random(1)
    seen: Counter[str] = Counter()
    for _ in range(times):
        shutil.rmtree(home / "index", ignore_errors=True)
        shutil.copytree(home / "before", home / "index")
        process = subprocess.Popen(build, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.2 * longest, longest))
        process.send_signal(signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL
        list(pokesim.check_index(home / "index"))
        now = contents(home / "index")
        assert now in (before, whole)
        kept = home / "index" / ".unfinished" / "vectors.f32"
        begun = kept.exists() and kept.stat().st_size > 0
        seen["while embedding" if begun else "before or after embedding"] += killed
        seen["not killed, already ended"] += not killed
        seen["killed after publishing"] += killed and now == whole
        report = pokesim.build_index(many, home / "index")
        seen["pictures embedded after a kill"] += report.embedded
        assert contents(home / "index") == whole
    say(f"kills: {times} builds resumed, {times} equal to the uninterrupted one, 0 unreadable")
    say("  killed " + ", ".join(f"{what}: {count}" for what, count in sorted(seen.items())))


def update(home: Path, count: int, changed: int, say: Say) -> float:
    """Change some of many files: only these are embedded. Return the share of the full time."""
    folder = home / "pictures"
    folder.mkdir()
    pictures = [path.read_bytes() for path in sorted(builtin_samples().images.iterdir())]
    for number in range(count):  # bytes after a WebP's end make each file unique
        (folder / f"{number:06}.webp").write_bytes(
            pictures[number % len(pictures)] + number.to_bytes(4)
        )

    def build() -> tuple[str, float]:
        start = time.monotonic()
        options = ("--index", home / "index", "--embedder", "compact")
        done = subprocess.run(
            command("build-index", folder, *options), check=True, capture_output=True, text=True
        )
        return done.stdout, time.monotonic() - start

    said, full = build()
    assert f": {count:,} new, " in said, said
    time.sleep(2)  # so that no file is racy
    for number in random.Random(4).sample(range(count), changed):
        path = folder / f"{number:06}.webp"
        path.write_bytes(pictures[0] + (count + number).to_bytes(4))
    said, some = build()
    assert f": {changed:,} new, " in said, said
    said, none = build()
    assert said.startswith("Nothing to do"), said
    say(
        f"update: {count:,} pictures in {full:.1f} s; after {changed:,} changed, "
        f"only these embedded in {some:.2f} s ({some / full:.1%}); "
        f"nothing to do in {none:.2f} s (whole processes)"
    )
    return some / full


@contextlib.contextmanager
def small_disk(at: Path, size: str) -> Iterator[Path]:
    """Mount a small file system. Raises CalledProcessError if that is not allowed."""
    at.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", at], check=True, capture_output=True
    )
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", at], check=True)


def disk(home: Path, rooms: list[int], weights: Path | None, say: Say) -> None:
    """Fill the disk during builds and an export: one error line each."""

    def fails(*args: str | Path, **env: str) -> str:
        done = subprocess.run(
            command(*args), capture_output=True, text=True, env=os.environ | env, check=False
        )
        lines = [line for line in done.stderr.splitlines() if line.startswith("pokesim:")]
        assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
        assert len(lines) == 1, done.stderr
        assert "No space left" in done.stderr or "disk is full" in done.stderr, done.stderr
        return lines[0]

    samples = builtin_samples()
    few = home / "few"
    few.mkdir()
    for name in CREATURES[:12]:
        shutil.copy(samples.images / f"{name}.webp", few)
    pokesim.build_index(samples.images, home / "whole", embedder="compact")
    whole = contents(home / "whole")
    failed = 0
    with small_disk(home / "disk", "4m") as at:
        index = at / "index"
        for room in rooms:  # bytes left; the disk fills up at different moments
            shutil.rmtree(index, ignore_errors=True)
            pokesim.build_index(few, index, embedder="compact")
            before = contents(index)
            free = shutil.disk_usage(at).free
            (at / "ballast").write_bytes(bytes(max(0, free - room)))
            message = fails("build-index", samples.images, "--index", index, "--batch-size", "4")
            assert "what was there before is unchanged" in message
            failed += 1
            list(pokesim.check_index(index))
            assert contents(index) == before
            (at / "ballast").unlink()
            pokesim.build_index(samples.images, index)
            assert contents(index) == whole
    say(f"disk: {failed} builds on a full disk: one error line each, the previous index intact,")
    say("  and with free space again the build resumed to the same index")
    if weights:
        with small_disk(home / "models", "6m") as at:
            options = ("--embedder", "mobilenet_v2", "--weights", weights)
            message = fails(
                "build-index", few, "--index", home / "i", *options, POKESIM_CACHE=str(at)
            )
            assert f"The cache {at / 'models'} cannot be written" in message
            assert not list(at.rglob("*.tflite")), list(at.rglob("*"))
            say("  exporting a model into a full cache: one error line, nothing left behind")


READER = """
import json, sys, time
import numpy as np
import pokesim
home, until = sys.argv[1], float(sys.argv[2])
queries = refreshes = 0
index = pokesim.open_index(home)
while time.time() < until:
    newer = index.refresh()
    refreshes += newer is not index
    index = newer
    with pokesim.open_index(home) as opened:
        for one in (index, opened):
            rows = one.vectors(np.arange(0, len(one), 7))
            D, I = one.search(rows, 3)
            assert np.allclose(D[:, 0], 0, atol=1e-4)
            versions = {one.items[int(i)].label.split("-")[1] for i in I.ravel()}
            assert len(versions) == 1, versions
            assert [one.items[int(i)].path for i in I[:, 0]] == [
                one.items[int(i)].path for i in range(0, len(one), 7)]
            queries += len(rows)
print(json.dumps([queries, refreshes]))
"""


def readers(home: Path, seconds: float, say: Say, processes: int = 8) -> None:
    """Query in many processes while builds publish: no error, no mixed snapshots."""
    pictures = sorted(builtin_samples().images.iterdir())
    for version in ("a", "b"):  # two folders with different names and numbers of pictures
        (home / version).mkdir()
        for picture in pictures[version == "b" : 60]:
            shutil.copy(picture, home / version / f"{picture.stem}-{version}.webp")
    index = home / "index"
    pokesim.build_index(home / "a", index, embedder="compact")
    until = time.time() + seconds
    running = [
        subprocess.Popen(
            [sys.executable, "-c", READER, index, str(until)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(processes)
    ]
    builds = 0
    while time.time() < until:
        builds += pokesim.build_index(home / "ba"[builds % 2], index).changed
    queries = refreshes = 0
    for process in running:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        more_queries, more_refreshes = json.loads(said)
        queries, refreshes = queries + more_queries, refreshes + more_refreshes
    kept = len(list((index / "snapshots").iterdir()))
    say(
        f"readers: {processes} processes ran {queries:,} queries and {refreshes:,} refreshes "
        f"during {builds:,} builds: 0 errors, 0 mixed answers, {kept} snapshots on disk"
    )
    assert min(queries, refreshes, builds) > 0
