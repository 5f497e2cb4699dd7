"""Contact sheets: packed, and without smeared edges."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from pokesim.analysis.copies import Kind
from pokesim.analysis.duplicates import Duplicate
from pokesim.analysis.evaluate import Ranked
from pokesim.analysis.labels import Labelled
from pokesim.show.drawing.canvas import PAPER
from pokesim.show.drawing.duplicates_sheet import save_groups
from pokesim.show.drawing.misses_sheet import save_misses


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("noise") / "noise.png"
    Image.effect_noise((160, 120), 60).save(path)
    return path


def empty_share(path: Path) -> float:
    """Return the share of a sheet, below its title, that is bare paper."""
    with Image.open(path) as sheet:
        below = np.asarray(sheet.convert("RGB"))[90:]
    return float((below == ImageColor.getrgb(PAPER)).all(axis=2).mean())


@pytest.mark.parametrize(
    "sizes", [[2], [7], [2] * 12, [6, 2, 2, 2, 2, 3, 3], [2, 6, 4, 2, 9, 3, 5]]
)
def test_groups_are_packed(picture, tmp_path, sizes):
    def one(place: int) -> Duplicate:
        kind = Kind.COPY if place else Kind.FIRST
        return Duplicate(picture, "noise", 10_000, 99.0, kind, str(place))

    groups = [[one(place) for place in range(size)] for size in sizes]
    assert save_groups(groups, tmp_path / "groups.png") == len(sizes)
    assert empty_share(tmp_path / "groups.png") < 0.3


@pytest.mark.parametrize("count", [1, 2, 4, 5, 24])
def test_misses_are_packed(picture, tmp_path, count):
    photo = Labelled(picture, "a long label of the right picture", "toy")
    ranked = [Ranked(photo, 2 + n, picture, picture, "first") for n in range(count)]
    assert save_misses(ranked, tmp_path / "misses.png") == count
    assert empty_share(tmp_path / "misses.png") < 0.55
