"""An index as a sequence of pictures; photos as arrays; what notebooks show."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

import pokesim
from pokesim.errors import PictureError, UsageError


@pytest.fixture(scope="module")
def photo(samples):
    return samples.photos / "brumbel.jpg"


def test_an_index_is_a_sequence_of_its_pictures(index):
    pictures = list(index)
    assert len(pictures) == len(index)
    assert [one.id for one in pictures] == list(range(len(index)))
    assert [one.path for one in pictures] == index.paths
    assert [one.label for one in pictures] == index.labels
    assert index[-1] == pictures[-1]
    assert index[2:5] == pictures[2:5]
    assert index[np.int64(1)] == pictures[1]
    assert pictures[7].path.samefile(index.query(pictures[7].path, k=1)[0].path)
    with pytest.raises(IndexError):
        index[len(index)]


def test_a_picture_has_its_pixels_and_its_vector(index):
    picture = index[3]
    with Image.open(picture.path) as stored:
        assert picture.image().size == stored.size
    assert picture.image().mode == "RGB"
    np.testing.assert_array_equal(picture.vector, index.vectors([3])[0])
    np.testing.assert_array_equal(index.embed(picture.path)[0], picture.vector)


def test_a_picture_taken_sideways_comes_out_upright_in_its_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "red").save(tmp_path / "a.jpg", exif=exif)
    pokesim.build_index(tmp_path, tmp_path / "ix", embedder="compact")
    with pokesim.open_index(tmp_path / "ix") as index:
        assert index[0].image().size == (20, 40)
        assert index.query(tmp_path / "a.jpg")[0].image().size == (20, 40)


def test_metadata_travels_with_pictures_and_matches(samples, tmp_path):
    shutil.copy(samples.images / "brumbel.webp", tmp_path)
    (tmp_path / "t.csv").write_text("name,type\nbrumbel,fire\n")
    index = tmp_path / "ix"
    pokesim.build_index(tmp_path, index, embedder="compact", metadata=tmp_path / "t.csv")
    with pokesim.open_index(index) as opened:
        path = str(tmp_path / "brumbel.webp")
        row = {"id": 0, "label": "brumbel", "path": path, "name": "brumbel", "type": "fire"}
        assert opened.to_records() == [row]
        (record,) = opened.query(path).to_records()
        assert record == {
            "rank": 1, "label": "brumbel", "similarity": 100.0, "distance": 0.0, "path": path,
            "name": "brumbel", "type": "fire",
        }  # fmt: skip
        assert repr(opened) == f"<pokesim.Index: 1 pictures by compact in {index}>"


def test_an_array_of_pixels_is_a_photo(index, photo):
    with Image.open(photo) as opened:
        picture = opened.convert("RGB")
    pixels = np.asarray(picture)
    assert index.query(pixels) == index.query(picture)
    assert index.query(pixels[:, ::-1]) == index.query(picture.transpose(Image.Transpose(0)))
    rows = index.embed([pixels, picture, photo])
    assert rows.shape == (3, index.manifest.dimension)
    np.testing.assert_array_equal(rows[0], rows[1])
    assert index.embed([]).shape == (0, index.manifest.dimension)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((9, 9, 3), np.float32),
        np.zeros((0, 9, 3), np.uint8),
    ],
)
def test_another_array_is_an_error(index, pixels):
    for call in (index.query, index.embed):
        with pytest.raises(PictureError, match="must be uint8"):
            call(pixels)


def test_photos_that_cannot_be_read_are_skipped_if_asked(index, photo, tmp_path):
    missing = tmp_path / "missing.jpg"
    none, some = index.query([missing, photo], errors="skip")
    assert none == []
    assert some == index.query(photo)
    assert index.query(missing, errors="skip") == []
    for errors in ("raise", "ignore"):
        with pytest.raises(PictureError if errors == "raise" else UsageError):
            index.query([missing, photo], errors=errors)


def test_notebooks_show_pictures(index, photo, tmp_path):
    missing = next(index.answer([tmp_path / "missing.jpg"]))
    shown = [
        (index, 60),
        (index.query(photo, k=3), 3),
        (index.query(photo, k=3)[1], 1),
        (next(index.answer([photo], k=3)), 1 + 3),
        (missing, 0),
        (index[0], 1),
    ]
    for value, count in shown:
        page = value._repr_html_()
        assert len(re.findall(r'<img [^>]*src="data:image/webp;base64,', page)) == count
    assert "missing.jpg: no such file" in missing._repr_html_()


def test_dir_lists_the_public_names():
    assert dir(pokesim) == sorted(pokesim.__all__)
    assert all(hasattr(pokesim, name) for name in dir(pokesim))
