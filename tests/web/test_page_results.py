"""The page: originals, copied paths, selected matches as a zip, shared cards, the photo itself."""

import json
import zipfile

import pytest
from support.browser import SIZES, best, keep, press, ranked, searched_with

SHARING = """
    navigator.canShare = ({ files }) => files[0].type === "image/png";
    navigator.share = async ({ files: [file] }) => {
        const outcome = (window.outcomes ?? []).shift();
        if (outcome) throw new DOMException("not now", outcome);
        const bytes = new Uint8Array(await file.arrayBuffer());
        window.shared = [file.name, String.fromCharCode(...bytes.slice(1, 4))];
    };
"""


def selection(page):
    """Return the labels of the selected matches."""
    boxes = page.locator("[data-pick]:checked").all()
    return [box.get_attribute("aria-label").removeprefix("Select ") for box in boxes]


def zipped(page, path):
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download zip").click()
    assert coming.value.suggested_filename == "pokesim-matches.zip"
    coming.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("size", SIZES)
def test_selected_matches_are_downloaded(open_page, page_index, samples, tmp_path, size):
    page, bar = open_page(size), "#picked"
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    labels = [best(page), *ranked(page)]
    assert page.locator(bar).is_hidden()
    for label in (labels[3], labels[0]):
        box = page.get_by_label(f"Select {label}")
        if size == "phone":
            page.locator("label", has=box).tap()
        else:
            box.press("Space")
    assert selection(page) == [labels[0], labels[3]]
    assert page.locator(bar).inner_text().startswith("2 selected")
    assert page.get_by_role("status").inner_text() == "2 of 5 selected."
    keep(page, f"selected-{size}", tmp_path)
    pictures = [page_index.parent / "images" / f"{labels[at]}.webp" for at in (0, 3)]
    assert list(zipped(page, tmp_path / "some.zip").items()) == [
        (f"{number:02} {picture.name}", picture.read_bytes())
        for number, picture in enumerate(pictures, 1)
    ]
    page.get_by_label("Show").select_option("10")
    page.locator(".one").nth(8).wait_for()
    assert selection(page) == [labels[0], labels[3]]
    page.get_by_role("button", name="Select all").click()
    assert len(zipped(page, tmp_path / "all.zip")) == 10
    page.locator(".one > a").nth(2).click()
    searched_with(page, labels[3])
    assert labels[3] not in selection(page)
    page.get_by_role("button", name="Clear selection").click()
    assert page.locator(bar).is_hidden()
    assert page.evaluate("() => document.activeElement.id") == "best"


def test_a_zip_beyond_the_limit_is_not_requested(open_page, samples):
    page = open_page()

    def small(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=json.dumps(answer.json() | {"zip_max_bytes": 9000}))

    page.route("**/api/info", small)
    page.reload()
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    page.get_by_label(f"Select {best(page)}").check()
    page.get_by_role("link", name="Download zip").click()
    message = page.get_by_role("alert")
    message.get_by_text("and a zip holds at most 9 kB; select fewer.").wait_for()
    bar, box = page.locator("#picked").bounding_box(), message.bounding_box()
    assert box["y"] + box["height"] <= bar["y"]


def test_an_original_opens_in_a_new_tab(open_page, wrong, samples, page_index):
    page = open_page()
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    second = (best(page), *ranked(page))[1]
    with page.expect_popup() as coming:
        page.get_by_label(f"Open original of {second} in a new tab").click()
    tab = coming.value
    tab.wait_for_load_state()
    tab.on("console", lambda line: wrong.append(line.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    reply = tab.reload()
    assert reply.body() == (page_index.parent / "images" / f"{second}.webp").read_bytes()
    assert tab.locator("img").evaluate("image => image.naturalWidth") == 256
    assert best(page) == "brumbel"


def test_a_path_is_copied(open_page, samples):
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    second = (best(page), *ranked(page))[1]
    press(page, f"Copy the path {second}.webp")
    page.locator(".path.done").wait_for()
    assert page.evaluate("() => navigator.clipboard.readText()") == f"{second}.webp"
    assert page.get_by_role("status").inner_text() == f"Copied {second}.webp."
    page.evaluate(
        """() => {
            window.kept = navigator.clipboard; // missing, as over plain HTTP
            Object.defineProperty(navigator, "clipboard", { value: undefined });
        }"""
    )
    press(page, "Copy the path brumbel.webp")
    page.locator(".verdict .path.done").wait_for()
    assert page.evaluate("() => kept.readText()") == "brumbel.webp"


def test_the_photo_itself_is_left_out(open_page, samples, tmp_path):
    page, switch = open_page(), "Leave out the photo itself"
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    best(page)
    assert page.get_by_label(switch).is_hidden()
    page.set_input_files("#choose", samples.images / "brumbel.webp")
    searched_with(page, "brumbel.webp")
    second = ranked(page)[0]
    page.get_by_label(switch).check()
    page.locator("#best", has_text=second).wait_for()
    assert "brumbel" not in [best(page), *ranked(page)]
    assert "exclude_self=true" in page.url
    keep(page, "left-out", tmp_path)
    with page.expect_request("**/api/card?*exclude_self=true*"), page.expect_download():
        press(page, "Download card")
    page.get_by_label(switch).uncheck()
    page.locator("#best", has_text="brumbel").wait_for()


def test_the_card_is_shared_where_the_browser_can(open_page, samples, tmp_path):
    page, share = open_page("phone"), "Share card"
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    best(page)
    assert page.get_by_role("button", name=share).is_hidden()
    page.add_init_script(SHARING)
    page.reload()
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    best(page)
    keep(page, "share-phone", tmp_path)
    page.evaluate("() => { window.outcomes = ['AbortError', 'NotAllowedError']; }")
    press(page, share)
    page.wait_for_function("() => outcomes.length === 1")
    page.locator("#share:not([aria-busy])").wait_for()
    assert page.get_by_role("alert").inner_text() == ""  # the person closed the sheet
    press(page, share)
    page.get_by_role("alert").get_by_text("The card is ready.").wait_for()
    press(page, "Share")
    page.wait_for_function("() => window.shared")
    assert page.evaluate("() => shared") == ["pokesim-brumbel.png", "PNG"]
    assert page.get_by_role("button", name="Download card").is_visible()
