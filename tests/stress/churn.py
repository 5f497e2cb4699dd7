"""Files that come and go under a running `pokesim watch`: in the end, a fresh build's index."""

import contextlib
import os
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from support.watcher import watching

import pokesim
from pokesim.errors import IndexFolderError
from pokesim.files import sha256_of
from pokesim.samples import builtin_samples

Say = Callable[[str], object]


class Churn:
    """Random changes of a picture folder.

    Attributes:
        folder: the picture folder.
        done: how often each change was made.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.done: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._pictures = [path.read_bytes() for path in sorted(builtin_samples().images.iterdir())]
        self._halves: list[tuple[Path, bytes]] = []
        self._number = 0
        self._weights = {
            self.add: 30,
            self.change: 20,
            self.rename: 20,
            self.remove: 20,
            self.write_in_two: 6,
            self.add_junk: 2,
            self.copy: 4,
            self.rename_folder: 2,
            self.remove_folder: 1,
        }

    def step(self) -> None:
        """Make one change."""
        change = self._chance.choices([*self._weights], [*self._weights.values()])[0]
        with contextlib.suppress(IndexError):  # there is nothing to change
            change()
            self.done[change.__name__.replace("_", " ")] += 1

    def finish(self) -> None:
        """Write the second halves of files."""
        for path, data in self._halves:
            with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
                file.seek(0, os.SEEK_END)
                file.write(data)
        self._halves.clear()

    def pause(self, longest: float) -> None:
        time.sleep(self._chance.uniform(0, longest))

    def add(self) -> None:
        self._new().write_bytes(self._data())

    def change(self) -> None:
        path = self._some()
        if self._chance.random() < 0.5:
            path.write_bytes(self._data())
        else:  # as editors do
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(self._data())
            part.replace(path)

    def rename(self) -> None:
        self._some().rename(self._new())

    def remove(self) -> None:
        self._some().unlink()

    def copy(self) -> None:
        shutil.copy2(self._some(), self._new())

    def add_junk(self) -> None:
        self._new().with_suffix(".png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")

    def write_in_two(self) -> None:
        self.finish()
        path, data = self._new(), self._data()
        half = len(data) // 2
        path.write_bytes(data[:half])
        self._halves.append((path, data[half:]))

    def rename_folder(self) -> None:
        self.finish()
        self._number += 1
        self._chance.choice(self._folders()).rename(self.folder / f"f{self._number}")

    def remove_folder(self) -> None:
        self.finish()
        shutil.rmtree(self._chance.choice(self._folders()))

    def _data(self) -> bytes:
        """Return a picture that no other file has: bytes after a WebP's end change nothing."""
        self._number += 1
        return self._chance.choice(self._pictures) + self._number.to_bytes(4)

    def _new(self) -> Path:
        self._number += 1
        below = self._chance.choice(["", "", "a", "b/c", f"d{self._chance.randrange(5)}"])
        (self.folder / below).mkdir(parents=True, exist_ok=True)
        return self.folder / below / f"{self._number:05}.webp"

    def _some(self) -> Path:
        halves = {path for path, _ in self._halves}
        found = sorted({*self.folder.rglob("*.webp")} - halves)
        return self._chance.choice(found)

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_dir())


def churn(
    home: Path, contents: Callable[[Path], object], changes: int, longest: float, say: Say
) -> None:
    """Change a folder at random while it is watched; the index ends as that of a fresh build.

    Args:
        home: an empty folder.
        contents: returns the content of an index.
        changes: number of changes.
        longest: longest pause between two, in seconds.
        say: reports the result.
    """
    folder, index = home / "pictures", home / "index"
    folder.mkdir()
    files = Churn(folder, seed=6)
    for _ in range(30):
        files.add()
    with watching(folder, index) as watcher:
        watcher.says("Watching ")
        start = time.monotonic()
        for number in range(changes):
            files.step()
            files.pause(longest)
            if number % 50 == 25:  # quiet for long enough
                time.sleep(1.5)
            if number == changes // 2:  # the disk is unplugged, and plugged in again
                folder.rename(home / "elsewhere")
                files.pause(3 * longest)
                (home / "elsewhere").rename(folder)
            if number % 200 == 100:  # another build at the same time
                with contextlib.suppress(IndexFolderError):  # one of them is locked out
                    pokesim.build_index(folder, index)
        files.finish()
        end = time.monotonic()
        expected = [
            (path.relative_to(folder).as_posix(), sha256_of(path))
            for path in folder.rglob("*.webp")
        ]
        watcher.waits_until(lambda: _items(index) == sorted(expected), 60)
        waited = time.monotonic() - end
        assert watcher.end() in (0, 130), watcher.lines  # an update may be under way
        updates = sum(bool(re.search(r": .* has [\d,]+ pictures?\.", one)) for one in watcher.lines)
    pokesim.build_index(folder, home / "fresh", embedder="compact")
    assert contents(index) == contents(home / "fresh")
    made = ", ".join(f"{count} {what}" for what, count in sorted(files.done.items()))
    say(
        f"churn: {changes:,} changes in {end - start:.0f} s, {updates} updates; "
        f"{waited:.1f} s after the last one the index was that of a fresh build, "
        f"{len(expected)} pictures\n  {made}"
    )


def _items(index: Path) -> list[tuple[str, str]]:
    with pokesim.open_index(index) as opened:
        return [(item.path, item.sha256) for item in opened.items]
