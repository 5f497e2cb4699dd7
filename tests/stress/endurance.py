"""Long stress tests of indexes and of the server.

Each part prints its counts and stops at the first failure.

    cd tests; python -m stress.endurance [PART …]

The test suite runs the same parts with smaller numbers.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from stress.builds import Say, contents, disk, kills, readers, update
from stress.churn import churn
from stress.damage import damage, fuzz
from stress.faults import ALL, faults
from stress.forged.fuzzing import fuzz_manifests
from stress.fuzz_archives import fuzz_archives
from stress.fuzz_metadata import fuzz_tables, fuzz_where
from stress.multipart import fuzz_multipart
from stress.powercut import power_cuts
from stress.storm import storm

import pokesim
from pokesim.samples import CREATURES, builtin_samples


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
