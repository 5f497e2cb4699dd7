"""HEIC, as phones write it: read as any other picture, by a decoder that others do not load.

Also raw files, by their previews; and files of a kind that is known but cannot be read: listed with
what to do.
"""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support.heic import heic
from support.pictures import stranger
from support.raw import write_dng

from pokesim.build.options import BuildReport
from pokesim.errors import PictureError
from pokesim.images import (
    HeavyError,
    Wanted,
    head_of,
    image_of,
    pixels_of,
    read_isolated,
    thumbnail_of,
)
from pokesim.index.manifest import Skipped
from pokesim.show.reports import build_notes

UPRIGHT = Image.new("RGB", (60, 90), "white")
UPRIGHT.paste("red", (0, 0, 30, 20))
UPRIGHT.paste("blue", (40, 70, 60, 90))


def as_read(picture):
    """Return the pixels of a picture that is in memory."""
    return pixels_of(picture, 30).astype(int)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_upright_exactly_once(orientation):
    photo = heic(UPRIGHT, orientation=orientation)
    assert head_of(photo) == ("HEIF", 60, 90)
    assert abs(pixels_of(photo, 30) - as_read(UPRIGHT)).mean() < 5
    assert thumbnail_of(photo, 30, 30).size == (20, 30)


def test_what_exif_alone_says_about_the_orientation_does_not_count():
    photo = heic(UPRIGHT, orientation=1)
    orientation = b"\x01\x12\0\x03\0\0\0\x01\0"  # the tag, its type, its count, and its value
    assert photo.count(orientation + b"\1") == 1
    turned = photo.replace(orientation + b"\1", orientation + b"\6")
    np.testing.assert_array_equal(pixels_of(turned, 30), pixels_of(photo, 30))


def test_the_main_picture_of_several_is_read():
    others = [Image.new("RGB", (20, 20), "lime"), Image.new("RGB", (60, 90), "lime")]
    assert abs(pixels_of(heic(UPRIGHT, *others), 30) - as_read(UPRIGHT)).mean() < 5


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
@pytest.mark.parametrize("bits", [8, 10])
def test_all_modes_give_their_pixels_on_white(mode, bits):
    picture = stranger().convert("L" if mode.startswith("L") else "RGB")
    expected = picture
    if mode.endswith("A"):
        alpha = Image.linear_gradient("L").resize(picture.size)
        expected = Image.composite(picture, Image.new(picture.mode, picture.size, "white"), alpha)
        picture = picture.convert(mode)
        picture.putalpha(alpha)
    photo = heic(picture, bits=bits, tile_size=128)  # phones store tiles too
    assert abs(pixels_of(photo, 30) - as_read(expected)).mean() < 5


def test_a_damaged_or_hostile_file_is_refused_with_a_reason():
    photo = heic(UPRIGHT)
    start = photo[:28]
    for data in (
        start,
        photo[:300],
        photo[:-40],
        start + bytes(400),
        photo.replace(b"hvcC", b"none"),
    ):
        for wanted in (Wanted(8, 8), Wanted(8, 8, uploaded=True)):
            with pytest.raises(PictureError, match="damaged or unsupported"):
                read_isolated(data, wanted, 60)
    with pytest.raises(PictureError, match="60 × 90 pixels exceed the limit"):
        pixels_of(photo, 8, max_pixels=5399)


def test_avif_that_begins_as_heif_does_is_read_as_avif():
    file = io.BytesIO()
    UPRIGHT.save(file, "AVIF")
    avif = file.getvalue()
    for data in (heic(UPRIGHT), avif[:8] + b"mif1" + avif[12:]):  # by the same process
        assert abs(pixels_of(data, 30) - as_read(UPRIGHT)).mean() < 5


def test_it_is_never_light():
    for uploaded in (False, True):
        with pytest.raises(HeavyError):
            read_isolated(heic(UPRIGHT), Wanted(8, 8, uploaded=uploaded, light=True), 60)


LIMITED = """
import sys
from pokesim.images import decode, process, worker
decode.MEMORY_BYTES = int(sys.argv[2])
wanted = process._text_of(decode.Wanted(32, 32))
request = {"path": sys.argv[1], "wanted": wanted, "cpu_seconds": 0}
answer, pixels = worker._answer(request, b"")
print(answer.get("reason", len(pixels)))
"""


def test_the_memory_for_it_is_limited(tmp_path):
    """In the proportion of 48 megapixels, a phone's largest photo, to 600 MB: 12 bytes a pixel."""
    path = tmp_path / "large.heic"
    path.write_bytes(heic(Image.new("RGBA", (2_000, 2_000)), tile_size=512))
    for limit, answer in ((48_000_000, "3072"), (32_000_000, "decoding it takes over 32 MB")):
        command = [sys.executable, "-c", LIMITED, path, str(limit)]
        assert subprocess.check_output(command, text=True).startswith(answer)


def test_a_phones_folder_is_indexed_and_found(run, samples, tmp_path):
    """With what is beside the photos on a phone; and only what reads HEIC loads its decoder."""
    folder = tmp_path / "phone" / "DCIM"
    folder.mkdir(parents=True)
    names = sorted(samples.images.iterdir())[:6]
    for number, name in enumerate(names):
        with Image.open(name) as picture:
            turned = heic(picture, orientation=1 + number)
        (folder / f"{name.stem}.{'HEIC' if number % 2 else 'heif'}").write_bytes(turned)
        (folder / f"{name.stem}.MOV").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  ")
    (folder / "IMG_0001.DNG").write_bytes(b"II*\0\x08\0\0\0\0\0")
    with Image.open(names[0]) as picture:
        write_dng(folder / "IMG_0004.dng", picture.convert("RGB"), orientation=6)
    write_dng(folder / "IMG_0005.dng", None)
    (folder / "IMG_0002.CR3").write_bytes(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom")
    (folder / "logo.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (folder / "IMG_0003.heic").write_bytes(heic(UPRIGHT)[:-40])
    (folder / "notes.txt").write_text("words")

    built = run("build-index", "phone", "-i", "index", "--embedder", "compact")
    assert "Indexed 8 pictures, skipped 10" in built.stdout + built.stderr
    skipped = dict(
        line.removeprefix("skipped DCIM/").split(": ", 1)
        for line in built.stderr.splitlines()
        if line.startswith("skipped ")
    )
    assert len(skipped) == 10
    assert "save a frame of it" in skipped[f"{names[0].stem}.MOV"]
    assert "damaged or unsupported raw file" in skipped["IMG_0001.DNG"]
    assert "damaged or unsupported raw file" in skipped["IMG_0002.CR3"]
    assert "convert it to PNG" in skipped["logo.eps"]
    assert "damaged" in skipped["IMG_0003.heic"]
    assert "Nothing to do" in run("build-index", "phone", "-i", "index").stdout
    for name in names[:2]:
        (found,) = json.loads(run("query", name, "-i", "index", "--format", "json").stdout)
        assert found["matches"][0]["label"] == name.stem
        assert found["matches"][0]["similarity"] > 95
    photo = folder / f"{names[1].stem}.HEIC"
    saved = run("query", photo, "-i", "index", "-k", "2", "--save", "card.png", "--format", "paths")
    assert saved.stdout.splitlines()[0] == str(photo), saved.stderr
    assert (tmp_path / "card.png").exists()
    raw = run(
        "query", folder / "IMG_0004.dng", "-i", "index", "--format", "json", "--save", "raw.png"
    )
    (found,) = json.loads(raw.stdout)
    assert found["matches"][0]["label"] == "DCIM/IMG_0004"
    with Image.open(names[0]) as picture:
        upright = picture.convert("RGB").transpose(Image.Transpose.ROTATE_270)
    seen = image_of(folder / "IMG_0004.dng")
    assert np.abs(np.asarray(seen, int) - np.asarray(upright, int)).mean() < 3
    assert thumbnail_of(folder / "IMG_0005.dng", 20, 20).size == (20, 20)


def test_without_the_library_a_raw_file_is_skipped_with_what_to_do(run, tmp_path):
    write_dng(tmp_path / "IMG_0001.dng", UPRIGHT)
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "rawpy.py").write_text("raise ImportError")
    done = run("build-index", ".", "--embedder", "compact", PYTHONPATH=str(tmp_path / "modules"))
    assert done.returncode == 1
    reason = "a camera's raw file; pip install 'pokesim[raw]', or export it as JPEG"
    assert f"IMG_0001.dng: {reason}" in done.stderr


def test_what_reads_no_heic_does_not_load_its_decoder(index_path, samples):
    photo = next(samples.photos.iterdir())
    for args in (["--help"], ["query", photo, "--index", index_path]):
        command = [sys.executable, "-X", "importtime", "-m", "pokesim", *args]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "pokesim.cli" in done.stderr
        assert "heif" not in done.stderr


def test_many_files_skipped_for_one_reason_are_counted():
    skipped = [Skipped(f"{number}.mov", "a video") for number in range(1_000)]
    skipped.insert(0, Skipped("a.png", "empty file"))
    report = BuildReport("index", "compact", 1, tuple(skipped), 1, 1, 0, None, True)
    lines = build_notes(report)
    assert lines[:2] == ["skipped a.png: empty file", "skipped 0.mov: a video"]
    assert lines[-1] == "skipped 980 more files (`pokesim info` lists all): a video"
    assert len(lines) == 22
