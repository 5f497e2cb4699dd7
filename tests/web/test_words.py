"""Pictures by words over REST and on the page."""

import io
import shutil

import pytest
from PIL import Image
from support.browser import SIZES, best
from support.serving import serving

import pokesim
from pokesim.samples import PHOTOGRAPHED


@pytest.fixture(scope="module")
def knowing(samples, general, tmp_path_factory):
    """An index of a few pictures by the default embedder."""
    home = tmp_path_factory.mktemp("knowing")
    (home / "images").mkdir()
    for name in PHOTOGRAPHED[:6]:
        shutil.copy(samples.images / f"{name}.webp", home / "images")
    pokesim.build_index(home / "images", home / "index")
    return home / "index"


@pytest.fixture(scope="module")
def words_server(knowing):
    with serving(knowing) as running:
        yield running


def test_rest_answers_a_word_as_python_does(words_server, knowing):
    with pokesim.open_index(knowing) as index:
        expected = [match.label for match in index.query(words="dogs", k=4)]
    answer = words_server.ask("GET", "/api/words?words=dogs&k=4")
    assert (answer.status, answer.json["words"]) == (200, "dogs")
    assert [match["label"] for match in answer.json["matches"]] == expected
    assert answer.json["verdict"] == "nearest to the word"
    assert "resembles" not in answer.json
    assert words_server.ask("GET", "/api/info").json["words"] is True
    card = words_server.ask("POST", "/api/card?words=dogs")
    with Image.open(io.BytesIO(card.body)) as drawn:
        assert drawn.size == (1200, 630)


def test_rest_combines_a_photo_and_a_picture_with_words(words_server, knowing, samples):
    photo = sorted(samples.photos.iterdir())[0]
    with pokesim.open_index(knowing) as index:
        mixed = index.query(photo, words=("dog", 2.0), negative_words="cat", k=6)
        own = index.path_of(index.items[0])
        similar = index.query(own, k=5, exclude_self=True, words="car")
    parameters = "with_words=2:dog&without_words=cat&k=6"
    answer = words_server.ask("POST", f"/api/search?{parameters}", photo.read_bytes())
    assert answer.status == 200, answer.json
    assert [one["label"] for one in answer.json["matches"]] == [one.label for one in mixed]
    assert answer.json["with"] == [{"words": "dog", "weight": 2.0}]
    assert answer.json["without"] == [{"words": "cat", "weight": 1.0}]
    near = words_server.ask("GET", "/api/items/0/similar?with_words=car&k=5").json
    assert [one["label"] for one in near["matches"]] == [one.label for one in similar]
    unknown = words_server.ask("GET", "/api/items/0/similar?with_words=zebraa")
    assert (unknown.status, "zebra?" in unknown.json["error"]) == (400, True)
    many = words_server.ask("GET", f"/api/items/0/similar?{'with_words=car&' * 17}")
    assert many.json["error"].endswith("at most 16 together.")
    card = words_server.ask("POST", f"/api/card?{parameters}", photo.read_bytes())
    with Image.open(io.BytesIO(card.body)) as drawn:
        assert drawn.size == (1200, 630)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("", "Give a word: words=WORDS."),
        ("words=zebraa", 'The word "zebraa" is not known. Did you mean zebra?'),
        ("words=dog&with=1", "A word is searched with alone"),
        ("words=dog&k=0", "k must be a number from 1 to 100."),
    ],
)
def test_rest_says_what_is_wrong_with_a_word(words_server, parameters, message):
    answer = words_server.ask("GET", f"/api/words?{parameters}")
    assert answer.status == 400
    assert answer.json["error"].startswith(message)


@pytest.mark.parametrize("size", SIZES)
def test_a_word_is_typed_on_the_page(browser, wrong, words_server, knowing, size):
    with pokesim.open_index(knowing) as index:
        expected = index.query(words="dogs", k=1)[0].label
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(words_server.url)
    page.get_by_role("searchbox", name="or a word").fill("dogs")
    page.keyboard.press("Enter")
    assert best(page) == expected
    assert page.locator(".kicker").inner_text() == "nearest to the word “dogs”"
    assert "similar" not in page.locator("main").inner_text()
    for hidden in (".ring", "#crop", "#explain", ".steer"):
        assert not page.locator(hidden).first.is_visible(), hidden
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.reload()  # the word is in the address
    assert best(page) == expected
    page.go_back()
    page.get_by_role("searchbox", name="or a word").fill("zebraa")
    page.get_by_role("button", name="Find").click()
    page.locator("#message p", has_text="Did you mean zebra?").wait_for()
    page.close()
