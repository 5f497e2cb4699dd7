"""Growth of build time and memory with the number of pictures; a stub embeds tiny files.

python growth.py FILES INDEX      builds one index, prints its seconds and peak megabytes
"""

import math
import os
import re
import resource
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from common import python, show
from numpy.typing import NDArray
from PIL import Image

from pokesim.build.batches import embed_locally
from pokesim.build.options import BuildOptions
from pokesim.build.pipeline import run_build
from pokesim.build.plan import plan_update
from pokesim.embedders.catalog import LITERT
from pokesim.images import READING, find_files
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.manifest import EmbedderRecord

DIMENSION = 256
_IN_A_FOLDER = 10_000


class Stub:
    """An embedder without cost: a vector is the first values of the pixels."""

    side, dimension = 16, DIMENSION

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 (n, DIMENSION)."""
        return pixels.reshape(len(pixels), -1)[:, :DIMENSION].astype(np.float32)


def measure(directory: Path, counts: Sequence[int]) -> None:
    """Build indexes of increasing numbers of files, each in a separate process."""
    found = []
    for count in counts:
        files = _tiny_files(directory / f"tiny-{count}", count)
        out = python(__file__, files, directory / f"grown-{count}").split()
        found.append((count, float(out[0]), float(out[1])))
    rows = [("files", "seconds", "a second", "peak MB", "index, MB")]
    rows += [
        (f"{n:,}", f"{s:.1f}", f"{n / s:,.0f}", f"{mb:.0f}", f"{4 * DIMENSION * n / 1e6:.0f}")
        for n, s, mb in found
    ]
    show("Growth: building with a stub for a network", rows)
    (first, s0, mb0), (last, s1, mb1) = found[-2:]
    steps = math.log(last / first)
    print(f"exponents from {first:,} to {last:,} files: time {math.log(s1 / s0) / steps:.2f}, "
          f"memory {math.log(mb1 / mb0) / steps:.2f}")  # fmt: skip


def _tiny_files(folder: Path, count: int) -> Path:
    for number in range(count):
        subfolder = folder / f"{number // _IN_A_FOLDER:04}"
        path = subfolder / f"{number % _IN_A_FOLDER:04}.png"
        if number % _IN_A_FOLDER == 0:
            subfolder.mkdir(parents=True)
            Image.new("RGB", (16, 16), (number // _IN_A_FOLDER % 256, 99, 0)).save(path)
            first = path
        else:
            os.link(first, path)  # a file that takes no further space on the disk
    return folder


def main() -> None:
    """Build one index."""
    root, index = map(Path, sys.argv[1:])
    files = find_files(root)
    record = EmbedderRecord("compact", "", 1, Stub.side, READING, True)
    built = run_build(
        BuildOptions(
            index=str(index),
            folder=IndexFolder(index),
            root=root,
            record=record,
            dimension=DIMENSION,
            embed=partial(embed_locally, lambda *_: (Stub(), LITERT)),
            search="flat",
        ),
        lambda previous: plan_update(previous, root, files),
    )
    assert built.indexed == len(files)
    print(built.seconds, _peak_megabytes())


def _peak_megabytes() -> float:
    try:  # ru_maxrss is inherited from the parent process
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


if __name__ == "__main__":
    main()
