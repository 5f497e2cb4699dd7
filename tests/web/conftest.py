"""A server of an index with metadata, and photos for it; the page in a browser."""

import csv
import re
import shutil

import pytest
from PIL import Image
from support.browser import LONG, collect_errors, keep_if_elsewhere, screen
from support.creatures import BODIES
from support.serving import serving

import pokesim
from pokesim.samples import CREATURES


@pytest.fixture(scope="module")
def described(samples, tmp_path_factory):
    """An index of sample creatures with a table, and one picture from another folder."""
    home = tmp_path_factory.mktemp("described")
    shutil.copytree(samples.images, home / "creatures" / "drawn")
    with (home / "types.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Name", "Type1", "HP"])
        for at, name in enumerate(CREATURES):
            table.writerow([name, ("grass", "fire", "")[at % 3], 10 + at])
    index = home / "index"
    pokesim.build_index(home / "creatures", index, embedder="compact", metadata=home / "types.csv")
    with Image.open(samples.images / f"{CREATURES[0]}.webp") as picture:
        picture.convert("RGB").rotate(5).save(home / "elsewhere.tiff")
    pokesim.add_pictures([home / "elsewhere.tiff"], index)
    return index


@pytest.fixture(scope="module")
def server(described):
    with serving(described) as running:
        yield running


@pytest.fixture(scope="module")
def photos(samples):
    return sorted(samples.photos.iterdir())


@pytest.fixture(scope="module")
def page_index(samples, tmp_path_factory):
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
def page_server(page_index):
    with serving(page_index) as running:
        yield running
    assert not [line for line in running.lines if re.search(r" 500 \d+ B ", line)]


@pytest.fixture
def open_page(browser, page_server, wrong):
    """Return a function that opens the page and waits until it is ready for a photo."""
    contexts = []

    def opened(size="desk", scheme="light", url=page_server.url):
        context = browser.new_context(**screen(size, scheme))
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        collect_errors(page, wrong)
        page.on("request", lambda request: keep_if_elsewhere(request.url, wrong))
        page.goto(url)
        page.locator("#about", has_text="compact").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
