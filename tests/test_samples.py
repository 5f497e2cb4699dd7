"""The built-in samples, through the public API."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import pokesim
from pokesim.samples import CREATURES, PHOTOGRAPHED, builtin_samples, write_samples

# A small size, because all pairs of creatures are compared.
SMALL = 64


@pytest.fixture(scope="module")
def small_creatures():
    images = builtin_samples().images
    return {name: Image.open(images / f"{name}.webp").resize((SMALL, SMALL)) for name in CREATURES}


def on_white(picture):
    """Return a picture's colours on white, from 0 to 1, float32 (h, w, 3)."""
    pixels = np.asarray(picture, dtype=np.float32) / 255
    return pixels[..., :3] * pixels[..., 3:] + 1 - pixels[..., 3:]


def test_the_151_creatures_have_names_usable_as_file_names():
    assert len(CREATURES) == len(set(CREATURES)) == 151
    assert list(CREATURES) == sorted(CREATURES)
    assert all(re.fullmatch(r"[a-z]{4,10}", name) for name in CREATURES)


def test_every_creature_is_a_picture_with_a_transparent_background():
    for name in CREATURES:
        with Image.open(builtin_samples().images / f"{name}.webp") as creature:
            assert (creature.format, creature.mode) == ("WEBP", "RGBA"), name
            assert creature.size == (256, 256), name


def test_every_creature_fills_its_picture_and_leaves_the_border_empty(small_creatures):
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
        """Return the mean difference, 0 to 1, of two creatures where either is drawn."""
        return float(np.abs(pixels[i] - pixels[j])[drawn[i] | drawn[j]].mean())

    pairs = itertools.combinations(range(len(pixels)), 2)
    # For comparison, a creature and a copy a tenth paler differ by 0.04.
    assert not [(CREATURES[i], CREATURES[j]) for i, j in pairs if difference(i, j) < 0.12]


def test_the_40_photos_show_known_creatures():
    assert len(PHOTOGRAPHED) == len(set(PHOTOGRAPHED)) == 40
    assert list(PHOTOGRAPHED) == sorted(PHOTOGRAPHED)
    assert set(PHOTOGRAPHED) <= set(CREATURES)


def test_every_photo_shows_a_scene():
    for name in PHOTOGRAPHED:
        with Image.open(builtin_samples().photos / f"{name}.jpg") as photo:
            assert (photo.format, photo.mode) == ("JPEG", "RGB"), name
            assert 450 <= min(photo.size) <= max(photo.size) <= 800, name
            assert np.asarray(photo).std() > 20, name


def test_all_samples_together_take_at_most_3_mb():
    folders = builtin_samples().images, builtin_samples().photos
    assert sum(file.stat().st_size for folder in folders for file in folder.iterdir()) <= 3_000_000


def test_write_samples_uses_their_names_and_restores_changed_files(tmp_path):
    samples = write_samples(tmp_path / "new" / "samples")
    files = [*sorted(samples.images.iterdir()), *sorted(samples.photos.iterdir())]
    assert [file.name for file in files] == [
        *(f"{name}.webp" for name in CREATURES),
        *(f"{name}.jpg" for name in PHOTOGRAPHED),
    ]
    with Image.open(files[0]) as image, Image.open(files[-1]) as photo:
        assert (image.format, image.mode) == ("WEBP", "RGBA")
        assert (photo.format, photo.mode) == ("JPEG", "RGB")

    before = [file.read_bytes() for file in files]
    files[0].write_bytes(b"changed")
    assert pokesim.write_samples(str(tmp_path / "new" / "samples")) == samples
    assert [file.read_bytes() for file in files] == before


def test_a_folder_that_cannot_be_created_raises_os_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        write_samples(tmp_path / "file")


def test_the_names_are_available_without_importing_numpy_or_pillow():
    script = "import sys, pokesim.samples; print({'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
