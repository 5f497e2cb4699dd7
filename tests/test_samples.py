"""The built-in samples, through the package's public face."""

import hashlib
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support.paths import ROOT

from pokesim.samples import CREATURES, PHOTOGRAPHED, draw_creature, draw_photo, write_samples

# Drawing everything takes seconds: what is checked of every creature is checked of small ones.
SMALL = 64


@pytest.fixture(scope="module")
def small_creatures():
    return {name: draw_creature(name, SMALL) for name in CREATURES}


def on_white(picture):
    """The picture's colours on white, from 0 to 1, as (h, w, 3)."""
    pixels = np.asarray(picture, dtype=np.float32) / 255
    return pixels[..., :3] * pixels[..., 3:] + 1 - pixels[..., 3:]


def test_there_are_151_creatures_with_names_fit_for_files():
    assert len(CREATURES) == len(set(CREATURES)) == 151
    assert list(CREATURES) == sorted(CREATURES)
    assert all(re.fullmatch(r"[a-z]{4,10}", name) for name in CREATURES)


def test_a_creature_is_a_picture_on_transparent_ground():
    creature = draw_creature(CREATURES[0])
    assert (creature.mode, creature.size) == ("RGBA", (256, 256))


def test_every_creature_fills_its_picture_and_leaves_the_edge_free(small_creatures):
    for name, creature in small_creatures.items():
        alpha = np.asarray(creature.getchannel("A"))
        border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        assert border.max() == 0, name
        left, top, right, bottom = creature.getchannel("A").getbbox()
        assert max(right - left, bottom - top) > 0.85 * SMALL, name
        assert 0.12 < (alpha > 128).mean() < 0.85, name


def test_no_two_creatures_look_alike(small_creatures):
    pixels = np.stack([on_white(picture) for picture in small_creatures.values()])
    drawn = (pixels < 1).any(axis=3)

    def difference(i, j):
        """The mean difference of two creatures where either is drawn, 0 to 1."""
        return float(np.abs(pixels[i] - pixels[j])[drawn[i] | drawn[j]].mean())

    pairs = {(i, j): difference(i, j) for i in range(len(pixels)) for j in range(i)}
    alike = [(CREATURES[i], CREATURES[j]) for (i, j), value in pairs.items() if value < 0.12]
    # For comparison: a creature and itself, a tenth paler, differ by 0.04.
    assert not alike


def test_drawing_is_the_same_in_another_process():
    names = [CREATURES[3], CREATURES[70]]
    script = (
        "import hashlib; from pokesim.samples import draw_creature, draw_photo\n"
        f"for name in {names}:\n"
        "    for picture in (draw_creature(name), draw_photo(name)):\n"
        "        print(hashlib.sha256(picture.tobytes()).hexdigest())"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    here = [
        hashlib.sha256(picture.tobytes()).hexdigest()
        for name in names
        for picture in (draw_creature(name), draw_photo(name))
    ]
    assert elsewhere == here


def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError):
        draw_creature("nobody")
    with pytest.raises(KeyError):
        draw_photo("nobody")


def test_there_are_40_photos_of_known_creatures():
    assert len(PHOTOGRAPHED) == len(set(PHOTOGRAPHED)) == 40
    assert set(PHOTOGRAPHED) <= set(CREATURES)


def test_a_photo_shows_the_creature_in_a_scene():
    photo = draw_photo(PHOTOGRAPHED[0])
    assert photo.mode == "RGB"
    assert 450 <= min(photo.size) <= max(photo.size) <= 800
    assert np.asarray(photo).std() > 20


def test_samples_are_written_under_their_names_and_the_same_again(tmp_path, monkeypatch):
    monkeypatch.setattr("pokesim.samples.CREATURES", CREATURES[:3])
    monkeypatch.setattr("pokesim.samples.PHOTOGRAPHED", PHOTOGRAPHED[:2])
    samples = write_samples(tmp_path / "new" / "samples")
    files = [*sorted(samples.images.iterdir()), *sorted(samples.photos.iterdir())]
    assert [file.name for file in files] == [
        *(f"{name}.png" for name in CREATURES[:3]),
        *(f"{name}.jpg" for name in PHOTOGRAPHED[:2]),
    ]
    with Image.open(files[0]) as image, Image.open(files[-1]) as photo:
        assert (image.format, image.mode) == ("PNG", "RGBA")
        assert (photo.format, photo.mode) == ("JPEG", "RGB")

    before = [file.read_bytes() for file in files]
    write_samples(str(tmp_path / "new" / "samples"))
    assert [file.read_bytes() for file in files] == before


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        write_samples(tmp_path / "file")
