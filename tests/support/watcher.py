"""`pokesim watch` in a separate process."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


class Watcher:
    """A running `pokesim watch`.

    Attributes:
        process: its process.
        lines: its output on standard error so far.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def waits_until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until something holds."""
        until = time.monotonic() + seconds
        while not holds():
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < until, self.lines
            time.sleep(0.02)

    def says(self, text: str, times: int = 1) -> None:
        """Wait until this many lines have a text."""
        self.waits_until(lambda: sum(text in line for line in self.lines) >= times)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reading.join()
        return code


@contextlib.contextmanager
def watching(folder: Path, index: Path, *options: str, **process: Any) -> Iterator[Watcher]:
    """Watch a folder, with `compact`, until the block ends."""
    command = [sys.executable, "-m", "pokesim", "watch", os.fspath(folder), "-i", os.fspath(index)]
    with subprocess.Popen(
        [*command, "--embedder", "compact", *options], stderr=subprocess.PIPE, text=True, **process
    ) as running:
        watcher = Watcher(running)
        try:
            yield watcher
        finally:
            running.kill()
    assert not [line for line in watcher.lines if "Traceback" in line], watcher.lines
