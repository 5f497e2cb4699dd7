"""Damaged files: those of an index are detected, and pictures are indexed or skipped."""

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, features
from stress.builds import Say, command

import pokesim
from pokesim.errors import IndexFolderError
from pokesim.samples import CREATURES, builtin_samples


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
