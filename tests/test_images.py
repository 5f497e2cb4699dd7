"""Reading pictures: every format and mode, upright, on white; bad ones fail with a reason."""

import contextlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.pictures import STORED_BY_ORIENTATION

from pokesim.errors import NotAPictureError, PictureError
from pokesim.images import find_files, pixels_of, thumbnail_of
from pokesim.samples import CREATURES, builtin_samples

with Image.open(builtin_samples().images / f"{CREATURES[0]}.webp") as opened:
    CREATURE = opened.copy()


def encoded(picture: Image.Image, image_format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, image_format, **options)
    return file.getvalue()


def test_transparent_black_becomes_white():
    hidden = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert pixels_of(encoded(hidden), 16).min() == 255


@pytest.mark.parametrize("mode", ["P", "LA", "PA"])
def test_transparency_of_other_modes_becomes_white_too(mode):
    picture = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 20, 40))
    image_format = "TIFF" if mode == "PA" else "PNG"
    pixels = pixels_of(
        encoded(picture.convert(mode), image_format) if mode != "PA" else picture, 40
    )
    assert pixels[:, 25:].min() == 255
    assert pixels[:, :15].max() == 0


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_all_modes_without_transparency_give_the_same_pixels(mode):
    on_white = Image.alpha_composite(Image.new("RGBA", CREATURE.size, "white"), CREATURE)
    grey = on_white.convert("L").point(lambda value: 255 * (value > 128)).convert("RGB")
    image_format = "PNG" if mode in ("1", "L", "P", "RGB") else "TIFF"
    pixels = pixels_of(encoded(grey.convert(mode), image_format), 64).astype(int)
    assert abs(pixels - pixels_of(encoded(grey), 64)).max() <= 3


def test_sixteen_bit_pictures_are_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16)[None].repeat(64, 0)
    pixels = pixels_of(encoded(Image.fromarray(ramp)), 64)
    assert abs(pixels[0, :, 0].astype(int) - np.linspace(0, 255, 64)).max() <= 2


def test_all_eight_exif_orientations_give_the_same_pixels():
    upright = Image.new("RGB", (60, 90), "white")
    upright.paste("red", (0, 0, 30, 20))
    upright.paste("blue", (40, 70, 60, 90))
    expected = pixels_of(encoded(upright), 30)
    for orientation in range(1, 9):
        turn = STORED_BY_ORIENTATION.get(orientation)
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = encoded(upright if turn is None else upright.transpose(turn), exif=exif)
        assert abs(pixels_of(stored, 30).astype(int) - expected).max() <= 1, orientation
        assert thumbnail_of(stored, 30, 30).size == (20, 30)


def test_damaged_exif_data_is_ignored():
    jpeg = encoded(Image.new("RGB", (20, 20), "red"), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert pixels_of(jpeg, 8).shape == (8, 8, 3)


def test_only_the_first_frame_of_an_animation_is_read():
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(pixels_of(data, 4)[0, 0]) == (255, 0, 0)


def test_a_large_jpeg_gives_nearly_the_same_pixels_as_a_png():
    large = Image.alpha_composite(Image.new("RGBA", (256, 256), "white"), CREATURE)
    large = large.convert("RGB").resize((2400, 2400), Image.Resampling.BICUBIC)
    drafted = pixels_of(encoded(large, "JPEG", quality=95), 96).astype(int)
    assert abs(drafted - pixels_of(encoded(large), 96)).mean() < 2


def test_every_kind_of_source_gives_the_same_pixels(tmp_path):
    data = encoded(CREATURE)
    path = tmp_path / "name without extension"
    path.write_bytes(data)
    first = pixels_of(path, 32)
    for source in (str(path), data, Image.open(io.BytesIO(data))):
        np.testing.assert_array_equal(pixels_of(source, 32), first)


def test_too_many_pixels_are_refused_and_the_message_names_the_option(tmp_path):
    with pytest.raises(PictureError, match="--max-pixels"):
        pixels_of(encoded(Image.new("1", (300, 300))), 16, max_pixels=300 * 300 - 1)
    assert pixels_of(encoded(Image.new("1", (300, 300))), 16, max_pixels=300 * 300).shape


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "a folder, not a picture"),
        (lambda path: path.write_text("hello"), "not an image pokesim can read"),
        (lambda path: path.write_bytes(encoded(CREATURE)[:5000]), "truncated"),
        (
            lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
            "EPS",
        ),
    ],
)
def test_a_bad_picture_gives_an_error_with_its_path_and_the_reason(tmp_path, make, reason):
    path = tmp_path / "bad.png"
    make(path)
    with pytest.raises(PictureError, match=reason) as caught:
        pixels_of(path, 16)
    assert str(path) in str(caught.value)


@settings(deadline=None)  # another process may have to start
@given(st.binary(max_size=400), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM"]))
def test_random_bytes_give_pixels_or_a_picture_error(data, start):
    with contextlib.suppress(PictureError):
        assert pixels_of(start + data, 8).shape == (8, 8, 3)


@settings(deadline=None)
@given(st.data())
def test_a_damaged_png_gives_pixels_or_a_picture_error(data):
    png = bytearray(encoded(CREATURE.resize((48, 48))))
    for position in data.draw(st.lists(st.integers(0, len(png) - 1), min_size=1, max_size=6)):
        png[position] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PictureError):
        assert pixels_of(bytes(png), 8).shape == (8, 8, 3)


def test_bytes_that_are_not_an_image_raise_not_a_picture_error():
    with pytest.raises(NotAPictureError):
        pixels_of(b"just words", 8)


def test_find_files_is_sorted_and_recursive_and_skips_hidden_files(tmp_path: Path):
    for name in ("b.png", "a/c.jpg", "a/.hidden.png", ".git/x.png", "a/d/e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "link.png").symlink_to(tmp_path / "b.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert find_files(tmp_path) == ["a/c.jpg", "a/d/e", "b.png", "link.png"]
