"""The map of a collection: a page to explore, and a picture."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.browser import SIZES, keep, page_of
from support.creatures import BODIES

import pokesim
from pokesim.samples import CREATURES

ODD = "</script><script>alert(1)&amp; é#?%"


@pytest.fixture(scope="module")
def home(samples, tmp_path_factory) -> Path:
    """A folder with creatures in folders by their bodies, a table, their index and its map."""
    home = tmp_path_factory.mktemp("home")
    with (home / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Name", "Mood"])
        for body, names in BODIES.items():
            (home / "images" / body).mkdir(parents=True)
            for number, name in enumerate(names):
                shutil.copy(samples.images / f"{name}.webp", home / "images" / body)
                rows.writerow([name, ("calm", "wild")[number % 2]])
    pokesim.build_index(
        home / "images", home / "index", embedder="compact", metadata=home / "table.csv"
    )
    pokesim.map_index(home / "index", home / "map.html")
    return home


def data_of(page: Path) -> dict:
    return json.loads(re.search(r"^const .* = ({.*});$", page.read_text("utf-8"), re.MULTILINE)[1])


def test_a_map_is_one_page_with_relative_links(run, samples, tmp_path):
    folder = tmp_path / "few"
    folder.mkdir()
    for name in CREATURES[:6]:
        shutil.copy(samples.images / f"{name}.webp", folder)
    odd = ODD.replace("/", "∕")
    (folder / f"{CREATURES[0]}.webp").rename(folder / f"{odd}.webp")
    assert run("build-index", folder, "--embedder", "compact").returncode == 0
    (folder / f"{CREATURES[1]}.webp").unlink()  # deleted since; left blank
    (tmp_path / "maps").mkdir()
    done = run("map", "--save", "maps/out.html", "--most", "5")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "Drew 5 of 6 pictures in maps/out.html.\n"
    page = (tmp_path / "maps" / "out.html").read_text(encoding="utf-8")
    assert "5 of 6 pictures of default" in page
    assert page.count("<script>") == page.count("</script>") == 1
    assert "{{" not in page
    assert not re.search(r"https?://|src=\"[^\"]", page), "the page fetches nothing"
    assert str(tmp_path) not in page
    pictures = data_of(tmp_path / "maps" / "out.html")["pictures"]
    assert all(one["link"].startswith("../few/") for one in pictures)
    assert {one["label"] for one in pictures} <= {*CREATURES[1:6], odd}


def test_a_map_as_a_picture(run, index_path, tmp_path):
    done = run("map", "--save", "out.png", "--index", index_path, "--most", "40", "--method", "pca")
    assert done.stderr == "Drew 40 of 151 pictures in out.png.\n"
    with Image.open(tmp_path / "out.png") as drawn:
        assert drawn.size == (2000, 2000)
        assert len(drawn.convert("RGB").getcolors(1 << 22)) > 5000
    for args, message in {
        ("out.gif",): "name a file *.html, *.png or *.jpg, not out.gif",
        ("out.png", "--method", "umap"): "'umap' is not one of 'auto', 'pca', 'tsne'",
        ("no/out.html", "--method", "pca"): "no/out.html cannot be written",
    }.items():
        wrong = run("map", "--save", *args, "--index", index_path)
        assert wrong.returncode
        assert message in wrong.stderr
    with pytest.raises(pokesim.UsageError, match="method must be one of auto, pca, tsne"):
        pokesim.map_index(index_path, tmp_path / "map.html", method="umap")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_map_fills_the_window_and_anybody_can_use_it(
    browser, wrong, home, tmp_path, size, scheme
):
    from axe_playwright_python.sync_playwright import Axe

    page = page_of(browser, wrong, home / "map.html", size, scheme)
    page.wait_for_function("() => pictures.every(one => one.bitmap.naturalWidth)")
    keep(page, f"map-{size}-{scheme}", tmp_path)
    with Image.open(tmp_path / f"map-{size}-{scheme}.png") as shot:
        drawn = np.asarray(shot.convert("RGB"))
    paper = drawn[2, 2].astype(int)
    assert (paper.mean() < 60) == (scheme == "dark")
    top = int(page.locator("canvas").bounding_box()["y"])
    inside = np.abs(drawn[top:].astype(int) - paper).sum(axis=2) > 20
    assert inside.any(axis=0).mean() > 0.8
    assert inside.any(axis=1).mean() > 0.8
    assert inside.mean() > 0.7
    assert Axe().run(page).response["violations"] == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_a_search_counts_flies_and_opens(browser, wrong, home, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.copy(home / "map.html", moved)
    shutil.copytree(home / "images", moved / "images")
    page = page_of(browser, wrong, moved / "map.html")
    search, count = page.get_by_label("Find by label"), page.locator("output")
    body, names = next(iter(BODIES.items()))
    search.fill(names[0])
    page.get_by_role("status").get_by_text(names[0], exact=True).wait_for()
    assert count.inner_text() == "1 of 1"
    assert page.evaluate("() => view.zoom") > 1
    search.fill(f"{body} wild")  # a folder and a cell of the table
    page.get_by_text(f"1 of {len(names) // 2}").wait_for()
    search.press("Enter")
    page.get_by_text(f"2 of {len(names) // 2}").wait_for()
    page.get_by_role("button", name="Previous").click()
    page.get_by_text(f"1 of {len(names) // 2}").wait_for()
    search.fill("no such thing")
    page.get_by_text("nothing found").wait_for()
    search.fill("")
    page.wait_for_function("() => view.zoom === 1")

    wrong_before = list(wrong)
    column, row = page.evaluate("() => grid.cells[3]")
    x, y = page.evaluate(f"() => shown({column} + 0.5, {row} + 0.5)")
    with page.context.expect_page() as opened:
        page.locator("canvas").click(position={"x": x, "y": y})
    link = page.evaluate("() => pictures[3].link")
    assert opened.value.url == (moved / "images").as_uri().removesuffix("images") + link
    opened.value.close()
    assert wrong == wrong_before == []


def test_the_keyboard_chooses_and_opens(browser, wrong, home):
    page = page_of(browser, wrong, home / "map.html")
    page.locator("canvas").focus()
    page.keyboard.press("ArrowRight")
    first = page.evaluate("() => grid.cells[chosen]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    second = page.evaluate("() => grid.cells[chosen]")
    assert second == [first[0] + 1, first[1] + 1]
    label = page.evaluate("() => pictures[chosen].label")
    assert page.get_by_role("status").locator("b").inner_text() == label
    page.keyboard.press("+")
    assert page.evaluate("() => view.zoom") > 1
    page.keyboard.press("0")
    page.wait_for_function("() => view.zoom === 1")
    with page.context.expect_page() as opened:
        page.keyboard.press("Enter")
    assert opened.value.url.endswith(f"/{label}.webp")
    page.bring_to_front()
    page.keyboard.press("/")
    page.keyboard.type("zzz")
    assert page.locator("output").inner_text() == "nothing found"


def test_a_finger_chooses_before_it_opens(browser, wrong, home):
    page = page_of(browser, wrong, home / "map.html", "phone")
    x, y = page.evaluate("() => shown(grid.cells[5][0] + 0.5, grid.cells[5][1] + 0.5)")
    top = page.locator("canvas").bounding_box()["y"]
    page.touchscreen.tap(x, top + y)
    label = page.evaluate("() => pictures[5].label")
    page.get_by_role("status").get_by_text(label, exact=True).wait_for()
    assert len(page.context.pages) == 1
    with page.context.expect_page() as opened:
        page.touchscreen.tap(x, top + y)
    assert opened.value.url.endswith(f"/{label}.webp")
