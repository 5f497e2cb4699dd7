"""Plain margins: a figure looks the same to a network wherever and however large it is shown."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

import pokesim
from pokesim.images import Frame, cropped, pixels_of, seen_of, thumbnail_of
from pokesim.images.crop import Crop
from pokesim.samples import PHOTOGRAPHED

SIDE = 224
PLAIN, TRIMS = Frame(SIDE), Frame(SIDE, trims=True)

colours = st.tuples(*[st.integers(180, 255)] * 3)


def scene(size, filled, across, down, colour, seed=5):
    """Draw a disc of patches in front of a colour; ``across``, ``down``: shares of the margins."""
    side = max(4, round(filled * min(size)))
    patches = np.random.default_rng(seed).integers(0, 120, (5, 5, 3), np.uint8)
    figure = Image.fromarray(patches).resize((side, side), Image.Resampling.NEAREST)
    disc = Image.new("L", (side, side))
    ImageDraw.Draw(disc).ellipse((0, 0, side - 1, side - 1), 255)
    picture = Image.new("RGB", size, colour)
    at = [round(share * (whole - side)) for share, whole in zip((across, down), size, strict=True)]
    picture.paste(figure, (at[0], at[1]), disc)
    return picture


def difference(some, others):
    """Return the mean difference of pixels, in levels."""
    return abs(some.astype(int) - others).mean()


def as_jpeg(picture, **options):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=92, **options)
    return file.getvalue()


@given(
    size=st.tuples(st.integers(300, 600), st.integers(300, 600)),
    filled=st.floats(0.4, 0.92),
    across=st.floats(0, 1),
    down=st.floats(0, 1),
    colour=colours,
    is_jpeg=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_figure_gives_the_same_pixels_wherever_and_how_large_it_is(
    size, filled, across, down, colour, is_jpeg
):
    picture = scene(size, filled, across, down, colour)
    here = pixels_of(as_jpeg(picture) if is_jpeg else picture, TRIMS)
    again = pixels_of(scene((280, 280), 0.86, 0.5, 0.5, colour), TRIMS)
    other = pixels_of(scene((280, 280), 0.86, 0.5, 0.5, colour, seed=6), TRIMS)
    assert difference(here, again) < 10
    assert difference(other, again) > 12


@given(side=st.integers(60, 200), filled=st.floats(0.3, 0.9), across=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_a_mirror_image_gives_mirrored_pixels(side, filled, across):
    picture = scene((side, side), filled, across, 0.3, "white")
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


@pytest.fixture(scope="module")
def photo(samples):
    return thumbnail_of(next(samples.photos.iterdir()), 640, 640)


@pytest.mark.parametrize("size", [(640, 480), (90, 70), (50, 300)])
def test_a_picture_without_plain_margins_stays_as_it_is(photo, size):
    scaled = photo.resize(size)
    hardly = ImageOps.expand(scaled.crop((1, 1, size[0] - 1, size[1] - 1)), 1, "white")
    for picture in (scaled, hardly):
        np.testing.assert_array_equal(pixels_of(picture, TRIMS), pixels_of(picture, PLAIN))


@pytest.mark.parametrize("border", [(0, 200), (150, 0), (60, 60), (20, 300)])
@pytest.mark.parametrize("colour", ["black", "white", "#305080"])
def test_a_photo_in_a_frame_gives_the_pixels_of_the_photo(photo, border, colour):
    framed = ImageOps.expand(photo, border, colour)
    assert difference(pixels_of(framed, TRIMS), pixels_of(photo, PLAIN)) < 10
    assert difference(pixels_of(framed, PLAIN), pixels_of(photo, PLAIN)) > 30


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_part_of_a_turned_photo_is_trimmed_too(orientation):
    picture = scene((900, 700), 0.4, 0.2, 0.3, "white")
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = as_jpeg(picture, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    expected = pixels_of(upright, TRIMS)
    crop = Crop(0, 0, upright.width, upright.height)
    for source in (data, cropped(data, crop)):
        assert difference(pixels_of(source, TRIMS), expected) < 6


def test_what_is_seen_is_the_figure_with_equal_margins():
    picture = scene((300, 200), 0.3, 0.9, 0.2, "white")
    (left, top, right, bottom), size = seen_of(picture, TRIMS)
    times = 300 / size[0]
    margin = 60 * (1 / 0.74 - 1) / 2
    expected = (216 - margin, 28 - margin, 276 + margin, 88 + margin)
    assert [times * at for at in (left, top, right, bottom)] == pytest.approx(expected, abs=3)
    assert size[1] * times == pytest.approx(200, abs=1)


@pytest.mark.parametrize("name", PHOTOGRAPHED[:5])
def test_a_small_copy_in_a_corner_is_found(index_path, samples, name):
    copy = thumbnail_of(samples.images / f"{name}.webp", 100, 100)
    picture = Image.new("RGB", (300, 240), "white")
    picture.paste(copy, (190, 10))
    with pokesim.open_index(index_path) as index:
        best = index.query(picture)[0]
    assert (best.label, best.similarity > 90) == (name, True)
