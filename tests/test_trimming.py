"""Plain margins: a figure looks the same to a network, wherever and however large it is shown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

import pokesim
from pokesim.images import Frame, pixels_of, seen_of, thumbnail_of
from pokesim.samples import PHOTOGRAPHED

SIDE = 96
PLAIN, TRIMS = Frame(SIDE), Frame(SIDE, trims=True)

colours = st.tuples(*[st.integers(180, 255)] * 3)


def figure(side, seed=5):
    """Draw a figure that touches all sides of a square."""
    cells = np.random.default_rng(seed).integers(0, 120, (5, 5, 3), np.uint8)
    return Image.fromarray(cells).resize((side, side), Image.Resampling.NEAREST)


def scene(side, filled, across, down, colour, seed=5):
    """Put the figure in front of a colour; ``across`` and ``down`` share out the margins."""
    shown = figure(max(2, round(filled * side)), seed)
    picture = Image.new("RGB", (side, side), colour)
    picture.paste(shown, tuple(round(at * (side - shown.width)) for at in (across, down)))
    return picture


def difference(some, others):
    """Return the mean difference of pixels, in levels."""
    return abs(some.astype(int) - others).mean()


@given(
    side=st.integers(60, 400),
    filled=st.floats(0.4, 0.92),
    across=st.floats(0, 1),
    down=st.floats(0, 1),
    colour=colours,
)
@settings(max_examples=60, deadline=None)
def test_a_figure_gives_the_same_pixels_wherever_and_how_large_it_is(
    side, filled, across, down, colour
):
    here = pixels_of(scene(side, filled, across, down, colour), TRIMS)
    again = pixels_of(scene(280, 0.86, 0.5, 0.5, colour), TRIMS)
    other = pixels_of(scene(280, 0.86, 0.5, 0.5, colour, seed=6), TRIMS)
    assert difference(here, again) < 12
    assert difference(other, again) > 20


@given(side=st.integers(60, 200), filled=st.floats(0.3, 0.9), across=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_a_mirror_image_gives_mirrored_pixels(side, filled, across):
    picture = scene(side, filled, across, 0.3, "white")
    mirrored = pixels_of(ImageOps.mirror(picture), TRIMS)
    assert difference(mirrored, pixels_of(picture, TRIMS)[:, ::-1]) < 6


@given(
    width=st.integers(1, 220),
    height=st.integers(1, 220),
    seed=st.integers(0, 2**32 - 1),
    kinds=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_any_picture_becomes_a_square(width, height, seed, kinds):
    random = np.random.default_rng(seed)
    few = random.integers(0, 256, (kinds, 3), np.uint8)
    picture = Image.fromarray(few[random.integers(0, kinds, (height, width))])
    assert pixels_of(picture, TRIMS).shape == (SIDE, SIDE, 3)
    if kinds == 1:
        np.testing.assert_array_equal(pixels_of(picture, TRIMS), pixels_of(picture, PLAIN))


@pytest.mark.parametrize("size", [(640, 480), (90, 70), (50, 300)])
def test_a_picture_without_plain_margins_stays_as_it_is(samples, size):
    photo = thumbnail_of(next(samples.photos.iterdir()), 640, 640).resize(size)
    framed = ImageOps.expand(photo.crop((5, 5, size[0] - 5, size[1] - 5)), 1, "white")
    for picture in (photo, framed):  # a margin so narrow is none
        np.testing.assert_array_equal(pixels_of(picture, TRIMS), pixels_of(picture, PLAIN))


def test_what_is_seen_is_the_figure_with_equal_margins():
    picture = scene(200, 0.3, 0.9, 0.2, "white")
    (left, top, right, bottom), size = seen_of(picture, TRIMS)
    across, down = 200 / size[0], 200 / size[1]
    region = left * across, top * down, right * across, bottom * down
    figure_at = (126, 28, 186, 88)
    margin = 60 * (1 / 0.86 - 1) / 2
    outward = (-margin, -margin, margin, margin)
    expected = [at + by for at, by in zip(figure_at, outward, strict=True)]
    assert region == pytest.approx(expected, abs=4)
    whole = seen_of(figure(200), TRIMS)
    assert whole == ((0, 0, SIDE, SIDE), (SIDE, SIDE))


@pytest.mark.parametrize("name", PHOTOGRAPHED[:5])
def test_a_small_copy_in_a_corner_is_found(index_path, samples, name):
    copy = thumbnail_of(samples.images / f"{name}.webp", 100, 100)
    picture = Image.new("RGB", (300, 240), "white")
    picture.paste(copy, (190, 10))
    with pokesim.open_index(index_path) as index:
        best = index.query(picture)[0]
    assert (best.label, best.similarity > 0.9) == (name, True)
