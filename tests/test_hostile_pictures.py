"""Pictures made to be slow or to take a lot of memory: refused with a reason, or read in bounds."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.pictures import png_of_zeros

import pokesim
from pokesim.errors import NotAPictureError, PictureError
from pokesim.images import (
    HeavyError,
    SlowPictureError,
    Wanted,
    as_pixels,
    pixels_of,
    read_isolated,
    thumbnail_of,
)

SQUARE = Wanted(32, 32)

PLAIN_PPM = b"P3 4000 4000 255\n" + b"7 " * 12_000_000

READ_AND_REPORT = """
import resource, sys
from pokesim.images import pixels_of, _processes
from pokesim.errors import PictureError
def largest(who):
    return resource.getrusage(who).ru_maxrss // 1024
before = largest(resource.RUSAGE_SELF)
try:
    print(pixels_of(sys.argv[1], 32).shape)
except PictureError as error:
    print(error.reason)
_processes.close()
print(max(largest(resource.RUSAGE_SELF) - before, largest(resource.RUSAGE_CHILDREN)))
"""


def encoded(picture: Image.Image, image_format: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, image_format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "image_format", "side", "options", "reason"),
    [
        ("LA", "PNG", 9_400, {"compress_level": 1}, None),
        ("CMYK", "TIFF", 9_400, {"compression": "packbits"}, None),
        ("RGB", "JPEG", 9_400, {"progressive": True, "subsampling": 0}, None),
        ("RGB", "JPEG2000", 5_800, {}, "decoding it takes over 600 MB of memory (--max-pixels"),
        ("RGB", "WEBP", 9_400, {"method": 0}, "decoding it takes over 600 MB of memory (--max-pix"),
        ("RGB", "WEBP", 5_900, {"method": 0}, None),
    ],
)
def test_reading_one_picture_takes_at_most_600_mb(
    tmp_path, mode, image_format, side, options, reason
):
    path = tmp_path / "large"
    # In a process of its own, as making it takes memory too.
    make = f"from PIL import Image; Image.new({mode!r}, ({side}, {side})).save"
    make += f"({os.fspath(path)!r}, {image_format!r}, **{options!r})"
    subprocess.run([sys.executable, "-c", make], check=True)
    command = [sys.executable, "-c", READ_AND_REPORT, path]
    answer, megabytes = subprocess.check_output(command, text=True).splitlines()
    assert int(megabytes) < 640  # with Python itself
    assert (reason in answer) if reason else answer == "(32, 32, 3)"


@pytest.mark.parametrize("mode", ["RGBA", "CMYK", "I;16", "F", "LA", "P"])
def test_a_large_picture_gives_nearly_the_same_pixels_as_a_small_one(mode):
    """Only a large one is converted and reduced in bands."""
    slope = np.linspace(0, 255, 500, dtype=np.float32)
    grey = Image.fromarray((slope[None] * 0.5 + slope[:, None] * 0.5).astype(np.uint8))
    if mode in ("I;16", "F"):
        values = np.asarray(grey, np.float32) * (257 if mode == "I;16" else 1 / 255)
        small = Image.fromarray(values.astype(np.uint16 if mode == "I;16" else np.float32))
    else:
        small = grey.convert("RGBA").convert(mode) if mode == "RGBA" else grey.convert(mode)
    if mode == "RGBA":
        small.putalpha(grey.transpose(Image.Transpose.ROTATE_90))
    large = small.resize((4_300, 4_100), Image.Resampling.NEAREST)
    difference = pixels_of(large, 32).astype(int) - pixels_of(small, 32)
    assert abs(difference).max() <= 4


def test_a_decoder_written_in_python_is_ended_in_time(tmp_path):
    path = tmp_path / "plain.ppm"
    path.write_bytes(PLAIN_PPM)
    before = time.thread_time()
    with pytest.raises(SlowPictureError, match=r"reading it took over 0\.3 s"):
        read_isolated(path, SQUARE, 0.3)
    assert time.thread_time() - before < 0.2
    with pytest.raises(HeavyError):
        read_isolated(path, SQUARE, 60, cpu_seconds=0.1)
    # In C, which does not see an exception: the process is ended.
    with pytest.raises(HeavyError):
        read_isolated(png_of_zeros(9_400, 9_400), SQUARE, 60, cpu_seconds=0.05)


def test_a_build_skips_it_and_leaves_no_thread_behind(samples, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "plain.ppm").write_bytes(PLAIN_PPM)
    (folder / "good.webp").write_bytes(next(samples.images.iterdir()).read_bytes())
    threads = threading.active_count()
    report = pokesim.build_index(folder, tmp_path / "index", embedder="compact", file_seconds=1)
    (skipped,) = report.skipped
    assert (report.indexed, skipped.path) == (1, "plain.ppm")
    assert skipped.reason == "reading it took over 1 s (--file-seconds)"
    deadline = time.monotonic() + 10
    while threading.active_count() > threads:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_crash_of_a_decoder_is_a_reason_and_the_next_picture_is_read():
    photo = encoded(Image.new("RGB", (50, 50), "red"), "PNG")
    read_isolated(photo, SQUARE, 60)
    from pokesim.images import _processes

    _processes._idle[-1]._popen.kill()
    with pytest.raises(PictureError, match="the decoder crashed"):
        read_isolated(photo, SQUARE, 60)
    _, picture = read_isolated(photo, SQUARE, 60)
    assert tuple(as_pixels(picture)[0, 0]) == (255, 0, 0)
    _processes._idle[-1]._popen.send_signal(signal.SIGABRT)  # as C++ does without memory
    with pytest.raises(PictureError, match="damaged, or decoding it takes over 600 MB of memory"):
        read_isolated(photo, SQUARE, 60)


def test_what_is_read_elsewhere_gives_the_same_pixels(tmp_path):
    noise = Image.effect_noise((300, 200), 90).convert("RGB")
    for image_format in ("PNG", "JPEG", "TIFF", "PPM"):
        data = encoded(noise, image_format)
        path = tmp_path / f"\udcff é {image_format}"
        path.write_bytes(data)
        for source in (data, path):
            head, picture = read_isolated(source, SQUARE, 60)
            assert head == (image_format, 300, 200)
            np.testing.assert_array_equal(as_pixels(picture), pixels_of(source, 32))


def test_uploads_are_of_a_few_formats_and_light_if_they_must_be():
    photo = Image.new("RGB", (90, 60))
    uploaded = Wanted(32, 32, uploaded=True)
    for image_format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000"):
        read_isolated(encoded(photo, image_format), uploaded, 60)
    for data in (PLAIN_PPM, encoded(photo, "PPM"), b"words"):
        with pytest.raises(
            NotAPictureError, match="not a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF"
        ):
            read_isolated(data, uploaded, 60)
    light = Wanted(32, 32, light=True)
    progressive = encoded(Image.effect_noise((1600, 1600), 9), "JPEG", progressive=True)
    last_scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    read_isolated(progressive, light, 60)
    heavy = [progressive[:-2] + last_scan * 40 + progressive[-2:], png_of_zeros(6_000, 6_000)]
    for data in (*heavy, encoded(photo, "TIFF"), encoded(photo.convert("P"), "BMP") + bytes(9)):
        if data[:2] == b"BM":  # make it one with run lengths, which Pillow decodes in Python
            data = data[:30] + b"\1" + data[31:]  # noqa: PLW2901
        with pytest.raises(HeavyError):
            read_isolated(data, light, 60)


def test_a_file_that_has_become_a_pipe_is_no_picture(tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    for read in (lambda: pixels_of(pipe, 16), lambda: thumbnail_of(pipe, 16, 16)):
        with pytest.raises(PictureError, match="not a regular file"):
            read()
    with pytest.raises(PictureError, match="not a regular file"):
        read_isolated(pipe, SQUARE, 60)
    with pytest.raises(PictureError, match="no such file"):
        read_isolated(Path("nowhere"), SQUARE, 60)
