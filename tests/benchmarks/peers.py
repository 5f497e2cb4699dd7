"""Whole processes that embed or hash a folder: pokesim and its peers, as far as installed."""

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from common import Setting, in_turns, repeated, seconds_of, show

PICTURES = 12_000

_POKESIM = ["-m", "pokesim", "build-index", "--rebuild", "--quiet"]

_OURS = (
    "--embedder compact",
    "--embedder general",
    "--embedder general --precision bfloat16",
)

_PEERS = {
    ("fastdup", "features alone"): "fastdup.run(sys.argv[1], work_dir=sys.argv[2], run_mode=1)",
    ("fastdup", ""): "fastdup.run(sys.argv[1], work_dir=sys.argv[2])",
    ("imagededup", "PHash"): "imagededup.methods.PHash().encode_images(sys.argv[1])",
}
"""What each peer does, by its package and a note."""

_VERSION = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"


def measure(setting: Setting, images: Path, python: Path, rounds: int) -> None:
    """Measure the seconds of each whole process.

    Args:
        setting: the setting.
        images: pictures, repeated until there are `PICTURES`.
        python: the interpreter of an environment with the peers.
        rounds: repetitions.
    """
    folder = repeated(images, setting.folder / "peers", PICTURES)
    run = partial(_seconds, setting.folder / "work")
    ways = {
        f"pokesim {name}": partial(
            run, [sys.executable, *_POKESIM, folder, *name.split(), "--index"]
        )
        for name in _OURS
    }
    for (package, note), call in _PEERS.items():
        version = _output(python, "-c", _VERSION, package)
        if version is None:
            print(f"{package} is not installed in {python}.")
            continue
        module = "imagededup.methods" if package == "imagededup" else package
        code = f"import sys, {module}; {call}"
        name = f"{package} {version}" + (f", {note}" if note else "")
        ways[name] = partial(run, [python, "-c", code, folder])
    seconds = in_turns(ways, rounds)
    fastdup = next((value for name, value in seconds.items() if name.startswith("fastdup")), None)
    rows = [("", "seconds", "pictures/s", "× fastdup's features")]
    for name, value in seconds.items():
        ratio = f"{fastdup / value:.2f}" if fastdup else ""
        rows.append((name, f"{value:.1f}", f"{PICTURES / value:.0f}", ratio))
    show(f"Whole processes: {PICTURES:,} pictures of {images.name}", rows)


def _seconds(work: Path, command: list[str | Path]) -> float:
    """Return the seconds of a command; its last argument is an empty folder to work in."""
    shutil.rmtree(work, ignore_errors=True)
    run = partial(subprocess.run, [*command, work], check=True, capture_output=True)
    return seconds_of(run)


def _output(python: Path, *arguments: str) -> str | None:
    done = subprocess.run([python, *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
