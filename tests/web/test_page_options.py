"""The options of the page: number, names, groups and filters, and the links that hold them."""

import re
import shutil
from urllib.parse import urlsplit

import pytest
from support.browser import LONG, SIZES, all_arrived, best, hold, keep, press, ranked, searched_with
from support.creatures import BODIES
from support.serving import serving

import pokesim


def test_an_option_changed_during_a_search_applies_to_it(open_page, samples):
    page = open_page()
    page.set_input_files("#choose", samples.photos / "anguro.jpg")
    assert best(page) == "anguro"
    hold(page, "**/api/search*")
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    page.locator("#result.waiting").wait_for()
    page.unroute("**/api/search*")
    page.get_by_label("Show").select_option("10")
    page.locator(".one").nth(8).wait_for()  # the tenth match; the first search may end meanwhile
    searched_with(page, "brumbel.jpg")
    assert len([best(page), *ranked(page)]) == 10


def test_the_card_shows_the_current_result(open_page, samples):
    page = open_page()
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    assert best(page) == "brumbel"
    press(page, "Filter")
    page.get_by_label("Only where").fill("Body = bird")  # but do not apply it
    with page.expect_download() as coming:
        press(page, "Download card")
    assert coming.value.suggested_filename == "pokesim-brumbel.png"


def test_more_matches_other_labels_and_groups(open_page, samples):
    page = open_page()
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    best(page)
    page.get_by_label("Show").select_option("10")
    page.locator(".one").nth(8).wait_for()
    assert len(ranked(page)) == 9
    page.get_by_label("Name by").select_option("Body")
    page.locator("#best", has_text="biped").wait_for()
    page.get_by_label("One per name").check()
    page.locator(".numbers", has_text="nearby").first.wait_for()
    labels = [best(page), *ranked(page)]
    assert len(set(labels)) == 10
    address = page.url
    page.get_by_label("Name by").select_option("auto")
    page.locator("#best", has_text="brumbel").wait_for()
    assert page.get_by_label("One per name").is_hidden()
    assert page.url != address
    page.goto(f"{address}&item=3")  # options and item come from the URL
    assert len({best(page), *ranked(page)}) == 10
    assert page.get_by_label("One per name").is_checked()


@pytest.mark.parametrize("size", SIZES)
def test_filters(open_page, wrong, samples, tmp_path, size):
    page = open_page(size)
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    best(page)
    press(page, "Filter")
    where = page.get_by_label("Only where")
    page.get_by_label("Value").fill("bird")
    press(page, "Add")
    page.locator("#facts", has_text="bird").wait_for()
    assert {best(page), *ranked(page)} <= set(BODIES["bird"])
    page.get_by_label("Column").select_option(label="Number")
    page.get_by_label("Comparison").select_option("<")
    page.get_by_label("Value").fill("3")
    page.get_by_label("Value").press("Enter")
    page.wait_for_function("most => document.querySelectorAll('.one').length < most", arg=4)
    assert {best(page), *ranked(page)} == set(BODIES["bird"][:3])
    assert where.input_value() == "Body = bird and Number < 3"
    keep(page, f"filter-{size}", tmp_path)

    where.fill("Bdy = bird")
    press(page, "Apply")
    page.get_by_role("alert").get_by_text("Did you mean Body?").wait_for()
    assert where.get_attribute("aria-invalid") == "true"
    assert best(page) in BODIES["bird"]  # the previous result stays
    keep(page, f"wrong-filter-{size}", tmp_path)
    press(page, "Clear")
    page.locator("#best", has_text="brumbel").wait_for()
    assert where.get_attribute("aria-invalid") == "false"
    assert page.get_by_role("alert").inner_text() == ""
    assert wrong.pop().endswith("status of 400 (Bad Request)")


def test_a_value_of_several_words_is_quoted(open_page):
    page = open_page()
    press(page, "Filter")
    page.get_by_label("Value").fill("an unusually long word for what it is built like")
    press(page, "Add")
    page.locator("#fan a").first.click()
    assert best(page) == LONG


def test_a_filter_that_is_not_applied_is_not_used(open_page, samples):
    page = open_page()
    press(page, "Filter")
    where = page.get_by_label("Only where")
    where.fill("Body = bird")
    page.get_by_label("Show").select_option("3")
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    assert best(page) == "brumbel"
    assert urlsplit(page.url).query == "k=3"
    assert "where" not in page.locator(".one a").first.get_attribute("href")
    assert where.input_value() == "Body = bird"
    where.press("Enter")
    page.locator("#facts", has_text="bird").wait_for()
    assert "where=Body" in page.url


def test_links_to_pictures_have_the_current_options(open_page, page_server):
    page = open_page()
    link = page.locator("#fan a").first
    assert re.fullmatch(r"/\?item=\d+", link.get_attribute("href"))
    page.get_by_label("Show").select_option("10")
    assert re.fullmatch(r"/\?k=10&item=\d+", link.get_attribute("href"))


def test_alternatives_without_spaces_are_kept_together(open_page, samples):
    page = open_page()
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    press(page, "Filter")
    page.get_by_label("Only where").fill("(Body=bird)or(Body=fish)")
    page.get_by_label("Value").fill("bird")
    press(page, "Add")
    page.locator("#facts", has_text="bird").wait_for()
    filtered = "((Body=bird)or(Body=fish)) and Body = bird"
    assert page.get_by_label("Only where").input_value() == filtered


def test_a_button_pressed_again_while_busy_does_nothing(open_page, samples):
    page = open_page()
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    assert best(page) == "brumbel"
    kept = hold(page, "**/api/card*")
    page.locator("#card").focus()
    for _ in range(4):
        page.keyboard.press("Enter")
    page.locator("#card[aria-busy]").wait_for()
    while not kept:  # the request follows a moment later
        page.wait_for_timeout(20)
    with page.expect_download():
        kept[0].continue_()
    page.locator("#card:not([aria-busy])").wait_for()
    assert len(kept) == 1


def test_an_index_of_one_picture_has_no_other(open_page, samples, tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    shutil.copy(samples.images / "brumbel.webp", folder)
    pokesim.build_index(folder, tmp_path / "index", embedder="compact")
    with serving(tmp_path / "index") as small:
        page = open_page(url=small.url)
        page.locator("#fan a").click()
        page.get_by_role("alert").get_by_text("The index has no other picture.").wait_for()
        all_arrived(page)


def test_a_quotation_mark_in_a_name(open_page, wrong, tmp_path):
    (tmp_path / '5" screen.txt').write_text("words")
    page = open_page()
    page.set_input_files("#choose", tmp_path / '5" screen.txt')
    page.get_by_role("alert").get_by_text('5" screen.txt: not a JPEG').wait_for()
    assert wrong.pop().endswith("status of 400 (Bad Request)")
