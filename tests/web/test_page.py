"""The page in a real browser (Debian's Chromium), at desktop and phone size."""

import base64
from urllib.parse import urlsplit

import pytest
from PIL import Image
from support.browser import (
    LONG,
    RING_HOLDS_ITS_TEXT,
    SIZES,
    all_arrived,
    best,
    hold,
    keep,
    press,
    ranked,
    searched_with,
)
from support.heic import heic
from support.pictures import as_png, stranger
from support.serving import serving

import pokesim

CORNER = """(image) => {
    const drawn = new OffscreenCanvas(9, 9).getContext("2d");
    drawn.drawImage(image, 0, 0);
    return [...drawn.getImageData(5, 5, 1, 1).data.slice(0, 3)];
}"""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chosen_photo_finds_its_lookalike(open_page, page_index, samples, tmp_path, size, scheme):
    page = open_page(size, scheme)
    assert page.locator("label", has_text="Take a photo").is_visible() == (size == "phone")
    verb = "Pick" if size == "phone" else "Drop"
    assert page.locator("h1").inner_text() == f"{verb} a photo,\nfind its lookalike."
    keep(page, f"welcome-{size}-{scheme}", tmp_path)
    photo = samples.photos / "brumbel.jpg"
    page.set_input_files("#camera" if size == "phone" else "#choose", photo)
    assert best(page) == "brumbel"
    with pokesim.open_index(page_index) as index:
        first, *others = index.query(photo, k=5)
    assert ranked(page) == [match.label for match in others]
    assert page.locator("#figures").inner_text() == (
        f"{first.similarity:.1f}\u202f% similar · distance {first.distance:.3f}"
    )
    assert page.locator("#facts").inner_text().split() == ["Body", "biped", "Number", "0"]
    for which in (".photo", ".match"):
        picture = page.locator(f"{which} .picture")
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert page.get_by_role("img", name="similar").get_attribute("aria-label") in (
        page.locator("#figures").inner_text()
    )
    assert page.locator("#best").evaluate("heading => heading === document.activeElement")
    assert "looks most like brumbel" in page.get_by_role("status").inner_text()
    keep(page, f"matches-{size}-{scheme}", tmp_path)


def test_a_dropped_photo(open_page, samples):
    page = open_page()
    photo = base64.b64encode((samples.photos / "anguro.jpg").read_bytes()).decode()
    dropped = page.evaluate_handle(
        """(photo) => {
            const bytes = Uint8Array.from(atob(photo), (letter) => letter.charCodeAt(0));
            const carried = new DataTransfer();
            carried.items.add(new File([bytes], "anguro.jpg", { type: "image/jpeg" }));
            return carried;
        }""",
        photo,
    )
    page.dispatch_event("main", "dragenter", {"dataTransfer": dropped})
    assert page.locator("#veil").inner_text() == "Drop to search"
    assert page.locator("#veil").evaluate("veil => getComputedStyle(veil).opacity") == "1"
    page.dispatch_event("#question", "drop", {"dataTransfer": dropped})
    assert best(page) == "anguro"
    assert page.locator(".photo figcaption").inner_text() == "anguro.jpg"
    assert page.locator("body.dragging").count() == 0


def test_a_photo_that_arrives_before_the_index_facts(open_page, samples):
    page = open_page()
    kept = hold(page, "**/api/info")
    page.reload()
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    kept[0].continue_()
    assert best(page) == "brumbel"


def test_a_late_explanation_is_not_shown(open_page, samples):
    page = open_page()
    page.set_input_files("#choose", samples.photos / "anguro.jpg")
    assert best(page) == "anguro"
    kept = hold(page, "**/api/explain*")
    page.locator("#explain").click()
    page.locator("#explain[aria-busy]").wait_for()
    page.locator(".one a").first.click()
    page.locator("#explain:not([aria-busy])").wait_for(state="attached")
    assert len(kept) == 1
    assert page.locator("#explained").is_hidden()
    assert page.get_by_role("alert").inner_text() == ""


def test_a_pasted_photo(open_page, samples):
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("() => navigator.clipboard.writeText('no picture')")
    page.keyboard.press("Control+V")
    page.get_by_role("alert").get_by_text("no picture on the clipboard").wait_for()
    page.evaluate(
        """async (photo) => {
            const bytes = Uint8Array.from(atob(photo), (letter) => letter.charCodeAt(0));
            const picture = new Blob([bytes], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
        }""",
        base64.b64encode(as_png(samples.images / "hootle.webp")).decode(),
    )
    page.keyboard.press("Control+V")
    assert best(page) == "hootle"
    assert page.get_by_role("alert").inner_text() == ""


@pytest.mark.parametrize(("size", "name"), [("phone", "IMG_0042.HEIC"), ("desk", "scan.tiff")])
def test_a_photo_that_browsers_cannot_show_is_shown(open_page, samples, tmp_path, size, name):
    with Image.open(samples.photos / "brumbel.jpg") as photo:
        shape = photo.width / photo.height
        if name.endswith("HEIC"):
            (tmp_path / name).write_bytes(heic(photo, orientation=6))
        else:
            photo.save(tmp_path / name)
    page = open_page(size)
    page.set_input_files("#choose", tmp_path / name)
    assert best(page) == "brumbel"
    picture = page.locator(".photo .picture:is(.wide, .tall, .square)")
    seen = picture.evaluate("image => image.naturalWidth / image.naturalHeight")
    assert seen == pytest.approx(shape, rel=0.01)
    keep(page, f"converted-{size}", tmp_path)
    second = ranked(page)[0]
    page.locator(".one a").first.click()
    searched_with(page, second)
    page.go_back()
    searched_with(page, name)
    picture.wait_for()


@pytest.mark.parametrize("size", SIZES)
def test_a_match_can_be_searched_with_and_back_goes_back(open_page, samples, size):
    page = open_page(size)
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    assert best(page) == "brumbel"
    second, before = ranked(page)[0], ranked(page)
    page.locator(".one a").first.click()
    searched_with(page, second)
    after = [best(page), *ranked(page)]
    assert second not in after
    assert len(after) == 5
    page.reload()
    assert [best(page), *ranked(page)] == after
    page.go_back()
    page.locator("#welcome").wait_for()  # reloading drops the photo
    page.go_forward()
    assert [best(page), *ranked(page)] == after
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    searched_with(page, "brumbel.jpg")
    page.locator(".one a").first.click()
    searched_with(page, second)
    assert [best(page), *ranked(page)] == after
    page.go_back()
    searched_with(page, "brumbel.jpg")
    assert [best(page), *ranked(page)] == ["brumbel", *before]
    page.get_by_role("link", name="Another photo").click()
    page.locator("#welcome").wait_for()
    assert urlsplit(page.url).query == ""
    assert page.evaluate("() => document.activeElement.tagName") == "H1"


def test_a_picture_of_the_fan_can_be_searched_with(open_page):
    page = open_page()
    page.get_by_role("link", name="Search with picture 3 of 5").click()
    assert best(page) not in ("", page.locator(".photo figcaption").inner_text())


def test_the_card_is_downloaded(open_page, samples, tmp_path):
    page = open_page()
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    for searched in ("brumbel.jpg", "waddlo"):  # a photo, and a picture of the index
        searched_with(page, searched)
        with page.expect_download() as coming:
            press(page, "Download card")
        coming.value.save_as(tmp_path / "card.png")
        with Image.open(tmp_path / "card.png") as card:
            assert card.size == (1200, 630)
        assert coming.value.suggested_filename == f"pokesim-{best(page)}.png"
        page.locator(".one a").first.click()


@pytest.mark.parametrize(
    ("size", "scheme", "ground"),
    [("desk", "dark", [34, 37, 46]), ("phone", "light", [244, 241, 234])],
)
def test_the_explanation(open_page, samples, tmp_path, size, scheme, ground):
    page = open_page(size, scheme)
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    best(page)
    button, picture = page.locator("#explain"), page.locator("#explained img")
    for expanded in ("true", "false", "true"):
        button.click()
        page.locator(f"#explain[aria-expanded={expanded}]").wait_for()
        assert picture.is_visible() == (expanded == "true")
    assert picture.evaluate("image => image.naturalWidth") == 1200
    assert picture.evaluate(CORNER) == ground
    keep(page, f"explained-{size}-{scheme}", tmp_path)
    page.locator(".one a").first.click()
    searched_with(page, "waddlo")
    assert picture.is_hidden()
    button.click()
    picture.wait_for()


def test_a_photo_that_nothing_looks_like(open_page, samples, tmp_path):
    stranger().save(tmp_path / "stranger.png")
    page = open_page()
    page.set_input_files("#choose", tmp_path / "stranger.png")
    closest = best(page)
    kicker, button = page.locator(".kicker"), page.locator("#explain")
    assert kicker.inner_text() == "closest of 152"
    assert button.is_hidden()
    status = page.get_by_role("status").inner_text()
    assert status.startswith(f"stranger.png: closest of 152: {closest}, ")
    keep(page, "closest", tmp_path)
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    searched_with(page, "brumbel.jpg")
    assert kicker.inner_text() == "looks most like"
    assert button.is_visible()


def test_a_file_that_is_no_picture_and_one_that_is_too_large(open_page, wrong, samples, tmp_path):
    page = open_page("phone")
    (tmp_path / "list.txt").write_text("milk, bread")
    page.set_input_files("#choose", tmp_path / "list.txt")
    message = page.get_by_role("alert")
    message.get_by_text("list.txt").wait_for()
    assert page.locator("#welcome").is_visible()
    assert wrong.pop().endswith("status of 400 (Bad Request)")
    keep(page, "no-picture-phone", tmp_path)
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(1_000_000_000)
    page.set_input_files("#choose", tmp_path / "huge.jpg")
    message.get_by_text("huge.jpg is too large (1000 MB)").wait_for()
    press(page, "Close")
    assert message.inner_text() == ""
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    assert best(page) == "brumbel"


def test_a_request_to_a_busy_server_is_repeated(open_page, wrong, samples):
    page = open_page()
    busy = {"status": 503, "headers": {"Retry-After": "1"}, "json": {"error": "Too many requests."}}
    page.route("**/api/search*", lambda route: route.fulfill(**busy), times=1)
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    page.get_by_role("alert").get_by_text("Too many requests. Trying again in 1 s.").wait_for()
    assert best(page) == "brumbel"
    assert page.get_by_role("alert").inner_text() == ""
    assert "503" in wrong.pop()


def test_a_server_that_is_gone(open_page, wrong, page_index, samples):
    with serving(page_index) as first:
        page = open_page(url=first.url)
        page.set_input_files("#choose", samples.photos / "brumbel.jpg")
        assert best(page) == "brumbel"
        all_arrived(page)
    page.set_input_files("#choose", samples.photos / "anguro.jpg")
    page.get_by_role("alert").get_by_text("The server is not responding.").wait_for()
    assert best(page) == "brumbel"  # the previous result stays
    with serving(page_index, "--port", str(first.port)):
        press(page, "Try again")
        searched_with(page, "anguro.jpg")
        assert best(page) == "anguro"
        all_arrived(page)
    # The browser reports each connection that was refused or cut.
    assert wrong
    assert all("ERR_CONNECTION" in one or "ERR_EMPTY_RESPONSE" in one for one in wrong)
    wrong.clear()


def test_a_server_with_a_token(open_page, page_index):
    with serving(page_index, "--token", "s3cret") as guarded:
        page = open_page(url=f"{guarded.url}/?token=s3cret")
        page.locator("#fan a").first.click()
        assert best(page)
        all_arrived(page)
        assert "s3cret" not in page.url
        assert not [line for line in guarded.lines if " 401 " in line]


def test_the_keyboard_alone(open_page, samples):
    page = open_page()
    photo = samples.photos / "brumbel.jpg"
    page.on("filechooser", lambda chooser: chooser.set_files(photo))
    focused = "() => document.activeElement.id || `${document.activeElement.getAttribute('href')}`"
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == "choose":
            break
    page.keyboard.press("Enter")
    assert best(page) == "brumbel"
    second = ranked(page)[0]
    for _ in range(20):
        page.keyboard.press("Tab")
        if "item=" in page.evaluate(focused):
            break
    page.keyboard.press("Enter")
    searched_with(page, second)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_problem(open_page, wrong, samples, size, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(size, scheme)

    def check():
        found = Axe().run(page).response["violations"]
        assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []

    check()
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    best(page)
    press(page, "Filter")
    press(page, "Choose a part")
    page.wait_for_url("**crop=*")
    page.get_by_role("button", name="Less like").first.click()
    page.locator("#examples li").wait_for()
    page.locator(".one .pick input").first.check()
    check()
    page.get_by_label("Only where").fill("Bdy = bird")
    press(page, "Apply")
    page.get_by_role("alert").get_by_text("Did you mean Body?").wait_for()
    check()
    assert wrong.pop().endswith("status of 400 (Bad Request)")


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_overflows_the_page(open_page, samples, tmp_path, width):
    page = open_page()
    page.set_viewport_size({"width": width, "height": 740})
    inside = "() => document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(inside)
    page.set_input_files("#choose", samples.images / "brumbel.webp")
    best(page)
    assert page.evaluate(RING_HOLDS_ITS_TEXT)
    press(page, "Filter")
    assert page.evaluate(inside)
    page.get_by_label("Only where").fill(f"Name={LONG}")
    press(page, "Apply")
    page.locator("#best", has_text=LONG).wait_for()
    assert page.evaluate(inside)
    keep(page, f"long-{width}", tmp_path)
