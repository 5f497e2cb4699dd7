"""The share card: whole pictures, any name, one match or many, and heat maps."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

import pokesim
from pokesim.show.drawing.canvas import ACCENT, MAT, PAPER, TILE
from pokesim.show.drawing.card import HEIGHT, WIDTH, card
from pokesim.show.drawing.heatmap import heated
from pokesim.show.drawing.typeset import write

NAMES = {
    "brumbel": "ピカチュウ 皮卡丘",
    "finnolo": "a name that goes on and on, as those of photographs do, 2026-11-22 23.54.39 (copy)",
    "fiveray": "Flabébé – Nidoran♀ \U0001f600\ufe0f",
    "lumijel": "line\nbreak\tand tab",
    "anguro": "مرحبا",
    "truffin": "\u202eright to left",
}
PHOTO, MATCH = (40, 40, 516, 420), (684, 40, 1160, 420)  # their tiles if there are further matches


def colours(picture, box):
    return len(picture.crop(box).convert("RGB").getcolors(1 << 20))


def answer_of(index, photo, k=6):
    with pokesim.open_index(index) as opened:
        return next(opened.answer([photo], k))


@pytest.mark.parametrize("k", [1, 2, 5, 12])
def test_a_card_shows_photos_and_matches(run, index_path, samples, tmp_path, k):
    photos = sorted(samples.photos.iterdir())[:2]
    done = run("query", *photos, "-k", str(k), "--index", index_path, "--save", "card.png")
    assert done.returncode == 0, done.stderr
    cards = Image.open(tmp_path / "card.png")
    assert cards.size == (WIDTH, 2 * HEIGHT)
    for top in (0, HEIGHT):
        one = cards.crop((0, top, WIDTH, top + HEIGHT))
        assert colours(one, PHOTO) > 1000
        assert colours(one, MATCH) > 100
        assert k == 1 or colours(one, (40, 506, 124, 590)) > 50


def test_a_card_that_cannot_be_written_is_one_message(run, index_path, samples):
    query = ("query", samples.photos / "brumbel.jpg", "--index", index_path)
    wrong = run(*query, "--save", "card.txt")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    nowhere = run(*query, "--save", "no/card.png")
    assert nowhere.returncode == 1
    assert "no/card.png cannot be written" in nowhere.stderr


def test_any_name_fits_its_space(samples, tmp_path):
    folder = tmp_path / "named"
    folder.mkdir()
    for creature, name in NAMES.items():
        shutil.copy(samples.images / f"{creature}.webp", folder / f"{name}.webp")
    shutil.copy(samples.images / "waddlo.webp", os.fsencode(folder) + b"/not \xff utf-8.webp")
    pokesim.build_index(folder, tmp_path / "index", embedder="compact")
    for path in folder.iterdir():
        drawn = card(answer_of(tmp_path / "index", path))
        assert colours(drawn, (684, 410, 1160, 480)) > 2  # its name
        edge = drawn.crop((1164, 0, WIDTH, HEIGHT)).getcolors()
        assert edge == [(36 * HEIGHT, ImageColor.getrgb(PAPER))]


@given(text=st.text(max_size=400), size=st.integers(8, 60), least=st.integers(8, 60))
@settings(max_examples=100, deadline=None)
def test_a_line_of_any_text_fits_its_width(text, size, least):
    canvas = Image.new("L", (400, 100), "white")
    assert write(canvas, (0, 70), text, 300, size, "black", least=least) <= 300
    assert canvas.crop((310, 0, 400, 100)).getextrema() == (255, 255)


@pytest.mark.parametrize("size", [(900, 90), (90, 900), (300, 300), (64, 48), (4000, 3000)])
def test_a_photo_is_whole_and_in_proportion(index_path, size):
    photo = Image.new("RGB", size, "#2060c0")
    width, height = size
    photo.paste("#ff0000", (width // 4, height // 4, 3 * width // 4, 3 * height // 4))
    drawn = np.asarray(card(answer_of(index_path, photo)).crop(PHOTO), np.int16)
    ys, xs = np.nonzero(np.abs(drawn - ImageColor.getrgb("#ff0000")).sum(axis=2) < 200)
    inner = np.ptp(xs) + 1, np.ptp(ys) + 1
    # The inner half is centred, and twice its size just fills the tile.
    assert inner[0] / inner[1] == pytest.approx(width / height, rel=0.1)
    assert min(drawn.shape[1] / inner[0], drawn.shape[0] / inner[1]) == pytest.approx(2, rel=0.1)
    assert xs.mean() == pytest.approx(drawn.shape[1] / 2, abs=2)
    assert ys.mean() == pytest.approx(drawn.shape[0] / 2, abs=2)


@pytest.mark.parametrize("size", [(900, 300), (300, 900), (500, 500)])
def test_a_photo_that_does_not_fill_its_tile_has_a_plain_mat(index_path, size):
    noise = np.random.default_rng(3).integers(0, 256, (*size[::-1], 3), np.uint8)
    drawn = np.asarray(card(answer_of(index_path, Image.fromarray(noise))).crop(PHOTO))
    kept = min(drawn.shape[1] / size[0], drawn.shape[0] / size[1])
    empty = drawn.shape[1] - round(kept * size[0]), drawn.shape[0] - round(kept * size[1])
    across, down = (max(0, left // 2 - 1) for left in empty)
    for edge in (drawn[20:-20, :across], drawn[20:-20, drawn.shape[1] - across :]):
        assert not across or (edge == ImageColor.getrgb(MAT)).all()
    for edge in (drawn[:down, 20:-20], drawn[drawn.shape[0] - down :, 20:-20]):
        assert not down or (edge == ImageColor.getrgb(MAT)).all()
    assert across or down


def test_a_photo_of_almost_the_shape_of_its_tile_fills_it(index_path):
    noise = np.random.default_rng(3).integers(0, 256, (300, 400, 3), np.uint8)
    drawn = np.asarray(card(answer_of(index_path, Image.fromarray(noise))).crop(PHOTO), np.int16)
    for edge in (drawn[20:-20, 0], drawn[20:-20, -1], drawn[0, 20:-20], drawn[-1, 20:-20]):
        assert np.abs(np.diff(edge, axis=0)).mean() > 10, "the photo itself, not a blurred edge"


def test_a_match_that_is_only_the_closest_has_no_ring(index_path, samples):
    accent = np.array(ImageColor.getrgb(ACCENT))
    for photo, resembles in ((samples.photos / "brumbel.jpg", True), (Image.new("L", (9, 9)), 0)):
        answer = answer_of(index_path, photo)
        assert answer.resembles == resembles
        middle = np.asarray(card(answer).crop((526, 40, 674, 420)))
        assert (middle == accent).all(axis=2).any() == resembles


@pytest.mark.parametrize(
    ("name", "room", "shown"),
    [
        ("IMG_0042", 200, "IMG_0042"),
        ("holiday in the south of France/IMG_0042", 240, "holiday in…/IMG_0042"),
        ("holiday in the south of France/IMG_0042.webp", 145, "IMG_0042"),
        ("holiday/a-long-name-of-a-picture-0042.webp", 250, "a-long-name…0042"),
        ("a photograph of a dog in a garden (copy 2)", 260, "a photograph…(copy 2)"),
    ],
)
def test_a_long_name_keeps_what_tells_it_from_others(name, room, shown):
    cut, whole = (Image.new("L", (600, 60), "white") for _ in range(2))
    width = write(cut, (0, 40), name, room, 20, "black")
    assert width == write(whole, (0, 40), shown, 600, 20, "black")
    assert cut.tobytes() == whole.tobytes()


def test_a_missing_match_is_blank(samples, tmp_path):
    folder = shutil.copytree(samples.images, tmp_path / "images")
    pokesim.build_index(folder, tmp_path / "index", embedder="compact")
    answer = answer_of(tmp_path / "index", samples.photos / "brumbel.jpg")
    Path(answer.matches[0].path).unlink()
    blank = card(answer).crop(MATCH).crop((20, 20, 400, 300))
    assert blank.getcolors() == [(380 * 280, ImageColor.getrgb(TILE))]


def test_heat_is_reddest_where_most_is_added():
    places = np.zeros((4, 4), np.float32)
    places[0, 3], places[3, 0] = 40, -40
    drawn = heated(Image.new("RGB", (300, 100), "white"), places, 0, 600, 600)
    assert drawn.size == (600, 200)
    red, green, blue = (np.asarray(drawn)[..., at].astype(int) for at in range(3))
    warmth = red - blue
    assert np.unravel_index(warmth.argmax(), warmth.shape) >= (0, 450)
    assert warmth[25, 525] > 150
    assert (
        red[150, 75] == green[150, 75] == blue[150, 75]
    )  # what reduces the similarity is not coloured
    nothing = heated(Image.new("RGB", (9, 9)), np.zeros((4, 4), np.float32), 0, 9, 9)
    assert len(nothing.getcolors()) == 1


@pytest.mark.parametrize("shift", [-0.5, 0, 0.25])
def test_heat_is_drawn_at_the_shifted_cells(shift):
    places = np.zeros((4, 4), np.float32)
    places[1, 2] = 1
    drawn = np.asarray(heated(Image.new("RGB", (80, 40), "white"), places, shift, 800, 400))
    warmth = drawn[..., 0].astype(float) - drawn[..., 2]
    lines, columns = warmth.sum(axis=1), warmth.sum(axis=0)
    assert lines @ np.arange(400) / lines.sum() == pytest.approx(100 * (1.5 + shift), abs=2)
    assert columns @ np.arange(800) / columns.sum() == pytest.approx(200 * (2.5 + shift), abs=4)


def test_explain_colours_the_card(run, index_path, samples, tmp_path):
    photo = samples.photos / "brumbel.jpg"
    query = ("query", photo, "--index", index_path, "--save")
    for name, options in (("plain.png", []), ("hot.png", ["--explain"])):
        done = run(*query, name, *options)
        assert (done.returncode, done.stderr) == (0, "")
    plain, hot = (Image.open(tmp_path / name) for name in ("plain.png", "hot.png"))
    for box in (PHOTO, MATCH):
        before, after = (np.asarray(one.crop(box), np.int16) for one in (plain, hot))
        assert np.abs(before - after).mean() > 10
    below = (0, 490, WIDTH, HEIGHT)
    assert hot.crop(below).tobytes() == plain.crop(below).tobytes()
    alone = run("query", photo, "--index", index_path, "--explain")
    assert (alone.returncode, alone.stdout) == (2, "")
    assert "--explain needs --save or --html" in alone.stderr


def test_a_missing_match_is_not_explained(run, samples, tmp_path):
    folder = shutil.copytree(samples.images, tmp_path / "images")
    pokesim.build_index(folder, tmp_path / "index", embedder="compact")
    (folder / "brumbel.webp").unlink()
    photo = samples.photos / "brumbel.jpg"
    done = run("query", photo, "--index", "index", "--save", "card.png", "--explain")
    assert done.returncode == 0
    assert "No explanation: " in done.stderr
    assert "brumbel.webp: no such file" in done.stderr
    assert (tmp_path / "card.png").is_file()


def test_very_thin_pictures_are_drawn(index_path, tmp_path):
    for size in ((2_000, 3), (3, 2_000), (9_000, 1)):
        Image.new("RGB", size, "red").save(tmp_path / "thin.png")
        drawn = card(answer_of(index_path, tmp_path / "thin.png"))
        assert (255, 0, 0) in {colour for _, colour in drawn.crop(PHOTO).getcolors(1 << 20)}, size


def test_a_file_without_room_for_the_cards_is_a_usage_error(run, index_path, samples):
    photos = 35 * sorted(samples.photos.iterdir())[:3]
    done = run("query", *photos, "--index", index_path, "--save", "cards.jpg")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a JPEG has room for 104 photos, not 105; use a PNG, or --html for more." in done.stderr
