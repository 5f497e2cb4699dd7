"""Pictures that leave the server: originals in a tab, zips, the photo itself left out."""

import contextlib
import http.client
import io
import os
import shutil
import zipfile
from pathlib import Path
from urllib.parse import urlencode

import pytest
from PIL import Image
from support.serving import START, serving

import pokesim


@pytest.fixture
def home(described, tmp_path):
    """A copy of the index and its pictures that a test may change."""
    home = shutil.copytree(described.parent, tmp_path / "home")
    pokesim.build_index(home / "creatures", home / "index")
    return home


def zipped(reply):
    """Return the names and the bytes of the files in a zip."""
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/zip"), reply.body
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_an_original_in_a_tab_is_only_a_picture(described, server):
    with pokesim.open_index(described) as index:
        shown, tiff = index.items[5], next(one for one in index.items if one.label == "elsewhere")
    for item, name in ((shown, Path(shown.path).name), (tiff, "elsewhere.webp")):
        headers = server.get(f"/images/{item.id}").headers
        disposition = f"inline; filename=\"{name}\"; filename*=UTF-8''{name}"
        assert headers["Content-Disposition"] == disposition
        assert headers["Content-Type"] == "image/webp"
        assert headers["X-Content-Type-Options"] == "nosniff"
        policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        assert headers.get_all("Content-Security-Policy") == [policy]


def test_pictures_are_sent_as_a_zip(described, server):
    with pokesim.open_index(described) as index:
        items = [index.items[item_id] for item_id in (7, 3, 150)]
        tiff = next(one for one in index.items if one.label == "elsewhere")
        paths = [index.path_of(item) for item in (*items, tiff)]
    named = [f"{9:012}:{items[0].sha256}", 3, f"150:{items[2].sha256}", 3, tiff.id]
    reply = server.get(f"/api/zip?{urlencode([('picture', one) for one in named])}")
    assert reply.headers["Content-Disposition"].startswith(
        'attachment; filename="pokesim-matches.zip"'
    )
    assert list(zipped(reply).items()) == [
        (f"{number:02} {path.name}", path.read_bytes()) for number, path in enumerate(paths, 1)
    ]
    by_path = zipped(server.get("/api/zip?picture=3&label=path"))
    assert list(by_path) == [f"01 {items[1].path.replace('/', '-')}.webp"]
    head = server.ask("HEAD", "/api/zip?picture=3")
    assert (head.status, head.body) == (200, b"")


def test_what_is_gone_is_named_in_the_zip(home):
    with pokesim.open_index(home / "index") as index:
        gone, changed, kept, removed = (index.items[item_id] for item_id in (0, 1, 2, 3))
        labels = [item.label for item in (gone, changed, kept)]
        places = [index.path_of(item) for item in (gone, changed)]
    pokesim.remove_pictures([removed.label], home / "index")
    for place in places:
        place.unlink()
    places[1].symlink_to("/etc/passwd")
    named = [f"{item.id}:{item.sha256}" for item in (gone, changed, kept, removed)]
    with serving(home / "index") as server:
        found = zipped(server.get(f"/api/zip?{urlencode([('picture', one) for one in named])}"))
        alone = zipped(server.get("/api/zip?picture=0"))
    assert list(found) == [f"03 {labels[2]}.webp", "not included.txt"]
    assert found["not included.txt"].decode().splitlines()[1:] == [
        f"01 {labels[0]}.webp",
        f"02 {labels[1]}.webp",
        "04",
    ]
    assert list(alone) == ["not included.txt"]


def test_a_zip_is_bounded_also_if_pictures_have_grown(home):
    with pokesim.open_index(home / "index") as index:
        first, second, third = (index.items[item_id] for item_id in (0, 1, 2))
        path = index.path_of(second)
    with path.open("ab") as file:
        file.truncate(200_000)
    limit = first.size + second.size + third.size
    start = f"import pokesim.web.zips as z; z.ZIP_BYTES = {limit}; {START}"
    with serving(home / "index", start=start) as server:
        assert server.get("/api/info").json["zip_max_bytes"] == limit
        found = zipped(server.get("/api/zip?picture=0&picture=1&picture=2"))
        refused = server.get("/api/zip?picture=0&picture=1&picture=2&picture=3")
    assert list(found) == [f"01 {first.label}.webp", f"03 {third.label}.webp", "not included.txt"]
    assert refused.status == 413
    assert refused.json["error"].endswith("; choose fewer.")


def test_a_picture_that_breaks_off_cuts_the_zip(home):
    with pokesim.open_index(home / "index") as index:
        path = index.path_of(index.items[0])
    os.truncate(path, 50_000_000)
    with serving(home / "index") as server, contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/api/zip?picture=0")
        response = connection.getresponse()
        response.read(1000)
        os.truncate(path, 1000)
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        assert server.get("/healthz").status == 200
    assert "A zip breaks off: a picture has become shorter\n" in server.lines


def test_the_photo_itself_is_left_out_on_request(described, server):
    with pokesim.open_index(described) as index:
        path = index.path_of(index.items[7])
        rest = [match.id for match in index.query(path, exclude_self=True)]
    whole = server.post("/api/search", path).json
    assert (whole["indexed"], whole["matches"][0]["id"]) == (True, 7)
    assert whole["matches"][0]["bytes"] == path.stat().st_size
    without = server.post("/api/search?exclude_self=true", path).json
    assert (without["indexed"], [match["id"] for match in without["matches"]]) == (True, rest)
    part = server.post("/api/search?exclude_self=true&crop=0%25,0%25,90%25,90%25", path).json
    assert 7 not in [match["id"] for match in part["matches"]]
    data = io.BytesIO()
    with Image.open(path) as picture:
        picture.save(data, "PNG")
    other = server.post("/api/search?exclude_self=true", data.getvalue()).json
    assert (other["indexed"], other["matches"][0]["id"]) == (False, 7)
    cards = {server.post(f"/api/card{query}", path).body for query in ("", "?exclude_self=true")}
    assert len(cards) == 2
