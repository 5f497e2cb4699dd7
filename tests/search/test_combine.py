"""Several photos as one question: the weighted sum of their vectors, exactly searched."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import pokesim
from pokesim.errors import CombinationError, PictureError, UsageError
from pokesim.search.combine import combined, examples, split_weight


@pytest.fixture(scope="module")
def abc(samples):
    return [samples.photos / f"{name}.jpg" for name in ("brumbel", "hoplite", "anguro")]


def vectors_of(index, photos):
    return np.array([vector for _, vector in index.embed_photos(photos)], np.float64)


def test_the_weighted_sum_is_searched_with(index, abc):
    a, b, c = vectors_of(index, abc)
    total = a + 0.5 * b - 0.25 * c
    D, I = index.search(total / np.linalg.norm(total), 9)
    options = {"positive": [(abc[1], 0.5)], "negative": [(abc[2].read_bytes(), 0.25)]}
    found = index.query(abc[0], 9, **options)
    assert [match.id for match in found] == I[0].tolist()
    np.testing.assert_allclose([match.distance for match in found], D[0], atol=1e-6)
    assert index.query([abc[0]], 9, **options) == [found]
    # The best compromise: by the weighted sum of cosines with the photos, over all pictures.
    cosines = index.vectors(np.arange(len(index))) @ total
    assert I[0].tolist() == np.argsort(-cosines, kind="stable")[:9].tolist()


def test_a_photo_between_two_finds_both_and_one_without_itself_finds_others(index, samples):
    brumbel, hootle = (samples.images / f"{name}.webp" for name in ("brumbel", "hootle"))
    both = index.query(brumbel, 2, positive=[hootle])
    assert {match.label for match in both} == {"brumbel", "hootle"}
    assert both[0].distance == pytest.approx(both[1].distance, abs=1e-6)
    others = index.query(brumbel, 5, positive=[hootle], exclude_self=True)
    assert not {"brumbel", "hootle"} & {match.label for match in others}
    waddlo = samples.images / "waddlo.webp"
    near = [match.label for match in index.query(brumbel, 20)]
    away = [match.label for match in index.query(brumbel, 20, negative=[waddlo])]
    assert "waddlo" in near
    assert "waddlo" not in away


@pytest.mark.parametrize("mode", ["not normalized", "tuned"])
def test_other_vectors_are_combined_where_they_are_searched(samples, abc, tmp_path, mode):
    folder = tmp_path / "some"
    folder.mkdir()
    for photo in abc:
        shutil.copy(samples.images / f"{photo.stem}.webp", folder)
    for name in ("hootle", "waddlo", "fiveray"):
        shutil.copy(samples.images / f"{name}.webp", folder)
    pokesim.build_index(folder, tmp_path / "index", embedder="compact", normalize=mode == "tuned")
    if mode == "tuned":
        pokesim.tune_index(samples.photos, tmp_path / "index", force=True, dims=8)
    with pokesim.open_index(tmp_path / "index") as index:
        rows = vectors_of(index, abc)
        lengths = np.linalg.norm(rows, axis=1)
        total = rows[0] + rows[1] - rows[2]
        total *= lengths.mean() / np.linalg.norm(total)
        D, I = index.search(total, 6)
        found = index.query(abc[0], 6, positive=[abc[1]], negative=[abc[2]])
    assert [match.id for match in found] == I[0].tolist()
    np.testing.assert_allclose([match.distance for match in found], D[0], rtol=1e-5)


def test_photos_that_are_the_same_or_cancel_out_are_one_sentence(index, abc, tmp_path):
    copied = shutil.copy(abc[1], tmp_path / "copy.jpg")
    with Image.open(abc[1]) as photo:
        photo.save(tmp_path / "other.png")
    for options in (
        {"positive": [abc[0]]},
        {"negative": [abc[0]]},
        {"positive": [abc[1]], "negative": [copied]},
        {"positive": [abc[1], tmp_path / "other.png"]},
    ):
        with pytest.raises(CombinationError, match=r"(given twice|same picture as .*); give"):
            index.query(abc[0], **options)
    assert index.query(abc[0], crop="0%,0%,50%,100%", negative=[abc[0]])
    x, y = np.eye(2, dtype=np.float32)
    (opposite,) = examples([], [("b.jpg", 1)])
    (half,) = examples([("c.jpg", 1)], [])
    with pytest.raises(CombinationError, match=r"^a, b.jpg, c.jpg: they cancel each other out"):
        combined("a", x, [(opposite, x + y), (half, y)])


@pytest.mark.parametrize("weight", [np.nan, np.inf, -np.inf, 0, -1, "1", None, 10**400])
def test_weights_are_finite_and_above_0(index, abc, weight):
    for name in ("positive", "negative"):
        with pytest.raises(UsageError, match=r"^The weight of .*hoplite.jpg must be "):
            index.query(abc[0], **{name: [(abc[1], weight)]})


def test_weights_may_be_of_any_size(index, abc):
    expected = index.query(abc[0], positive=[abc[1]])
    for weight in (1e300, 1e-300):
        alone = index.query(abc[1 if weight > 1 else 0])
        found = index.query(abc[0], positive=[(abc[1], weight)])
        assert [match.id for match in found] == [match.id for match in alone] != expected


def test_an_unreadable_photo_of_several_is_named(index, abc, tmp_path):
    with pytest.raises(PictureError, match=r"nowhere.jpg: no such file\.$"):
        index.query(abc[0], positive=[tmp_path / "nowhere.jpg"])
    answer, bad = index.answer([abc[0], "nowhere.jpg"], positive=[abc[1]])
    assert answer.matches
    assert "no such file" in str(bad.error)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5:b.jpg", ("b.jpg", 0.5)),
        ("2:C:\\b.jpg", ("C:\\b.jpg", 2)),
        ("1e3:http://a/b", ("http://a/b", 1000)),
        ("http://a/b.jpg", ("http://a/b.jpg", 1)),
        ("C:\\b.jpg", ("C:\\b.jpg", 1)),
        ("./3:b.jpg", ("./3:b.jpg", 1)),
        ("3:", ("3:", 1)),
    ],
)
def test_a_weight_stands_before_the_photo(text, expected):
    assert split_weight(text) == expected


def test_the_command_line_combines_photos_and_shows_them(run, index_path, abc, tmp_path):
    a, b, c = (shutil.copy(one, tmp_path / one.name) and one.name for one in abc)
    query = ("query", a, "--with", f"0.5:{b}", "--without", c, "--index", index_path)
    table = run(*query, "--save", "card.png")
    assert table.returncode == 0, table.stderr
    title = table.stdout.splitlines()[0]
    assert title.startswith("brumbel.jpg + 0.5 × hoplite.jpg − anguro.jpg")
    with Image.open(tmp_path / "card.png") as card:
        assert card.size == (1200, 630)
    (answer,) = json.loads(run(*query, "--format", "json").stdout)
    assert answer["query"] == a
    assert answer["with"] == [{"query": b, "weight": 0.5}]
    assert answer["without"] == [{"query": c, "weight": 1}]
    for more, code, message in (
        (["--with", a], 2, "brumbel.jpg: given twice; give it once, with a weight."),
        (["--with", f"nan:{b}"], 2, "The weight of hoplite.jpg must be a finite number, not nan."),
        (["--without", f"-1:{b}"], 2, "The weight of hoplite.jpg must be above 0, not -1."),
        (["--with", "nowhere.jpg"], 1, "nowhere.jpg: no such file."),
        (["--with", b, "--explain", "--save", "x.png"], 2, "--explain is for one photo"),
    ):
        done = run("query", a, *more, "--index", index_path)
        assert (done.returncode, done.stdout.strip().splitlines()[1:]) == (code, [])
        assert done.stderr.splitlines()[-1].startswith(f"pokesim: {message}")
