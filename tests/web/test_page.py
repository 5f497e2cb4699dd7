"""The page in a real browser (Debian's Chromium), at desktop and phone size."""

import base64
import csv
import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from support.creatures import BODIES
from support.pictures import as_png, stranger
from support.serving import serving

import pokesim

SIZES = {"desk": (1280, 800), "phone": (390, 844)}
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
RING_HOLDS_ITS_TEXT = """() => {
    const [text, ring] = [".ring text", ".ring .track"].map(
        (which) => document.querySelector(which).getBoundingClientRect());
    return text.width < 0.8 * ring.width;
}"""
LONG = "a-creature-whose-name-goes-on-and-on-without-ever-coming-to-an-end"


@pytest.fixture(scope="module")
def described(samples, tmp_path_factory):
    """An index, with metadata, of the creatures and a wide picture with a long name."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(samples.images, folder / "images")
    with Image.open(samples.photos / "glintar.jpg") as photo:
        photo.resize((1200, 240)).save(folder / "images" / f"{LONG}.jpg")
    with (folder / "creatures.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Name", "Body", "Number"])
        for body, names in BODIES.items():
            rows.writerows((name, body, number) for number, name in enumerate(names))
        rows.writerow([LONG, "an unusually long word for what it is built like", 1_000_000])
    pokesim.build_index(
        folder / "images", folder / "index", embedder="compact", metadata=folder / "creatures.csv"
    )
    return folder / "index"


@pytest.fixture(scope="module")
def server(described):
    with serving(described) as running:
        yield running
    assert not [line for line in running.lines if " 500 " in line]


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if not chromium:
        missing = "Chromium is missing; run `apt-get install chromium`."
        if os.environ.get("POKESIM_BROWSER") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        yield started
        started.close()


@pytest.fixture
def wrong():
    """Errors of the browser and requests to other hosts; must be empty at the end."""
    errors = []
    yield errors
    assert errors == []


@pytest.fixture
def open_page(browser, server, wrong):
    """Return a function that opens the page and waits until it is ready for a photo."""
    contexts = []

    def opened(size="desk", scheme="light", url=server.url):
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            has_touch=size == "phone",
            is_mobile=size == "phone",
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: _keep_if_elsewhere(request.url, wrong))
        page.goto(url)
        page.locator("#about", has_text="compact").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()


def _keep_if_elsewhere(url, wrong):
    parts = urlsplit(url)
    if parts.scheme not in ("blob", "data") and parts.hostname != "127.0.0.1":
        wrong.append(url)


def best(page):
    """Wait for the matches, and return the label of the best one."""
    page.locator("#result:not(.waiting)").wait_for()
    return page.locator("#best").inner_text()


def searched_with(page, name):
    """Wait for the matches of the photo or picture with this caption."""
    caption = re.compile(f"^{re.escape(name)}$")
    page.locator("#result:not(.waiting) .photo figcaption", has_text=caption).wait_for()


def ranked(page):
    """Return the labels of all matches but the best."""
    return page.locator(".one .name b").all_inner_texts()


def all_arrived(page):
    """Wait until all pictures are loaded; the browser reports any that a server cuts off."""
    page.wait_for_function("() => [...document.images].every(image => image.complete)")


def hold(page, pattern):
    """Hold back the requests that match a pattern; return the list of them, to continue later."""
    kept = []

    def keep_back(route):
        kept.append(route)

    page.route(pattern, keep_back)
    return kept


def keep(page, name, tmp_path):
    """Write a screenshot to look at."""
    folder = Path(os.environ.get("POKESIM_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    all_arrived(page)
    page.screenshot(path=folder / f"{name}.png", full_page=True)


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chosen_photo_finds_its_lookalike(open_page, described, samples, tmp_path, size, scheme):
    page = open_page(size, scheme)
    assert page.locator("label", has_text="Take a photo").is_visible() == (size == "phone")
    verb = "Pick" if size == "phone" else "Drop"
    assert page.locator("h1").inner_text() == f"{verb} a photo,\nfind its lookalike."
    keep(page, f"welcome-{size}-{scheme}", tmp_path)
    photo = samples.photos / "brumbel.jpg"
    page.set_input_files("#camera" if size == "phone" else "#choose", photo)
    assert best(page) == "brumbel"
    with pokesim.open_index(described) as index:
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


def test_an_option_changed_during_a_search_applies_to_it(open_page, samples):
    page = open_page()
    page.set_input_files("#choose", samples.photos / "anguro.jpg")
    assert best(page) == "anguro"
    hold(page, "**/api/search*")
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    page.locator("#result.waiting").wait_for()
    page.unroute("**/api/search*")
    page.get_by_label("Show").select_option("10")
    searched_with(page, "brumbel.jpg")
    assert len([best(page), *ranked(page)]) == 10


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


def test_the_card_shows_the_current_result(open_page, samples):
    page = open_page()
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    assert best(page) == "brumbel"
    press(page, "Filter")
    page.get_by_label("Only where").fill("Body = bird")  # but do not apply it
    with page.expect_download() as coming:
        press(page, "Download card")
    assert coming.value.suggested_filename == "pokesim-brumbel.png"


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


def test_a_photo_that_browsers_cannot_show(open_page, wrong, samples, tmp_path):
    with Image.open(samples.photos / "brumbel.jpg") as photo:
        photo.save(tmp_path / "brumbel.tiff")
    page = open_page()
    page.set_input_files("#choose", tmp_path / "brumbel.tiff")
    assert best(page) == "brumbel"
    assert page.locator(".photo .picture").is_hidden()
    keep(page, "no-preview-desk", tmp_path)


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


@pytest.mark.parametrize("size", SIZES)
def test_the_explanation(open_page, samples, tmp_path, size):
    page = open_page(size)
    page.set_input_files("#choose", samples.photos / "brumbel.jpg")
    best(page)
    button, picture = page.locator("#explain"), page.locator("#explained img")
    for expanded in ("true", "false", "true"):
        button.click()
        page.locator(f"#explain[aria-expanded={expanded}]").wait_for()
        assert picture.is_visible() == (expanded == "true")
    assert picture.evaluate("image => image.naturalWidth") == 1200
    keep(page, f"explained-{size}", tmp_path)
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
    page.get_by_label("Name by").select_option("stem")
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


def test_a_server_that_is_gone(open_page, wrong, described, samples):
    with serving(described) as first:
        page = open_page(url=first.url)
        page.set_input_files("#choose", samples.photos / "brumbel.jpg")
        assert best(page) == "brumbel"
        all_arrived(page)
    page.set_input_files("#choose", samples.photos / "anguro.jpg")
    page.get_by_role("alert").get_by_text("The server is not responding.").wait_for()
    assert best(page) == "brumbel"  # the previous result stays
    with serving(described, "--port", str(first.port)):
        press(page, "Try again")
        searched_with(page, "anguro.jpg")
        assert best(page) == "anguro"
        all_arrived(page)
    # The browser reports each connection that was refused or cut.
    assert wrong
    assert all("ERR_CONNECTION" in one or "ERR_EMPTY_RESPONSE" in one for one in wrong)
    wrong.clear()


def test_a_server_with_a_token(open_page, described):
    with serving(described, "--token", "s3cret") as guarded:
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
    focused = "() => document.activeElement.id || document.activeElement.getAttribute('href')"
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
