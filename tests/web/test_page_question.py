"""The page: a part of the photo by mouse, touch and keyboard; more and less like a match."""

from urllib.parse import parse_qs, urlsplit

import pytest
from support.browser import SIZES, best, keep, ranked, searched_with

import pokesim


def in_url(page):
    return parse_qs(urlsplit(page.url).query)


def part_of(page):
    """Return the box's place in percent of the photo, and wait until it was searched with."""
    box = page.evaluate(
        """() => {
            const { left, top, width, height } = document.querySelector("#part").style;
            return [left, top, width, height].map((side) => parseFloat(side));
        }"""
    )
    crop = ",".join(f"{round(at, 2):g}%" for at in box)
    page.wait_for_function(
        "(crop) => new URLSearchParams(location.search).get('crop') === crop", arg=crop
    )
    return box


def at(page, x, y):
    """Return a place on the photo, given in percent, on the screen."""
    area = page.locator("#area").bounding_box()
    return area["x"] + area["width"] * x / 100, area["y"] + area["height"] * y / 100


def drag(page, start, end):
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=3)
    page.mouse.up()


def swipe(page, start, end):
    touch = page.context.new_cdp_session(page)
    for kind, place in (("touchStart", start), ("touchMove", end), ("touchEnd", None)):
        x, y = at(page, *place) if place else (0, 0)
        points = [{"x": x, "y": y}] if place else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def assert_answered(page, index_path, photo, box):
    """The page shows the matches of a part of the photo."""
    with pokesim.open_index(index_path) as index:
        crop = ",".join(f"{round(side, 2):g}%" for side in box)
        first = index.query(photo, 1, crop=crop)[0]
    figures = f"{first.similarity:.1f}\u202f% similar · distance {first.distance:.3f}"
    page.locator("#figures", has_text=figures).wait_for()
    assert best(page) == first.label


@pytest.mark.parametrize("size", SIZES)
def test_a_part_is_drawn_moved_and_resized(open_page, page_index, samples, tmp_path, size):
    page, photo = open_page(size), samples.photos / "brumbel.jpg"
    move = drag if size == "desk" else swipe
    page.set_input_files("#choose", photo)
    whole = best(page), page.locator("#figures").inner_text()
    button = page.get_by_role("button", name="Choose a part")
    button.click()
    assert part_of(page) == [20, 20, 60, 60]
    for start, end, expected in (
        ((5, 10), (45, 95), [5, 10, 40, 85]),  # draw
        ((20, 50), (40, 45), [25, 5, 40, 85]),  # move
        ((64, 89), (85, 60), [25, 5, 60, 55]),  # resize by a corner
        ((50, 30), (300, 30), [40, 5, 60, 55]),  # not beyond the edge
    ):
        move(page, start, end)
        box = part_of(page)
        assert box == pytest.approx(expected, abs=2)
    assert_answered(page, page_index, photo, box)
    keep(page, f"part-{size}", tmp_path)
    with page.expect_request("**/api/card?*") as card, page.expect_download():
        page.get_by_role("button", name="Download card").click()
    assert "crop=" in card.value.url
    page.locator("#part").press("Escape")
    page.locator("#figures", has_text=whole[1]).wait_for()
    assert in_url(page) == {}
    assert page.locator("#part").is_hidden()


def test_a_part_is_chosen_with_the_keyboard(open_page, page_index, samples):
    page, photo = open_page(), samples.photos / "brumbel.jpg"
    page.set_input_files("#choose", photo)
    best(page)
    page.get_by_role("button", name="Choose a part").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "part"
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "Shift+ArrowDown", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    box = part_of(page)
    assert box == [16, 18, 58, 62]
    assert_answered(page, page_index, photo, box)
    name = page.locator("#part").get_attribute("aria-label")
    assert name == "Part of the photo: 58 % wide, 62 % high, 16 % from the left, 18 % from the top"
    assert page.get_by_role("status").inner_text().startswith("Part of brumbel.jpg: ")
    page.keyboard.press("Escape")
    assert page.evaluate("() => document.activeElement.id") == "crop"


def searching_with_a_part_of_waddlo(open_page, samples):
    page = open_page()
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    best(page)
    page.locator(".one a").first.click()
    searched_with(page, "waddlo")
    page.get_by_role("button", name="Choose a part").click()
    part_of(page)
    return page


def test_a_part_of_a_picture_of_the_index_is_in_the_link(open_page, samples):
    page = searching_with_a_part_of_waddlo(open_page, samples)
    shown = page.locator("#figures").inner_text()
    page.reload()
    page.locator("#figures", has_text=shown).wait_for()
    assert part_of(page) == [20, 20, 60, 60]
    second = ranked(page)[0]
    page.locator(".one a").first.click()
    searched_with(page, second)
    assert "crop" not in in_url(page)


def marked(page):
    return page.locator("#examples button").all_inner_texts()


@pytest.mark.parametrize("size", SIZES)
def test_more_and_less_like_matches(open_page, page_index, samples, tmp_path, size):
    page, photo = open_page(size), samples.photos / "brumbel.jpg"
    page.set_input_files("#choose", photo)
    before = [best(page), *ranked(page)]
    liked, unliked = before[1], before[3]
    page.get_by_role("button", name=f"More like {liked}").click()
    page.get_by_role("button", name=f"Remove {liked}").wait_for()
    assert page.evaluate("() => document.activeElement.id") == "best"
    page.get_by_role("button", name=f"Less like {unliked}").press("Enter")
    page.get_by_role("button", name=f"Remove {unliked}").wait_for()
    assert [text.split() for text in marked(page)] == [["+", liked, "×"], ["−", unliked, "×"]]
    assert page.get_by_role("status").inner_text().startswith("brumbel.jpg with 2 marked: ")
    assert page.locator("#explain").is_hidden()
    pictures = {path.stem: path for path in (page_index.parent / "images").iterdir()}
    with pokesim.open_index(page_index) as index:
        mix = {"positive": [pictures[liked]], "negative": [(pictures[unliked], 0.5)]}
        expected = [match.label for match in index.query(photo, exclude_self=True, **mix)]
    after = [best(page), *ranked(page)]
    assert after == expected
    keep(page, f"marked-{size}", tmp_path)
    with page.expect_request("**/api/card?*") as card, page.expect_download():
        page.get_by_role("button", name="Download card").click()
    assert card.value.url.count("with") == 2
    page.get_by_role("button", name=f"Remove {liked}").click()
    page.wait_for_function("() => document.querySelectorAll('#examples li').length === 1")
    page.go_back()
    page.get_by_role("button", name=f"Remove {liked}").wait_for()
    assert [best(page), *ranked(page)] == after
    page.go_back()
    page.go_back()
    page.wait_for_function("() => document.querySelector('#examples').hidden")
    assert [best(page), *ranked(page)] == before
    assert page.locator("#explain").is_visible()


def test_marks_and_a_part_are_in_the_link_to_a_picture(open_page, samples):
    page = searching_with_a_part_of_waddlo(open_page, samples)
    page.get_by_role("button", name=f"Less like {best(page)}").click()
    page.locator("#examples li").wait_for()
    shown, signs = [best(page), *ranked(page)], marked(page)
    page.reload()
    page.locator("#examples li").wait_for()
    assert ([best(page), *ranked(page)], marked(page)) == (shown, signs)
    assert in_url(page).keys() == {"item", "sha256", "crop", "without"}


def test_a_match_that_is_the_photo_itself_cannot_be_marked(open_page, wrong, samples):
    page = open_page()
    page.set_input_files("#choose", samples.images / "hootle.webp")
    assert best(page) == "hootle"
    page.get_by_role("button", name="More like hootle").click()
    page.get_by_role("alert").get_by_text(
        "the same picture as hootle.webp; give it once"
    ).wait_for()
    assert wrong.pop().endswith("status of 400 (Bad Request)")
    assert best(page) == "hootle"
    assert marked(page) == []
