"""Vectors and items always match, whatever happens to the folder and its builds."""

import contextlib
import random
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from PIL import Image

import pokesim
from pokesim.embedders.litert import LiteRTEmbedder
from pokesim.embedders.model_cache import BUNDLED_FILE
from pokesim.errors import PokesimError
from pokesim.files import sha256_of
from pokesim.images import find_files, pixels_of
from pokesim.metric import normalized

PICTURES = st.integers(0, 25)


@cache
def embedder() -> LiteRTEmbedder:
    return LiteRTEmbedder(BUNDLED_FILE)


def bitmap(number: int) -> Image.Image:
    """Return noise; all files have the same size, so only time and content distinguish them."""
    noise = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise)


@cache
def vector_of(number: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.bmp")
        bitmap(number).save(path)
        pixels = pixels_of(path, embedder().side)
    return normalized(embedder().embed(pixels[None]))[0].tobytes()


@cache
def digest_of(number: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        bitmap(number).save(Path(folder, "x.bmp"))
        return sha256_of(Path(folder, "x.bmp"))


class Drift(RuleBasedStateMachine):
    """A folder that changes, and an index of it that is updated from time to time."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.folder, self.index = self.directory / "pictures", self.directory / "index"
        (self.folder / "below").mkdir(parents=True)
        self.pictures: dict[str, int] = {}  # the folder's pictures, by path
        self.indexed: dict[str, int] | None = None  # the index's pictures, by path
        self.names = 0

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    def _write(self, path: str, number: int) -> None:
        bitmap(number).save(self.folder / path)
        self.pictures[path] = number

    @rule(number=PICTURES, below=st.booleans())
    def add(self, number: int, below: bool) -> None:
        self.names += 1
        # Names in random order, so that new rows come before, between and after the old ones.
        name = f"{random.Random(self.names).randrange(1000):03}-{self.names}.bmp"
        self._write(f"below/{name}" if below else name, number)

    @precondition(lambda self: self.pictures)
    @rule(at=st.integers(0), number=PICTURES)
    def change(self, at: int, number: int) -> None:
        self._write(sorted(self.pictures)[at % len(self.pictures)], number)

    @precondition(lambda self: self.pictures)
    @rule(at=st.integers(0))
    def rename(self, at: int) -> None:
        old = sorted(self.pictures)[at % len(self.pictures)]
        self.names += 1
        new = f"{random.Random(-self.names).randrange(1000):03}-{self.names}.bmp"
        (self.folder / old).rename(self.folder / new)
        self.pictures[new] = self.pictures.pop(old)

    @precondition(lambda self: len(self.pictures) > 1)
    @rule(first=st.integers(0), second=st.integers(0))
    def swap(self, first: int, second: int) -> None:
        one, other = (sorted(self.pictures)[at % len(self.pictures)] for at in (first, second))
        if one != other:
            (self.folder / one).rename(self.folder / "held")
            (self.folder / other).rename(self.folder / one)
            (self.folder / "held").rename(self.folder / other)
            self.pictures[one], self.pictures[other] = self.pictures[other], self.pictures[one]

    @precondition(lambda self: self.pictures)
    @rule(at=st.integers(0))
    def remove(self, at: int) -> None:
        path = sorted(self.pictures)[at % len(self.pictures)]
        (self.folder / path).unlink()
        del self.pictures[path]

    @rule(rebuild=st.booleans(), batch=st.sampled_from([1, 2, 32]))
    def update(self, rebuild: bool, batch: int) -> None:
        try:
            pokesim.build_index(
                self.folder, self.index, embedder="compact", rebuild=rebuild, batch_size=batch
            )
            self.indexed = dict(self.pictures)
        except PokesimError:
            assert not self.pictures

    @precondition(lambda self: self.pictures)
    @rule(batches=st.integers(0, 6), rebuild=st.booleans())
    def interrupt(self, batches: int, rebuild: bool) -> None:
        def press(done: int, total: int) -> None:
            # At the end at the latest: how many files are read again depends on the clock.
            if done >= min(batches, total):
                raise KeyboardInterrupt

        with contextlib.suppress(KeyboardInterrupt):
            pokesim.build_index(
                self.folder,
                self.index,
                embedder="compact",
                batch_size=1,
                rebuild=rebuild,
                progress=press,
            )
            self.indexed = dict(self.pictures)

    @precondition(lambda self: self.indexed and len(self.indexed) > 1)
    @rule(at=st.integers(0))
    def remove_from_index(self, at: int) -> None:
        assert self.indexed is not None
        path = sorted(self.indexed)[at % len(self.indexed)]
        pokesim.remove_pictures([str(self.folder / path)], self.index)
        del self.indexed[path]

    @precondition(lambda self: self.indexed and self.pictures)
    @rule(at=st.integers(0))
    def add_to_index(self, at: int) -> None:
        assert self.indexed is not None
        path = sorted(self.pictures)[at % len(self.pictures)]
        pokesim.add_pictures([self.folder / path], self.index)
        self.indexed[path] = self.pictures[path]

    @invariant()
    def each_row_is_the_vector_of_its_item(self) -> None:
        if self.indexed is None:
            return
        assert set(find_files(self.folder)) == set(self.pictures)
        with pokesim.open_index(self.index) as index:
            items = list(index.items)
            assert [item.path for item in items] == sorted(self.indexed)
            assert [item.id for item in items] == list(range(len(items)))
            rows = index.vectors(np.arange(len(items)))
            for item, row in zip(items, rows, strict=True):
                number = self.indexed[item.path]
                assert item.sha256 == digest_of(number)
                assert row.tobytes() == vector_of(number)


TestDrift = Drift.TestCase
TestDrift.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
