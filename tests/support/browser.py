"""The page in a browser: sizes, and what a person does and sees."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

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


def keep_if_elsewhere(url, wrong):
    parts = urlsplit(url)
    if parts.scheme not in ("blob", "data") and parts.hostname != "127.0.0.1":
        wrong.append(url)


def screen(size, scheme):
    """Return what a page or a context is made with: the window, and what its user prefers."""
    width, height = SIZES[size]
    return {
        "viewport": {"width": width, "height": height},
        "color_scheme": scheme,
        "has_touch": size == "phone",
        "is_mobile": size == "phone",
        "reduced_motion": "reduce",
    }


def collect_errors(page, wrong):
    """Add the errors of a page's scripts, and those on its console, to ``wrong``."""
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)


def page_of(browser, wrong, file, size="desk", scheme="light"):
    """Open a file; errors, and requests for anything but its own, are added to ``wrong``."""
    page = browser.new_page(**screen(size, scheme))
    page.set_default_timeout(30_000)
    collect_errors(page, wrong)
    own = ("data:", "blob:", file.as_uri())
    page.on("request", lambda one: None if one.url.startswith(own) else wrong.append(one.url))
    page.goto(file.as_uri())
    return page


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
