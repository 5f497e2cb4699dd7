"""Long stress tests of indexes and of the server.

Each part prints its counts and stops at the first failure.

    cd tests; python -m stress.endurance [PART …]

The test suite runs the same parts with smaller numbers.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, features
from stress.churn import churn
from stress.faults import ALL, faults
from stress.forged.fuzzing import fuzz_manifests
from stress.fuzz_archives import fuzz_archives
from stress.fuzz_metadata import fuzz_tables, fuzz_where
from stress.multipart import fuzz_multipart
from stress.powercut import power_cuts
from stress.storm import storm

import pokesim
from pokesim.errors import IndexFolderError
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


def damage(home: Path, flips: int, cuts: int, say: Say) -> None:
    """Flip bytes and truncate files of snapshots of each kind; `check` detects every one."""
    samples = builtin_samples()
    index = home / "index"
    kinds = {"flat": {}, "pca": {"search": "pca"}}
    for kind, options in kinds.items():
        pokesim.build_index(samples.images, index / kind, embedder="compact", **options)
    shutil.copytree(index / "flat", index / "tuned")
    pokesim.tune_index(samples.photos, index / "tuned", dims=16, force=True)
    shutil.rmtree(index / "tuned" / "labelled")
    places = random.Random(2)
    found = tried = 0
    for kind in sorted(index.iterdir()):
        snapshot = kind / "snapshots" / (kind / "CURRENT").read_text().strip()
        for path in sorted(snapshot.iterdir()):
            good = path.read_bytes()
            for number in range(flips + cuts):
                at = places.randrange(len(good))
                flipped = good[:at] + bytes([good[at] ^ places.randrange(1, 256)]) + good[at + 1 :]
                path.unlink()  # it may be a hard link into another snapshot
                path.write_bytes(flipped if number < flips else good[:at])
                tried += 1
                try:
                    list(pokesim.check_index(kind))
                except IndexFolderError as error:
                    found += path.name in str(error)
            path.write_bytes(good)
        list(pokesim.check_index(kind))
    say(f"damage: {found} of {tried} flips and truncations of single files detected and named")
    assert found == tried


FORMATS: dict[str, dict[str, object]] = {
    "png": {},
    "jpg": {"quality": 80},
    "jpeg": {"progressive": True},
    "gif": {},
    "webp": {},
    "bmp": {},
    "tif": {"compression": "tiff_lzw"},
    "tiff": {"compression": "tiff_adobe_deflate"},
    "jp2": {},
    "avif": {},
    "ico": {},
    "icns": {},
    "tga": {"compression": "tga_rle"},
    "ppm": {},
    "pcx": {},
    "sgi": {},
    "dds": {},
    "qoi": {},
}


def fuzzed_pictures(folder: Path, count: int) -> None:
    """Write damaged variants of the samples, in every format that Pillow can write here."""
    folder.mkdir(parents=True)
    chance = random.Random(3)
    formats = [
        form
        for form in FORMATS
        if (form != "avif" or features.check("avif"))
        and (form != "jp2" or features.check("jpg_2000"))
    ]
    names = list(CREATURES)
    for number in range(count):
        form = formats[number % len(formats)]
        path = folder / f"{number:05}.{form}"
        with Image.open(builtin_samples().images / f"{chance.choice(names)}.webp") as picture:
            size = chance.choice((64, 96, 128))
            picture.convert("RGB").resize((size, size)).save(path, **FORMATS[form])
        data = bytearray(path.read_bytes())
        match chance.randrange(4):
            case 0:
                del data[chance.randrange(len(data)) :]
            case 1:  # in the header, which has sizes and offsets
                for _ in range(chance.randrange(1, 9)):
                    data[chance.randrange(min(len(data), 80))] = chance.randrange(256)
            case 2:
                for _ in range(chance.randrange(1, 60)):
                    data[chance.randrange(len(data))] = chance.randrange(256)
            case 3:
                at, end = sorted(chance.randrange(len(data)) for _ in range(2))
                data[at:end] = data[at:end][::-1] * chance.randrange(4)
        path.write_bytes(data)


# Runs a command, then prints its peak memory in KiB; this process may have had larger children.
WITH_PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def fuzz(home: Path, count: int, say: Say) -> None:
    """Build an index of damaged pictures: no crash, no hang, bounded memory."""
    fuzzed_pictures(home / "fuzzed", count)
    build = command("build-index", home / "fuzzed", "--index", home / "index")
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", WITH_PEAK, *build, "--embedder", "compact"],
        capture_output=True,
        text=True,
        timeout=60 + count,
        check=False,
    )
    seconds = time.monotonic() - start
    assert done.returncode == 0, done.stderr[-500:]
    peak = int(done.stdout.splitlines()[-1]) / 2**20
    with pokesim.open_index(home / "index") as index:
        indexed, skipped = len(index), len(index.manifest.skipped)
    assert indexed + skipped == count
    say(
        f"fuzz: {count} damaged pictures, {indexed} indexed, {skipped} skipped with a reason, "
        f"0 crashes, 0 hangs, {seconds:.0f} s, peak {peak:.2f} GiB"
    )
    assert peak < 1.5e9 / 2**30


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


def forged(home: Path, sample: int | None, say: Say) -> None:
    """Try every operation on indexes as a stranger might forge them: no harm, one sentence."""
    command = [sys.executable, "-m", "stress.forged", str(home)]
    command += ["--sample", str(sample)] if sample else []
    tests = Path(__file__).parents[1]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # more would only wait
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tests, env=os.environ | one_thread, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    say(done.stdout.strip())


def fuzz_manifest(home: Path, seconds: float, say: Say) -> None:
    """Change manifests at random: each is read, or refused in one sentence."""
    samples = builtin_samples()
    table = home / "table.csv"
    table.write_text("name,number\n" + "\n".join(f"{name},1" for name in CREATURES))
    pokesim.build_index(samples.images, home / "index", embedder="compact", metadata=table)
    tried = fuzz_manifests(home / "index", seconds, seed=5)
    say(f"fuzz_manifest: {tried:,} manifests read or refused in {seconds:.0f} s")


def main() -> None:
    """Run the given parts, or all."""
    parts: dict[str, Callable[[Path], object]] = {
        "kills": lambda home: kills(home, 200, print),
        "damage": lambda home: damage(home, 500, 100, print),
        "fuzz": lambda home: fuzz(home, 2000, print),
        "churn": lambda home: churn(home, contents, 1000, 0.12, print),
        "update": lambda home: update(home, 10_000, 100, print),
        "disk": lambda home: disk(home, [*range(0, 400_000, 20_000)], seeded(home), print),
        "readers": lambda home: readers(home, 60, print),
        "storm": lambda home: storm(home, 500, print),
        "fuzz_where": lambda home: fuzz_where(home, 600, print),
        "fuzz_tables": lambda home: fuzz_tables(home, 600, print),
        "forged": lambda home: forged(home, None, print),
        "fuzz_manifest": lambda home: fuzz_manifest(home, 600, print),
        "fuzz_archives": lambda home: fuzz_archives(home, 600, print),
        "powercut": lambda home: power_cuts(home, print, seeds=40),
        "faults": lambda home: faults(home, ALL, print),
        "fuzz_multipart": lambda _: fuzz_multipart(600, print),
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *parts])
    for part in parser.parse_args().parts or parts:
        with tempfile.TemporaryDirectory() as folder:
            parts[part](Path(folder))


def seeded(home: Path) -> Path:
    """Make a weights file without network access."""
    from support.weights import SEEDED

    path, photos = home / "seeded.weights.h5", builtin_samples().photos
    made = [sys.executable, "-c", SEEDED, str(photos), "mobilenet_v2", str(path)]
    subprocess.run(made, check=True, capture_output=True)
    return path


if __name__ == "__main__":
    main()
