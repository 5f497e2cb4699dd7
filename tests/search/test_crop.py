"""A part of a photo as the query: the same as the part cut out, from the pixels to the card."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from support.pictures import STORED_BY_ORIENTATION

import pokesim
from pokesim.errors import CropError, UsageError
from pokesim.images import (
    Wanted,
    as_crop,
    cropped,
    decode,
    pixels_of,
    read_isolated,
    scale,
    thumbnail_of,
)

PATCHES = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
PICTURE = Image.fromarray(PATCHES).resize((640, 480))
PARTS = [(10, 20, 300, 200), (0, 0, 640, 480), (639, 479, 1, 1)]
BAD = {
    "nan,0,1,1": "must be X,Y,WIDTH,HEIGHT",
    "1,2,3": "must be X,Y,WIDTH,HEIGHT",
    "10%,20,30,40": "must be X,Y,WIDTH,HEIGHT",
    "left": "must be X,Y,WIDTH,HEIGHT",
    "0,0,0,9": "width must be above 0",
    "-1,0,9,9": "x must be at least 0",
    "1.5,0,9,9": "x, in pixels, must be a whole number",
    "50%,0%,51%,9%": "reaches beyond 100 %",
}


def encoded(picture, image_format="PNG", **options):
    file = io.BytesIO()
    picture.save(file, image_format, **options)
    return file.getvalue()


def cut(picture, crop):
    return picture.crop(crop.box(*picture.size))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "I;16"])
def test_a_part_is_read_as_if_it_were_cut_out(mode):
    picture = PICTURE.convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 100)
    for crop in map(as_crop, PARTS):
        part = pixels_of(cropped(encoded(picture), crop), 64)
        np.testing.assert_array_equal(part, pixels_of(encoded(cut(picture, crop)), 64))


@pytest.mark.parametrize("orientation", [1, *STORED_BY_ORIENTATION])
@pytest.mark.parametrize(
    ("image_format", "size", "most"), [("PNG", (1000, 700), 1), ("JPEG", (1003, 701), 6)]
)
def test_a_part_is_one_of_the_upright_picture(orientation, image_format, size, most):
    turn, exif = STORED_BY_ORIENTATION.get(orientation), Image.Exif()
    exif[0x0112] = orientation
    picture = PICTURE.resize(size)  # a JPEG of this size is decoded at a quarter of it
    stored = picture if turn is None else picture.transpose(turn)
    data = encoded(stored, image_format, exif=exif, quality=98)
    crop = as_crop("12%,20%,50%,34%")
    part = pixels_of(cropped(data, crop), 32).astype(int)
    assert abs(part - pixels_of(encoded(cut(picture, crop)), 32)).max() <= most
    assert thumbnail_of(cropped(data, crop), 90, 90).size == (90, 43)


def test_a_part_of_a_large_picture_is_reduced_in_bands(monkeypatch):
    data, crop = encoded(PICTURE.convert("CMYK"), "TIFF"), as_crop((30, 20, 520, 390))
    _, expected = decode.read(io.BytesIO(data), Wanted(16, 16, crop=crop))
    monkeypatch.setattr(scale, "_BAND_PIXELS", 50_000)
    _, part = decode.read(io.BytesIO(data), Wanted(16, 16, crop=crop))
    assert abs(np.asarray(part, int) - np.asarray(expected)).max() <= 2


def test_parts_are_read_in_other_processes_and_a_missing_one_is_refused():
    data = encoded(PICTURE)
    crop, outside = as_crop("1,2,300,200"), as_crop((600, 0, 41, 9))
    _, part = read_isolated(data, Wanted(64, 64, crop=crop), 60)
    np.testing.assert_array_equal(np.asarray(part), pixels_of(cropped(data, crop), 64))
    for read in (
        lambda: read_isolated(data, Wanted(64, 64, crop=outside), 60),
        lambda: pixels_of(cropped(PICTURE, outside), 64),
    ):
        with pytest.raises(CropError, match="beyond the picture, which is 640 × 480 pixels"):
            read()
    with pytest.raises(CropError, match="less than a pixel"):
        pixels_of(cropped(data, as_crop("0%,0%,0.01%,1%")), 64)


@pytest.mark.parametrize("text", BAD)
def test_a_bad_crop_is_one_sentence(index_path, samples, text):
    with (
        pokesim.open_index(index_path) as index,
        pytest.raises(UsageError, match=BAD[text]),
    ):
        index.query(samples.photos / "brumbel.jpg", crop=text)


def test_a_part_of_an_indexed_picture_is_embedded(index_path, samples):
    path = samples.images / "brumbel.webp"
    with pokesim.open_index(index_path) as index, Image.open(path) as picture:
        half = (0, 0, picture.width, picture.height // 2)
        expected = index.query(encoded(picture.crop(half)))
        assert index.query(path, crop=half) == index.query(path.read_bytes(), crop=half) == expected
        assert expected[0].distance > 0
        assert index.query([path], crop=half) == [expected]
        others = index.query(path, crop=half, exclude_self=True)
        assert "brumbel" not in [match.label for match in others]
        found = index.explain(path, expected[0].path, crop=half)
        assert found.similarity == pytest.approx(expected[0].similarity, abs=0.01)


def test_the_command_line_searches_with_a_part_and_shows_it(run, index_path, samples, tmp_path):
    with Image.open(samples.photos / "brumbel.jpg") as photo:
        part = photo.crop((0, 0, photo.width // 2, photo.height))
        part.save(tmp_path / "part.png")
        Image.new("RGB", (2 * photo.width, photo.height), "white").save(tmp_path / "wide.png")
        scene = Image.open(tmp_path / "wide.png")
        scene.paste(photo, (photo.width, 0))
    scene.save(tmp_path / "scene.png")
    options = ("--index", index_path, "--format", "json", "--explain")
    crop = ("--crop", "50%,0%,50%,100%", "--save", "scene-card.png")
    whole = run("query", samples.photos / "brumbel.jpg", *options, "--save", "card.png")
    found = run("query", "scene.png", *options, *crop)
    assert found.returncode == whole.returncode == 0, found.stderr
    (answer,), (expected,) = json.loads(found.stdout), json.loads(whole.stdout)
    assert answer["crop"] == "50%,0%,50%,100%"
    assert "crop" not in expected
    pairs = list(zip(answer["matches"], expected["matches"], strict=True))
    assert [one["label"] for one, _ in pairs] == [one["label"] for _, one in pairs]
    for one, other in pairs:
        assert one["distance"] == pytest.approx(other["distance"], abs=0.05)
    cards = [Image.open(tmp_path / name) for name in ("card.png", "scene-card.png")]
    tiles = [np.asarray(one.crop((40, 40, 516, 420)).convert("L"), np.int16) for one in cards]
    assert abs(tiles[0] - tiles[1]).mean() < 4  # both heat maps, on the same part
    title = run("query", "scene.png", *options[:2], *crop[:2]).stdout.splitlines()[0]
    assert title == "scene.png (50%,0%,50%,100%) looks most like brumbel"


def test_a_crop_that_a_photo_lacks_does_not_stop_the_others(run, index_path, samples, tmp_path):
    PICTURE.resize((20, 20)).save(tmp_path / "small.png")
    photos = ("small.png", samples.photos / "brumbel.jpg")
    done = run("query", *photos, "--crop", "5,5,100,100", "--index", index_path, "-k", "1")
    assert done.returncode == 2
    assert len(done.stdout.strip().splitlines()) == 3
    assert done.stderr == (
        "pokesim: small.png: the crop 5,5,100,100 reaches beyond the picture, "
        "which is 20 × 20 pixels.\n"
    )
    done = run("query", photos[1], "--crop", "nan,0,1,1", "--index", index_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "\npokesim: The crop must be X,Y,WIDTH,HEIGHT, in pixels" in done.stderr
