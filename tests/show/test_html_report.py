"""The HTML report is one self-contained file, and escapes any name and table."""

import base64
import csv
import io
import shutil
from html.parser import HTMLParser

import pytest
from PIL import Image
from support.browser import keep, page_of

import pokesim

HOSTILE = '<img src=x onerror="alert(1)"> & {{about}}'


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.sources, self.links, self.others, self.text = [], [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "srcset")]
        self.links += [value for name, value in attrs if name == "href"]
        self.others += [name for name, _ in attrs if name[:2] == "on"]

    def handle_data(self, data):
        self.text.append(data.strip())

    def pictures(self):
        """Return all pictures, decoded from their data URLs."""
        head = "data:image/webp;base64,"
        assert all(source.startswith(head) for source in self.sources)
        data = [base64.b64decode(source.removeprefix(head)) for source in self.sources]
        return [Image.open(io.BytesIO(one)).convert("RGB") for one in data]


def test_a_report_holds_photos_matches_and_figures(run, index_path, samples, tmp_path):
    photos = [samples.photos / f"{name}.jpg" for name in ("brumbel", "ribbet")]
    query = ("query", *photos, "-k", "4", "--index", index_path, "--html")
    done = run(*query, "report.html")
    assert (done.returncode, done.stderr) == (0, "")
    page = Page(tmp_path / "report.html")
    assert page.tags.count("details") == page.tags.count("summary") == 2
    assert not {"script", "link", "iframe", "base"}.intersection(page.tags)
    assert page.others == []
    assert page.links == ["#photo-1", "#photo-2"]
    source = (tmp_path / "report.html").read_text()
    assert source.count("url(") == source.count("url(data:font/otf;base64,") == 2
    assert "http://" not in source
    assert "https://" not in source
    pictures = page.pictures()
    assert len(pictures) == 2 * (1 + 4), "each match once"
    assert all(len(one.getcolors(1 << 20)) > 50 for one in pictures)
    with pokesim.open_index(index_path) as index:
        matches = [match for found in index.query(photos, 4) for match in found]
    for match in matches:
        name = match.label if match.rank == 1 else f"{match.rank}. {match.label}"
        assert page.text.count(name) == 1
        assert f"{match.similarity:.1f} % similar" in page.text
        assert f"distance {match.distance:.4f}" in page.text
    assert "151 pictures, compared by compact." in page.text
    assert str(samples.images) not in source  # folders are private

    explained = run(*query, "why.html", "--explain", "--save", "why.png")
    assert explained.returncode == 0
    assert explained.stdout == done.stdout
    why = Page(tmp_path / "why.html")
    assert len(why.pictures()) == 2 * (1 + 4 + 3 * 2)
    assert why.text.count("The redder an area, the more it adds to the similarity.") == 2
    assert (tmp_path / "why.png").is_file()


def test_names_and_tables_are_escaped(run, samples, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    creature = f"{HOSTILE}\u202e.webp"
    shutil.copy(samples.images / "brumbel.webp", folder / creature)
    shutil.copy(samples.images / "ribbet.webp", folder)
    photo = tmp_path / f"{HOSTILE}.jpg"
    shutil.copy(samples.photos / "brumbel.jpg", photo)
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["Name", "Kind", "empty", HOSTILE],
                [creature, HOSTILE, "", f"{HOSTILE}!"],
                ["ribbet", "frog", "", ""],
            ]
        )
    pokesim.build_index(folder, tmp_path / "index", embedder="compact", metadata=table)
    done = run("query", photo, "--index", "index", "--html", "page.html", "--label-by", "Kind")
    assert done.returncode == 0, done.stderr
    page = Page(tmp_path / "page.html")
    assert page.others == page.links == []
    assert len(page.pictures()) == 3
    assert f"What looks like {HOSTILE}.jpg" in page.text
    assert "2. frog" in page.text
    assert f"{HOSTILE}\\u202e.webp" in page.text
    assert page.text.count(HOSTILE) == 2  # the best label and the column
    assert f"{HOSTILE}!" in page.text
    assert "empty" not in page.text


def test_groups_show_the_number_of_similar_pictures(run, index_path, samples, tmp_path):
    photo = samples.photos / "brumbel.jpg"
    grouped = ("--group", "--label-by", "folder", "--html", "page.html")
    assert run("query", photo, "--index", index_path, *grouped).returncode == 0
    assert "nearby pictures: 151" in Page(tmp_path / "page.html").text


def test_a_missing_picture_is_blank_in_a_report(samples, run, tmp_path):
    folder = shutil.copytree(samples.images, tmp_path / "images")
    pokesim.build_index(folder, tmp_path / "index", embedder="compact")
    (folder / "brumbel.webp").unlink()
    photo = samples.photos / "brumbel.jpg"
    assert run("query", photo, "--index", "index", "-k", "1", "--html", "p.html").returncode == 0
    photo, match = Page(tmp_path / "p.html").pictures()
    assert len(photo.getcolors(1 << 20)) > 1000
    assert len(match.getcolors()) == 1


@pytest.mark.parametrize(("out", "code"), [("report.txt", 2), ("nowhere/report.html", 1)])
def test_a_report_that_cannot_be_written_is_one_message(run, index_path, samples, out, code):
    done = run("query", samples.photos / "brumbel.jpg", "--index", index_path, "--html", out)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == code, "a usage error has the usage line, too"
    assert out in done.stderr


@pytest.mark.parametrize(("size", "scheme"), [("desk", "dark"), ("phone", "light")])
def test_sections_fold_and_the_contents_lead_to_them(
    browser, wrong, index_path, samples, tmp_path, size, scheme
):
    from axe_playwright_python.sync_playwright import Axe

    photos = [samples.photos / f"{name}.jpg" for name in ("brumbel", "ribbet", "octavin")]
    seen = []
    with pokesim.open_index(index_path) as index:
        answers = [*index.answer([*photos, tmp_path / "missing.jpg"], k=3)]
        explained = [index.explain(one.photo, one.matches[0].path) for one in answers[:3]]
    pokesim.report(
        answers,
        tmp_path / "report.html",
        explanations=[*explained, None],
        progress=lambda *done: seen.append(done),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    page = page_of(browser, wrong, tmp_path / "report.html", size, scheme)
    assert page.get_by_role("heading", level=2).all_inner_texts()[1:] == [
        f"What looks like {name}.jpg" for name in ("brumbel", "ribbet", "octavin", "missing")
    ]
    assert page.get_by_text("This photo was not searched: no such file.").is_visible()
    second = page.locator("details").nth(1)
    second.locator("summary").click()
    assert not page.get_by_alt_text("the photo", exact=True).nth(1).is_visible()
    page.get_by_role("link", name="ribbet.jpg").click()
    page.wait_for_function("() => document.querySelectorAll('details')[1].open")
    assert page.get_by_alt_text("the photo", exact=True).nth(1).is_visible()
    assert page.evaluate("() => document.fonts.check('600 16px Inter')")
    shown = page.locator(".heat").first.evaluate("image => image.currentSrc === image.src")
    assert shown == (scheme == "light"), "a darker heat map on a dark page"
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert Axe().run(page).response["violations"] == []
    keep(page, f"report-{size}-{scheme}", tmp_path)


def test_a_report_of_one_photo_has_no_contents(browser, wrong, index_path, samples, tmp_path):
    from axe_playwright_python.sync_playwright import Axe

    with pokesim.open_index(index_path) as index:
        pokesim.report(index.answer([samples.photos / "brumbel.jpg"]), tmp_path / "one.html")
    page = page_of(browser, wrong, tmp_path / "one.html")
    assert page.get_by_role("heading").all_inner_texts() == [
        "What looks like brumbel.jpg",
        "Further matches",
    ]
    assert page.locator("details, nav").count() == 0
    assert Axe().run(page).response["violations"] == []


def test_a_report_of_nothing_is_one_message(tmp_path):
    for answers, explanations in (([], ()), (["a.jpg"], ())):
        with pytest.raises(pokesim.UsageError, match="A report needs answers"):
            pokesim.report(answers, tmp_path / "report.html", explanations=explanations)
