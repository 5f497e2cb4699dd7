"""The HTML report is one self-contained file, and escapes any name and table."""

import base64
import csv
import io
import shutil
from html.parser import HTMLParser

import pytest
from PIL import Image

import pokesim

HOSTILE = '<img src=x onerror="alert(1)"> & {{about}}'


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.sources, self.others, self.text = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name == "src"]
        self.others += [name for name, _ in attrs if name in ("href", "srcset") or name[:2] == "on"]

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
    assert page.tags.count("section") == 2
    assert not {"script", "link", "iframe", "base"}.intersection(page.tags)
    assert page.others == []
    source = (tmp_path / "report.html").read_text()
    assert "url(" not in source
    assert "http://" not in source
    assert "https://" not in source
    pictures = page.pictures()
    assert len(pictures) == 2 * (2 + 4)
    assert all(len(one.getcolors(1 << 20)) > 50 for one in pictures)
    with pokesim.open_index(index_path) as index:
        matches = [match for found in index.query(photos, 4) for match in found]
    for match in matches:
        assert f"{match.rank}. {match.label}" in page.text
        assert f"{match.similarity:.1f} % similar" in page.text
        assert f"distance {match.distance:.4f}" in page.text
    assert "151 pictures, compared by compact." in page.text
    assert str(samples.images) not in source  # folders are private

    explained = run(*query, "why.html", "--explain", "--save", "why.png")
    assert explained.returncode == 0
    assert explained.stdout == done.stdout
    why = Page(tmp_path / "why.html")
    assert len(why.pictures()) == 2 * (2 + 4 + 3)
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
            [["Name", HOSTILE, "empty"], [creature, HOSTILE, ""], ["ribbet", "frog", ""]]
        )
    pokesim.build_index(folder, tmp_path / "index", embedder="compact", metadata=table)
    done = run("query", photo, "--index", "index", "--html", "page.html", "--label-by", HOSTILE)
    assert done.returncode == 0, done.stderr
    page = Page(tmp_path / "page.html")
    assert page.others == []
    assert len(page.pictures()) == 4
    assert f"What looks like {HOSTILE}.jpg" in page.text
    assert f"1. {HOSTILE}" in page.text
    assert f"{HOSTILE}\\u202e.webp" in page.text
    assert page.text.count(HOSTILE) >= 3  # the best label, the column and its cell
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
    photo, match, again = Page(tmp_path / "p.html").pictures()
    assert len(photo.getcolors(1 << 20)) > 1000
    assert len(match.getcolors()) == len(again.getcolors()) == 1


@pytest.mark.parametrize(("out", "code"), [("report.txt", 2), ("nowhere/report.html", 1)])
def test_a_report_that_cannot_be_written_is_one_message(run, index_path, samples, out, code):
    done = run("query", samples.photos / "brumbel.jpg", "--index", index_path, "--html", out)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == code, "a usage error has the usage line, too"
    assert out in done.stderr
