"""The page on which groups of duplicates are reviewed, in a browser."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from support.browser import FLAGS

from pokesim.analysis.copies import Kind
from pokesim.analysis.duplicates import Duplicate
from pokesim.analysis.review import read_review
from pokesim.show.review_page import save_review

chromium = shutil.which("chromium")
ODD = "</script>\udcff\n.png"


@pytest.mark.skipif(not chromium, reason="there is no Chromium")
def test_a_person_chooses_what_goes_and_downloads_it(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    for name in ("a.png", "b.png"):
        Image.new("RGB", (60, 40), "teal").save(tmp_path / name)

    def one(name: str, kind: Kind) -> Duplicate:
        return Duplicate(tmp_path / name, Path(name).stem, 2_000_000, 99.0, kind, name)

    groups = [
        [one("a.png", Kind.FIRST), one("b.png", Kind.COPY), one(ODD, Kind.TURNED)],
        [one("c.png", Kind.FIRST), one("d.png", Kind.CROPPED)],
    ]
    save_review(groups, tmp_path / "page.html", "pokesim duplicates --review review.json")
    wrong: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=FLAGS.split())
        page = browser.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda sent: wrong.append(sent.url) if "http" in sent.url else None)
        page.goto((tmp_path / "page.html").as_uri())
        status, button = page.get_by_role("status"), page.get_by_role("button")
        assert status.inner_text() == "3 pictures to go, 6 MB"
        first, second = page.locator("section").all()
        first.get_by_label("Not the same").nth(1).check()
        second.get_by_label("Goes").first.check()
        assert status.inner_text() == "Group 2 would keep nothing."
        assert button.is_disabled()
        second.get_by_label("Keep").nth(1).check()
        with page.expect_download() as download:
            button.click()
        download.value.save_as(tmp_path / "review.json")
        browser.close()
    assert wrong == []
    review = read_review(tmp_path / "review.json")
    assert review.remove == {str(tmp_path / "b.png"), str(tmp_path / "c.png")}
    assert review.different == ((str(tmp_path / "a.png"), str(tmp_path / ODD)),)
    assert [[x.path.name for x in group] for group in review.chosen(groups)] == [
        ["a.png", "b.png"],
        ["d.png", "c.png"],
    ]
    assert json.loads((tmp_path / "review.json").read_text())["remove"]
